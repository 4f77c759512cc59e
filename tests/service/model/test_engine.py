"""The engine: one result whatever the company, whatever the kernel, however a request is cut into runs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest

from cmow.service.errors import BundleError, InferenceError, KernelError
from cmow.service.machine import native
from cmow.service.model.bundle import (
    PARAPHRASE,
    SIMILARITY,
    WEIGHTS,
    file_entry,
    load_bundle,
    read_manifest,
    write_manifest,
)
from cmow.service.model.engine import PART_TOKENS, Budget, Engine, EngineOptions, TaskName, cut
from cmow.service.model.session import session_options
from cmow.service.text.tokenizer import PackedTokens
from tests.served import open_engine
from tests.stale_library import compile_stale
from tests.tiny_bundle import WORDS, TinyBundle, make_tiny_bundle

LENGTHS = [1, 2, 3, 5, 16, 63, 64, 65, 129]


def sentence(random: np.random.Generator, words: int) -> str:
    return " ".join(random.choice(WORDS, words))


@pytest.fixture(scope="module")
def pairs() -> list[tuple[str, str]]:
    """Pairs of all lengths, some with a sentence in common, some of one sentence twice."""
    random = np.random.default_rng(1)
    made = [(sentence(random, random.choice(LENGTHS)), sentence(random, random.choice(LENGTHS))) for _ in range(40)]
    return [*made, *((made[0][0], right) for _, right in made[1:6]), (made[0][0], made[0][0])]


def test_values_at_all_lengths(engine: Engine, tiny_bundle: TinyBundle) -> None:
    random = np.random.default_rng(2)
    texts = [sentence(random, length) for length in LENGTHS]
    packed = engine.tokenizer.encode(texts)
    assert packed.lengths.tolist() == LENGTHS
    rows = np.split(packed.token_ids, packed.cu_seqlens[1:-1])
    expected = [tiny_bundle.embedding(row.tolist()) for row in rows]
    np.testing.assert_allclose(engine.embed(texts), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("hidden_dim", [64, 1000])
@pytest.mark.parametrize("kernel", ["fused", "portable"])
def test_scores_do_not_depend_on_the_company(
    tmp_path: Path, kernel: str, hidden_dim: int, pairs: list[tuple[str, str]]
) -> None:
    engine = open_engine(make_tiny_bundle(tmp_path / "bundle", "int8", hidden_dim), kernel)
    similarity = np.concatenate([engine.answer("similarity", [pair]) for pair in pairs])
    entailment = np.concatenate([engine.answer("entailment", [pair]) for pair in pairs])
    for size in (2, 7, 33, len(pairs)):
        groups = [pairs[start : start + size] for start in range(0, len(pairs), size)]
        np.testing.assert_array_equal(
            np.concatenate([engine.answer("similarity", group) for group in groups]), similarity
        )
        np.testing.assert_array_equal(
            np.concatenate([engine.answer("entailment", group) for group in groups]), entailment
        )
    texts = [left for left, _ in pairs]
    np.testing.assert_array_equal(engine.embed(texts), np.concatenate([engine.embed([text]) for text in texts]))


def test_scores_do_not_depend_on_the_threads(tiny_bundle: TinyBundle, pairs: list[tuple[str, str]]) -> None:
    engines = [Engine(tiny_bundle.load(), EngineOptions(threads=threads)) for threads in (1, 2, 3)]
    tasks: list[TaskName] = ["similarity", "entailment"]
    for task in tasks:
        one, *others = (engine.answer(task, pairs) for engine in engines)
        for other in others:
            np.testing.assert_array_equal(one, other)


def test_large_runs_are_shared_out_among_the_threads(tiny_bundle: TinyBundle) -> None:
    """Their parts cover all pairs in order; what is too small for two threads stays whole."""
    engine = Engine(tiny_bundle.load(), EngineOptions(threads=3))
    pairs = [(f"a man {row} " + "is playing " * 40, f"the dog {row}") for row in range(100)]
    packed = engine.tokenizer.encode([text for pair in pairs for text in pair])
    index = np.arange(200).reshape(-1, 2)
    assert len(packed.token_ids) > 3 * PART_TOKENS
    assert engine._slices(packed, index) == [slice(0, 33), slice(33, 66), slice(66, 100)]
    assert engine._slices(packed.take(np.arange(4)), index[:2]) == [slice(0, 2)]
    assert engine._slices(packed, index[:2]) == [slice(0, 1), slice(1, 2)]
    alone = [engine.answer("similarity", [pair])[0] for pair in pairs]
    np.testing.assert_array_equal(engine.score("similarity", packed, index), alone)


def test_scores_do_not_depend_on_the_cut(engine: Engine, tiny_bundle: TinyBundle, pairs: list[tuple[str, str]]) -> None:
    kernel = engine.kernel.name.split()[0]
    for budget in (Budget(1, 256), Budget(200, 256), Budget(16_384, 1), Budget(16_384, 7)):
        small = open_engine(tiny_bundle, kernel, budget=budget)
        np.testing.assert_array_equal(small.answer("similarity", pairs), engine.answer("similarity", pairs))
        np.testing.assert_array_equal(small.answer("entailment", pairs), engine.answer("entailment", pairs))
        np.testing.assert_array_equal(small.answer("relatedness", pairs), engine.answer("relatedness", pairs))
        np.testing.assert_array_equal(small.embed([pairs[0][0]] * 9), engine.embed([pairs[0][0]] * 9))


def test_kernels_agree(tiny_bundle: TinyBundle, pairs: list[tuple[str, str]]) -> None:
    fused, portable = open_engine(tiny_bundle, "fused"), open_engine(tiny_bundle, "portable")
    tasks: list[TaskName] = ["similarity", "entailment"]
    for task in tasks:
        np.testing.assert_allclose(fused.answer(task, pairs), portable.answer(task, pairs), rtol=0, atol=2e-6)


def test_nothing_to_do(engine: Engine) -> None:
    assert engine.answer("similarity", []).shape == (0,)
    assert engine.answer("entailment", []).shape == (0, 3)
    assert engine.answer("relatedness", []).shape == (0,)
    assert engine.embed([]).shape == (0, 384)


def test_relatedness_is_the_same_for_both_orders_and_stays_within_its_bounds(
    engine: Engine, tiny_bundle: TinyBundle, pairs: list[tuple[str, str]]
) -> None:
    related = engine.answer("relatedness", pairs)
    np.testing.assert_array_equal(related, engine.answer("relatedness", [(right, left) for left, right in pairs]))
    assert 0 < np.ptp(related) < 1
    for intercept, bound in ((9.0, 1), (-9.0, 0)):
        manifest = read_manifest(tiny_bundle.path)
        weights = msgspec.structs.replace(manifest.relatedness, intercept=intercept)
        bundle = replace(tiny_bundle.load(), manifest=msgspec.structs.replace(manifest, relatedness=weights))
        assert (Engine(bundle).answer("relatedness", pairs) == bound).all()


def test_a_sentence_without_tokens_has_scores(engine: Engine, tiny_bundle: TinyBundle) -> None:
    """The endpoints refuse it, but data sets may hold one."""
    expected = tiny_bundle.embedding([]) @ tiny_bundle.embedding(engine.tokenizer.encode(["dog"]).token_ids.tolist())
    np.testing.assert_allclose(
        engine.answer("similarity", [("", "dog"), ("dog", " ")]), [expected] * 2, rtol=0, atol=2e-6
    )


def test_the_kernel_that_is_named_is_the_one_that_runs(engine: Engine) -> None:
    """Only the fused kernel checks token ids itself, and its name is in the message."""
    packed = PackedTokens(np.array([10**6]), np.array([0, 1]), np.array([False]))
    with pytest.raises(InferenceError) as caught:
        engine.score("similarity", packed, np.array([[0, 0]]))
    assert ("1000000" in str(caught.value) and "Gather" not in str(caught.value)) == engine.kernel.name.startswith(
        "fused"
    )


def test_scores_that_are_not_finite_are_an_error(engine: Engine) -> None:
    class NotANumber:
        def run(self, graph: Any, output: Any, inputs: Any) -> Any:
            return np.full(1, np.nan, np.float32)

        def check(self) -> None:
            """The comparison with a GPU, of which there is none."""

        def on_gpu(self, tokens: int) -> bool:
            return False

        def sessions(self, tokens: int) -> NotANumber:
            return self

    placement, engine.placement = engine.placement, NotANumber()  # type: ignore[assignment]
    try:
        with pytest.raises(InferenceError, match="expected finite numbers, got nan in similarity"):
            engine.answer("similarity", [("a", "b")])
        with pytest.raises(InferenceError):
            engine.check()
    finally:
        engine.placement = placement


def test_the_session_does_not_spin() -> None:
    options = session_options(3)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 1)


class TestDegraded:
    def test_without_the_library(
        self, tiny_bundle: TinyBundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(native, "library_path", lambda: None)
        with caplog.at_level(logging.WARNING, "cmow.service.model.session"):
            engine = Engine(tiny_bundle.load(), EngineOptions(threads=1))
        assert engine.kernel.name == "portable"
        assert engine.degraded == ["no libhybrid_encode.so is installed"]
        assert "the portable encoder serves" in caplog.text
        with pytest.raises(KernelError, match="the fused kernel is required, but no"):
            Engine(tiny_bundle.load(), EngineOptions(threads=1, require_fused_op=True))

    def test_with_a_library_that_does_not_load(
        self, tiny_bundle: TinyBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        broken = tmp_path / native.LIBRARY
        broken.write_bytes(b"not a library")
        monkeypatch.setattr(native, "library_path", lambda: broken)
        engine = Engine(tiny_bundle.load(), EngineOptions(threads=1))
        assert engine.kernel.name == "portable"
        (reason,) = engine.degraded
        assert str(broken) in reason
        engine.check()
        with pytest.raises(KernelError, match="cannot be used"):
            Engine(tiny_bundle.load(), EngineOptions(threads=1, require_fused_op=True))

    def test_with_libraries_of_another_version(
        self, tiny_bundle: TinyBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kernels, wordpiece = (compile_stale(tmp_path / name, native.ABI + 1) for name in ("kernels.so", "pieces.so"))
        monkeypatch.setattr(native, "library_path", lambda: kernels)
        monkeypatch.setattr(native, "wordpiece_path", lambda: wordpiece)
        engine = Engine(tiny_bundle.load(), EngineOptions(threads=1))
        assert (engine.kernel.name, engine.tokenizer.name) == ("portable", "tokenizers")
        for reason, library in zip(engine.degraded, (kernels, wordpiece), strict=True):
            assert f"{library} cannot be used: " in reason
            assert f"expected ABI {native.ABI}, found {native.ABI + 1}" in reason
        with pytest.raises(KernelError, match=r"the fused kernel is required, but .* found"):
            Engine(tiny_bundle.load(), EngineOptions(threads=1, require_fused_op=True))

    def test_with_an_unknown_instruction_set(self, tiny_bundle: TinyBundle, monkeypatch: pytest.MonkeyPatch) -> None:
        if native.library_path() is None:
            pytest.skip("the native library is not installed")
        monkeypatch.setenv("CMOW_ISA", "abacus")
        with pytest.raises(KernelError, match="abacus"):
            Engine(tiny_bundle.load(), EngineOptions(threads=1, require_fused_op=True))


class TestCut:
    def slices(self, lengths: list[int], pairs: list[tuple[int, int]], tokens: int, rows: int) -> list[tuple[int, int]]:
        made = cut(np.array(lengths), np.array(pairs, np.int64).reshape(-1, 2), Budget(tokens, rows))
        return [(piece.start, piece.stop) for piece in made]

    def test_by_pairs(self) -> None:
        assert self.slices([1] * 6, [(0, 1), (2, 3), (4, 5)], 100, 2) == [(0, 2), (2, 3)]

    def test_by_tokens(self) -> None:
        assert self.slices([5] * 6, [(0, 1), (2, 3), (4, 5)], 20, 100) == [(0, 2), (2, 3)]

    def test_a_sentence_counts_once_in_a_slice(self) -> None:
        assert self.slices([10, 1, 1, 1], [(0, 1), (0, 2), (0, 3)], 13, 100) == [(0, 3)]
        assert self.slices([10, 1, 1, 1], [(0, 1), (0, 2), (0, 3)], 12, 100) == [(0, 2), (2, 3)]
        assert self.slices([10], [(0, 0)] * 3, 10, 100) == [(0, 3)]

    def test_a_long_pair_is_alone(self) -> None:
        assert self.slices([1, 1, 99, 1], [(0, 1), (2, 3), (0, 1)], 10, 100) == [(0, 1), (1, 2), (2, 3)]

    def test_nothing(self) -> None:
        assert self.slices([], [], 10, 10) == []


class TestModelsThatDoNotFit:
    """Files and manifest agree in each of these bundles; the model is another one."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return make_tiny_bundle(tmp_path / "bundle").path

    def change_graph(self, path: Path, change: Callable[[onnx.GraphProto], object], graph: str = SIMILARITY) -> None:
        model = onnx.load_model(path / graph, load_external_data=False)
        change(model.graph)
        (path / graph).write_bytes(model.SerializeToString())
        manifest = read_manifest(path)
        files = {name: file_entry(path / name) for name in manifest.files}
        write_manifest(path, msgspec.structs.replace(manifest, files=files))

    def change_dims(self, path: Path, **dims: int) -> None:
        manifest = read_manifest(path)
        write_manifest(path, msgspec.structs.replace(manifest, dims=msgspec.structs.replace(manifest.dims, **dims)))

    def test_another_output(self, path: Path) -> None:
        def rename(graph: onnx.GraphProto) -> None:
            graph.node[-1].output[0] = graph.output[0].name = "probabilities"

        self.change_graph(path, rename, PARAPHRASE)
        with pytest.raises(BundleError, match=r"expected outputs .*'paraphrase'.*, found .*'probabilities'"):
            Engine(load_bundle(path))

    def test_another_type(self, path: Path) -> None:
        def narrow(graph: onnx.GraphProto) -> None:
            graph.input[2].type.tensor_type.elem_type = onnx.TensorProto.INT32

        self.change_graph(path, narrow)
        with pytest.raises(BundleError, match=r"pairs: expected tensor\(int64\).*, found tensor\(int32\)"):
            Engine(load_bundle(path))

    def test_a_fixed_size(self, path: Path) -> None:
        def fix(graph: onnx.GraphProto) -> None:
            graph.input[0].type.tensor_type.shape.dim[0].dim_value = 7

        self.change_graph(path, fix)
        with pytest.raises(BundleError, match=r"token_ids: expected .*\[\?\], found .*\[7\]"):
            Engine(load_bundle(path))

    def test_not_a_graph(self, path: Path) -> None:
        self.change_graph(path, lambda graph: graph.ClearField("node"))
        with pytest.raises(BundleError, match="ONNX Runtime cannot load it"):
            Engine(load_bundle(path))

    def test_another_width(self, path: Path) -> None:
        self.change_dims(path, similarity_dim=100)
        with pytest.raises(BundleError, match=r"embeddings: expected .*\[\?, 100\], found .*\[\?, 384\]"):
            Engine(load_bundle(path))

    def test_weights_without_a_number(self, path: Path) -> None:
        (path / WEIGHTS).write_bytes(b"\xff" * (path / WEIGHTS).stat().st_size)
        self.change_graph(path, lambda graph: None)
        with pytest.raises(BundleError, match="the model does not work: expected finite numbers, got nan"):
            Engine(load_bundle(path))

    def test_more_tokens_than_rows(self, path: Path) -> None:
        self.change_dims(path, vocab_size=50)
        with pytest.raises(BundleError, match="expected token ids below 50, found"):
            Engine(load_bundle(path))
