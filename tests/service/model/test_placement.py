"""Where the model runs. Few machines have a GPU: what needs one skips, and another CPU session takes its part."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from cmow.service.errors import InferenceError, ProviderError
from cmow.service.machine import native
from cmow.service.model.bundle import SIMILARITY
from cmow.service.model.engine import Engine, EngineOptions
from cmow.service.model.placement import Gpu, Placement, open_gpu, place, probe
from cmow.service.model.session import CPU, CUDA, open_bundle
from tests.tiny_bundle import TinyBundle

THRESHOLD = 100


class Told(native.Faults):
    """Says what it is told to, once."""

    def __init__(self, fault: str = "") -> None:
        self.fault = fault

    def take(self) -> str:
        fault, self.fault = self.fault, ""
        return fault


def placement(tiny_bundle: TinyBundle, fault: str = "", threshold: int = THRESHOLD) -> Placement:
    """A placement whose GPU is another CPU session."""
    sessions = [open_bundle(tiny_bundle.load(), require_fused_op=False) for _ in range(2)]
    return Placement(sessions[0], Gpu(sessions[1], Told(fault)), "for the test", threshold)


def why_no_gpu(tiny_bundle: TinyBundle) -> str:
    """The reason; skips the test where there is a GPU."""
    try:
        open_gpu(tiny_bundle.load())
    except ProviderError as error:
        return str(error)
    return pytest.skip("there is a GPU")


def test_auto_takes_the_cpu_where_there_is_no_gpu_and_says_why(
    tiny_bundle: TinyBundle, caplog: pytest.LogCaptureFixture
) -> None:
    reason = why_no_gpu(tiny_bundle)
    with caplog.at_level(logging.INFO):
        engine = Engine(tiny_bundle.load(), EngineOptions(threads=1, provider="auto"))
    assert (engine.provider, engine.placement.reason) == (CPU, reason)
    assert reason in caplog.text
    assert abs(engine.answer("similarity", [("a man", "the man")])[0]) <= 1


def test_cuda_without_a_gpu_is_an_error(tiny_bundle: TinyBundle) -> None:
    reason = why_no_gpu(tiny_bundle)
    with pytest.raises(ProviderError, match="the GPU is required, but") as raised:
        Engine(tiny_bundle.load(), EngineOptions(threads=1, provider="cuda"))
    assert reason in str(raised.value)


def test_the_cpu_asks_for_no_gpu(tiny_bundle: TinyBundle) -> None:
    placed = place(tiny_bundle.load(), require_fused_op=False, provider="cpu")
    assert (placed.provider, placed.gpu, placed.reason) == (CPU, None, "the CPU is asked for")


@pytest.mark.parametrize(("tokens", "on_gpu"), [(1, False), (THRESHOLD - 1, False), (THRESHOLD, True), (500, True)])
def test_large_runs_go_to_the_gpu(tiny_bundle: TinyBundle, tokens: int, on_gpu: bool) -> None:
    placed = placement(tiny_bundle, fault="told")
    inputs = {**probe(), "token_ids": np.zeros(tokens, np.int64), "cu_seqlens": np.array([0, 0, tokens])}
    if on_gpu:
        with pytest.raises(InferenceError, match="on the GPU: told"):
            placed.sessions(tokens).run(SIMILARITY, "embeddings", inputs)
    assert placed.sessions(tokens).run(SIMILARITY, "embeddings", inputs).shape == (2, 384)


def test_the_check_compares_the_two(tiny_bundle: TinyBundle) -> None:
    placement(tiny_bundle).check()
    with pytest.raises(InferenceError, match=r"on the GPU: token_ids\[3\]"):
        placement(tiny_bundle, fault="token_ids[3] is no row of the tables").check()


def test_a_gpu_serves_what_the_cpu_does(tiny_bundle: TinyBundle) -> None:
    if native.cuda_library_path() is None:
        pytest.skip("no CUDA library: cmow was installed without nvcc")
    try:
        gpu = open_gpu(tiny_bundle.load())
    except ProviderError as error:
        pytest.skip(f"no GPU: {error}")
    assert gpu.model.provider == CUDA
    engines = [Engine(tiny_bundle.load(), EngineOptions(threads=1, provider=provider)) for provider in ("cpu", "cuda")]
    pairs = [("a man is playing", "the woman is not"), ("it rains", "a dog")]
    for run in (Engine.similarity, Engine.entailment, Engine.paraphrase, Engine.relatedness):
        on_cpu, on_gpu = (run(engine, pairs) for engine in engines)
        np.testing.assert_allclose(on_gpu, on_cpu, rtol=0, atol=1e-4)
    with pytest.raises(InferenceError, match=r"token_ids\[5\]"):
        gpu.run(SIMILARITY, "embeddings", {**probe(), "token_ids": np.where(np.arange(64) == 5, 10**6, 0)})
