"""ONNX Runtime sessions on a bundle's graphs, with the fused kernels where the install has them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from cmow.service.errors import BundleError, KernelError
from cmow.service.machine import native
from cmow.service.model.bundle import ENCODER, ENTAILMENT, PARAPHRASE, RELATEDNESS, SIMILARITY, Bundle, Manifest

logger = logging.getLogger(__name__)

Arrays = dict[str, NDArray[Any]]

# The runtime's exceptions have no common base below Exception.
ORT_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ort_errors.EPFail,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoModel,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)

LIBRARY_ERRORS: tuple[type[Exception], ...] = (OSError, *ORT_ERRORS)

PORTABLE = "portable"
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
ERRORS_ONLY = 3  # severity of the runtime's log
# On a GPU: full float32 in the heads as on the CPU, and no more memory than runs have needed.
PROVIDER_OPTIONS = {CUDA: {"use_tf32": "0", "arena_extend_strategy": "kSameAsRequested"}}


class Tensor(NamedTuple):
    """Element type and shape of a graph's input or output; ``None`` is a free dimension."""

    type: str
    shape: tuple[int | None, ...]


TOKENS = {
    "token_ids": Tensor("tensor(int64)", (None,)),
    "cu_seqlens": Tensor("tensor(int64)", (None,)),
}
PAIRS = TOKENS | {"pairs": Tensor("tensor(int64)", (None, 2))}


@dataclass(frozen=True)
class Kernel:
    """What runs the encoder: ``fused (ISA)`` or ``portable``, and the reason why it is not the fused one."""

    name: str
    degraded: str | None = None


@dataclass(frozen=True)
class OpenBundle:
    """A session on each graph that takes tokens, by its file name, and the kernel in them."""

    sessions: Mapping[str, ort.InferenceSession]
    kernel: Kernel

    @property
    def provider(self) -> str:
        """The execution provider that the sessions really use first."""
        return next(str(session.get_providers()[0]) for session in self.sessions.values())

    def run(self, graph: str, output: str, inputs: Arrays) -> NDArray[np.float32]:
        """``output`` of ``graph``; raises one of ``ORT_ERRORS``."""
        (values,) = self.sessions[graph].run([output], inputs)
        return np.asarray(values)


def open_bundle(bundle: Bundle, require_fused_op: bool, provider: str = CPU) -> OpenBundle:
    """Sessions on ``bundle``; where ``provider`` is unavailable, ONNX Runtime takes the CPU.

    A run has one thread: to wake a second one costs as much as it saves in a millisecond of work, and larger work is
    better done in several runs side by side.

    Raises ``BundleError`` where a graph cannot be loaded or is not the expected one, ``KernelError`` where
    ``require_fused_op`` and the fused kernels are unavailable.
    """
    options, kernel = _with_kernel()
    if kernel.degraded is not None:
        if require_fused_op:
            raise KernelError(f"the fused kernel is required, but {kernel.degraded}")
        logger.warning("the portable encoder serves, many times slower than the fused kernel: %s", kernel.degraded)
    providers = [provider] if provider == CPU else [(provider, PROVIDER_OPTIONS[provider]), CPU]
    sessions = {}
    for graph, expected in outputs(bundle.manifest).items():
        path = bundle.path / graph
        try:
            session = ort.InferenceSession(str(path), options, providers=providers)
        except ORT_ERRORS as error:
            raise BundleError(f"{path}: ONNX Runtime cannot load it: {error}") from error
        check_signature(session, TOKENS if graph == ENCODER else PAIRS, expected, path)
        sessions[graph] = session
    return OpenBundle(sessions, kernel)


def session_options(threads: int) -> ort.SessionOptions:
    """Options without anything that spins, grows with the variety of shapes, or talks."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_mem_pattern = False  # it keeps one memory plan for every combination of shapes ever seen
    options.log_severity_level = ERRORS_ONLY
    return options


def _with_kernel() -> tuple[ort.SessionOptions, Kernel]:
    options = session_options(1)
    library = native.library_path()
    if library is None:
        return options, Kernel(PORTABLE, f"no {native.LIBRARY} is installed")
    try:
        native.check_kernels(library)
        options.register_custom_ops_library(str(library))
        return options, Kernel(f"fused ({native.kernel_isa(library)})")
    except LIBRARY_ERRORS as error:
        # Fresh options: a failed registration may leave something in the first.
        return session_options(1), Kernel(PORTABLE, f"{library} cannot be used: {error}")


Tensors = Mapping[str, Tensor]


def check_signature(session: ort.InferenceSession, inputs: Tensors, outputs: Tensors, path: Path) -> None:
    """Raise ``BundleError`` unless the graph in ``path`` takes and gives exactly what the engine expects."""
    for role, found, expected in (
        ("inputs", _tensors(session.get_inputs()), inputs),
        ("outputs", _tensors(session.get_outputs()), outputs),
    ):
        if found.keys() != expected.keys():
            raise BundleError(f"{path}: expected {role} {sorted(expected)}, found {sorted(found)}")
        for name, tensor in expected.items():
            if found[name] != tensor:
                raise BundleError(f"{path}: {name}: expected {_show(tensor)}, found {_show(found[name])}")


def outputs(manifest: Manifest) -> dict[str, dict[str, Tensor]]:
    """The outputs of each graph of a bundle with ``manifest``."""
    return {
        SIMILARITY: {
            "similarity": Tensor("tensor(float)", (None,)),
            "embeddings": Tensor("tensor(float)", (None, manifest.dims.similarity_dim)),
        },
        ENTAILMENT: {"entailment": Tensor("tensor(float)", (None, len(manifest.labels)))},
        PARAPHRASE: {"paraphrase": Tensor("tensor(float)", (None,))},
        RELATEDNESS: {"evidence": Tensor("tensor(float)", (None, 2))},
        ENCODER: {"states": Tensor("tensor(float)", (None, manifest.dims.embedding_dim))},
    }


def _tensors(arguments: Iterable[ort.NodeArg]) -> dict[str, Tensor]:
    return {
        argument.name: Tensor(argument.type, tuple(size if isinstance(size, int) else None for size in argument.shape))
        for argument in arguments
    }


def _show(tensor: Tensor) -> str:
    return f"{tensor.type}[{', '.join('?' if size is None else str(size) for size in tensor.shape)}]"
