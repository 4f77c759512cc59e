"""Which processor runs the model: sessions on the CPU, and on a GPU for the runs that are large enough to pay.

A GPU is the faster one from ``gpu_min_tokens`` tokens in a run on: below, what a run costs whatever its size (copies,
and the launch of each node) outweighs it. Both hold the same model; their scores agree as ``SCORES`` says,
not to the bit.
"""

from __future__ import annotations

import ctypes
import logging
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from cmow.service.errors import InferenceError, KernelError, ProviderError
from cmow.service.machine import native
from cmow.service.model.bundle import ENTAILMENT, PARAPHRASE, RELATEDNESS, SIMILARITY, Bundle
from cmow.service.model.session import CUDA, ORT_ERRORS, Arrays, OpenBundle, open_bundle
from cmow.service.options.defaults import Provider

logger = logging.getLogger(__name__)

PROBE_TOKENS = 64
# Largest difference of a score between CPU and GPU: sums in another order put a number on the other side of a step of
# int8 now and then, of which the pair encoder has many.
AGREEMENT, PAIR_AGREEMENT = 1e-3, 2e-2
SCORES = (
    (SIMILARITY, "embeddings", AGREEMENT),
    (SIMILARITY, "similarity", AGREEMENT),
    (ENTAILMENT, "entailment", PAIR_AGREEMENT),
    (PARAPHRASE, "paraphrase", PAIR_AGREEMENT),
    (RELATEDNESS, "evidence", PAIR_AGREEMENT),
)


@dataclass(frozen=True)
class Gpu:
    """Sessions on a GPU. One run at a time, so that a fault belongs to the run that ends."""

    model: OpenBundle
    faults: native.Faults
    lock: Lock = field(default_factory=Lock)

    def run(self, graph: str, output: str, inputs: Arrays) -> NDArray[np.float32]:
        """``output`` of ``graph``.

        Raises ``InferenceError`` where the kernels found a wrong input, one of ``ORT_ERRORS`` where the runtime failed.
        """
        with self.lock:
            values = self.model.run(graph, output, inputs)
            fault = self.faults.take()
        if fault:
            raise InferenceError(f"on the GPU: {fault}")
        return values


@dataclass(frozen=True)
class Placement:
    """The sessions, and why it is these."""

    cpu: OpenBundle
    gpu: Gpu | None
    reason: str
    gpu_min_tokens: int

    @property
    def provider(self) -> str:
        """The execution provider of large runs."""
        return self.cpu.provider if self.gpu is None else self.gpu.model.provider

    def sessions(self, tokens: int) -> OpenBundle | Gpu:
        """Those on the processor that a run of so many tokens asks for."""
        return self.gpu if self.gpu is not None and self.on_gpu(tokens) else self.cpu

    def on_gpu(self, tokens: int) -> bool:
        """Whether a run of so many tokens goes to a GPU."""
        return self.gpu is not None and tokens >= self.gpu_min_tokens

    def check(self) -> None:
        """Raise ``InferenceError`` where there is a GPU and its scores are not those of the CPU."""
        if self.gpu is None:
            return
        inputs = probe()
        for graph, output, agreement in SCORES:
            expected = self.cpu.run(graph, output, inputs)
            try:
                error = float(np.abs(self.gpu.run(graph, output, inputs) - expected).max())
            except ORT_ERRORS as failure:
                raise InferenceError(f"{output} on the GPU: {failure}") from failure
            if not error <= agreement:
                raise InferenceError(f"{output} on the GPU: expected at most {agreement} from the CPU's, got {error}")


def place(bundle: Bundle, require_fused_op: bool, provider: Provider = "cpu", gpu_min_tokens: int = 0) -> Placement:
    """Sessions on ``bundle`` as ``provider`` asks for; ``auto`` takes a GPU where one works.

    Raises ``ProviderError`` where ``cuda`` is asked for and unavailable, and what `open_bundle` raises.
    """
    cpu = open_bundle(bundle, require_fused_op)
    if provider == "cpu":
        return Placement(cpu, None, "the CPU is asked for", gpu_min_tokens)
    reason = f"runs of {gpu_min_tokens} tokens and more go to the GPU, smaller ones to the CPU"
    try:
        placement = Placement(cpu, open_gpu(bundle), reason, gpu_min_tokens)
        placement.check()
    except (KernelError, ProviderError, InferenceError) as error:
        if provider == "cuda":
            raise ProviderError(f"the GPU is required, but {error}") from error
        placement = Placement(cpu, None, str(error), gpu_min_tokens)
    logger.info("runs on %s: %s", placement.provider, placement.reason)
    return placement


def open_gpu(bundle: Bundle) -> Gpu:
    """A session on the first GPU; raises ``ProviderError`` that names the first thing missing."""
    if CUDA not in ort.get_available_providers():
        raise ProviderError(f"onnxruntime {ort.__version__} has no {CUDA}: it comes with pip install '.[gpu]'")
    library = native.cuda_library_path()
    if library is None:
        raise ProviderError(f"no {native.CUDA_LIBRARY} is installed: there was no nvcc when cmow was installed")
    try:
        faults = native.Faults(library)
    except OSError as error:
        raise ProviderError(str(error)) from error
    try:
        ctypes.CDLL(native.CUDA_DRIVER)
    except OSError as error:
        raise ProviderError(f"no NVIDIA driver: {error}") from error
    ort.preload_dlls()  # CUDA and cuDNN of the extra, which the loader does not find in site-packages on its own
    model = open_bundle(bundle, require_fused_op=True, provider=CUDA)
    if model.provider != CUDA:
        raise ProviderError(f"expected ONNX Runtime to take {CUDA}, it took {model.provider}: its log says why")
    return Gpu(model, faults)


def probe() -> Arrays:
    """Inputs of two sentences and one pair, of the first tokens of any vocabulary."""
    return {
        "token_ids": np.arange(PROBE_TOKENS, dtype=np.int64) % 32,
        "cu_seqlens": np.array([0, PROBE_TOKENS // 4, PROBE_TOKENS]),
        "pairs": np.array([[0, 1]]),
    }
