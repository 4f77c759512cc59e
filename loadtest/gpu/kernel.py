"""The CUDA kernels of the encoder, called without ONNX Runtime: are they right, and how near to the device's limits?

Letters: B sentences, N packed tokens, d matrix side, e vector size.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import torch

from cmow.service.machine.native import Faults
from cmow.service.model.bundle import TableDtype
from export.ops.device_batch import device_batch
from export.ops.hybrid_reference import hybrid_encode
from export.ops.tables import Arrays, as_dtype

Tensors = dict[str, torch.Tensor]

TOLERANCE = 1e-5  # relative L2 error against float64, as in tests/export/ops/test_hybrid_encode.py
TOLERANCE_LONG = 1e-4  # of thousands of tokens
ODD_LENGTHS = [0, 1, 2, 63, 64, 65, 129, 0, 1000, 3, 256, 257, 0]
LONG_LENGTHS = [100_000, 5, 20_000]
REPEATS, LAUNCHES = 30, 10  # timed replays of a graph of so many launches
SGEMM_SIDE, COPY_BYTES = 8192, 2**30


@dataclass(frozen=True)
class Kernels:
    """The kernels in the library at ``path``."""

    path: Path

    def encode(self, inputs: Tensors, rows: torch.Tensor) -> None:
        """Write the embeddings of ``inputs`` to ``rows`` [B, e + 2 d d], on torch's current stream."""
        self._give("cmow_cuda_encode", device_batch(inputs, rows))

    def _give(self, name: str, batch: ctypes.Structure) -> None:
        function = getattr(ctypes.CDLL(str(self.path)), name)
        function.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        if function(ctypes.byref(batch), torch.cuda.current_stream().cuda_stream):
            raise SystemExit(f"{self.path}: the kernels cannot be launched on {torch.cuda.get_device_name()}")


def on_device(inputs: Arrays) -> Tensors:
    """Copies on the GPU."""
    return {name: torch.from_numpy(np.ascontiguousarray(array)).cuda() for name, array in inputs.items()}


def empty_rows(inputs: Tensors) -> torch.Tensor:
    """Where the embeddings of ``inputs`` go, full of NaN."""
    width = inputs["vectors"].shape[1] + 2 * inputs["forward_deltas"].shape[1] ** 2
    return torch.full((len(inputs["cu_seqlens"]) - 1, width), torch.nan, device="cuda")


def random_inputs(lengths: list[int], dtype: TableDtype, d: int, e: int, vocabulary: int) -> dict[str, np.ndarray]:
    """Fresh random tables and tokens."""
    rng = np.random.default_rng()
    shapes = {"vectors": (vocabulary, e), "forward_deltas": (vocabulary, d, d), "backward_deltas": (vocabulary, d, d)}
    tables = {name: (0.02 * rng.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}
    cu_seqlens = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return {
        "token_ids": rng.integers(0, vocabulary, cu_seqlens[-1]),
        "cu_seqlens": cu_seqlens,
        **as_dtype(tables, dtype),
    }


def largest_error(kernels: Kernels, inputs: Arrays) -> float:
    """Largest relative L2 error of a row against the float64 reference; NaN where a number was not written."""
    tensors = on_device(inputs)
    rows = empty_rows(tensors)
    kernels.encode(tensors, rows)
    expected = hybrid_encode(**inputs)
    error = np.linalg.norm(rows.cpu().numpy() - expected, axis=1) / np.linalg.norm(expected, axis=1)
    return float(error.max())


def check_faults(kernels: Kernels) -> bool:
    """A wrong id makes its own row NaN, is told, and leaves all other rows as they were."""
    faults, tensors = Faults(kernels.path), on_device(random_inputs([5, 300, 4], "int8", 20, 400, 61))
    good, bad = empty_rows(tensors), empty_rows(tensors)
    kernels.encode(tensors, good)
    torch.cuda.synchronize()
    quiet = faults.take()
    tensors["token_ids"][100] = 61
    kernels.encode(tensors, bad)
    torch.cuda.synchronize()
    others = bool((bad[[0, 2]] == good[[0, 2]]).all())
    return quiet == "" and "token_ids[100]" in faults.take() and bool(bad[1].isnan().all()) and others


def check_batches(kernels: Kernels) -> bool:
    """A sentence's row is the same bits alone and in any batch."""
    tensors = on_device(random_inputs(ODD_LENGTHS, "int8", 20, 400, 61))
    together = empty_rows(tensors)
    kernels.encode(tensors, together)
    for row, (start, end) in zip(together, pairwise(tensors["cu_seqlens"].tolist()), strict=True):
        offsets = torch.tensor([0, end - start], device="cuda")
        alone = {**tensors, "token_ids": tensors["token_ids"][start:end], "cu_seqlens": offsets}
        single = empty_rows(alone)
        kernels.encode(alone, single)
        if not torch.equal(single[0], row):
            return False
    return True


def check(kernels: Kernels) -> dict[str, float | bool]:
    """Errors and verdicts by name; raises ``SystemExit`` where one is not as it must be."""
    results: dict[str, float | bool] = {}
    for dtype in ("float32", "float16", "int8"):
        for d, e in ((20, 400), (6, 10)):
            error = largest_error(kernels, random_inputs(ODD_LENGTHS, dtype, d, e, 61))
            results[f"error, {dtype}, d = {d}, odd lengths"] = error
            _require(error <= TOLERANCE, f"{dtype}, d = {d}: error {error}")
        error = largest_error(kernels, random_inputs(LONG_LENGTHS, dtype, 20, 400, 61))
        results[f"error, {dtype}, 100,000 tokens"] = error
        _require(error <= TOLERANCE_LONG, f"{dtype}, 100,000 tokens: error {error}")
    results["wrong input found"] = check_faults(kernels)
    results["same bits in any batch"] = check_batches(kernels)
    for name in ("wrong input found", "same bits in any batch"):
        _require(bool(results[name]), f"{name}: no")
    return results


def _require(right: bool, message: str) -> None:
    if not right:
        raise SystemExit(f"the CUDA kernels are wrong: {message}")


def seconds(call: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median time of ``call`` on the device, after a warm-up."""
    for _ in range(3):
        call()
    taken = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        torch.cuda.synchronize()
        taken.append(start.elapsed_time(end) / 1e3)
    return float(median(taken))


def kernel_seconds(kernels: Kernels, inputs: Tensors) -> float:
    """Median time of one batch, of a graph of many: what launching costs the host is not in it."""
    rows = empty_rows(inputs)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        kernels.encode(inputs, rows)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        for _ in range(LAUNCHES):
            kernels.encode(inputs, rows)
    return seconds(graph.replay) / LAUNCHES


def limits() -> dict[str, float]:
    """What the device can do: bytes a second of a copy, read and written; FLOP a second of a float32 matrix product."""
    source = torch.empty(COPY_BYTES // 4, device="cuda").normal_()
    target = torch.empty_like(source)
    left, right = torch.randn(2, SGEMM_SIDE, SGEMM_SIDE, device="cuda")
    out = torch.empty_like(left)
    torch.backends.cuda.matmul.allow_tf32 = False
    return {
        "copy, bytes/s": 2 * COPY_BYTES / seconds(lambda: target.copy_(source)),
        "sgemm, FLOP/s": 2 * SGEMM_SIDE**3 / seconds(lambda: torch.mm(left, right, out=out)),
    }


def shares(inputs: Tensors, taken: float, device: dict[str, float]) -> dict[str, float]:
    """The work of a batch in ``taken`` seconds as shares of the device's limits; the larger one is binding."""
    d, sentences, tokens = inputs["forward_deltas"].shape[1], len(inputs["cu_seqlens"]) - 1, len(inputs["token_ids"])
    row_bytes = sum(inputs[name][0].nbytes for name in inputs.keys() - {"token_ids", "cu_seqlens"})
    moved = tokens * (row_bytes + 8) + sentences * 4 * (inputs["vectors"].shape[1] + 2 * d * d)
    flops = 2 * 2 * d**3 * (tokens - sentences)
    return {"of copy": moved / taken / device["copy, bytes/s"], "of sgemm": flops / taken / device["sgemm, FLOP/s"]}
