"""Sessions on any model, for proofs and benchmarks; the service opens its own on bundles alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnxruntime

from cmow.service.model.session import session_options
from export.ops.tables import Arrays


def open_session(model: bytes | Path, library: Path | None = None, threads: int = 1) -> onnxruntime.InferenceSession:
    """A CPU session on ``model`` with ``threads`` threads, which sleep when idle, as in the service.

    ``library`` holds the kernels of the encoder; without it the model's portable body runs.
    """
    options = session_options(threads)
    options.enable_mem_pattern = True  # ONNX Runtime's default: a proof or a benchmark repeats a few shapes
    if library is not None:
        options.register_custom_ops_library(str(library))
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def bound_run(session: onnxruntime.InferenceSession, batch: Arrays) -> Callable[[], onnxruntime.OrtValue]:
    """A run of ``session`` on ``batch`` into its one output, as inside a graph: no copies to and from Python."""
    binding = session.io_binding()
    for name, array in batch.items():
        binding.bind_cpu_input(name, array)
    (first,) = session.run(None, dict(batch))
    buffer = onnxruntime.OrtValue.ortvalue_from_numpy(first)
    binding.bind_ortvalue_output(session.get_outputs()[0].name, buffer)

    def run() -> onnxruntime.OrtValue:
        session.run_with_iobinding(binding)
        return buffer

    return run
