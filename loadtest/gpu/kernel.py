"""The CUDA kernels, called without ONNX Runtime: are they right, and how near to the device's limits?

Letters: B sentences, N packed tokens, d matrix side, e vector size; P pairs, w width of their features.
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
from numpy.typing import NDArray

from cmow.service.machine.native import Faults
from cmow.service.model.bundle import TableDtype
from export.bench.pairs import PairsBenchConfig
from export.ops.device_batch import device_batch, device_pairs
from export.ops.hybrid_reference import hybrid_encode
from export.ops.pairs_reference import encode_pairs
from export.ops.tables import Arrays, as_dtype
from export.work.bench_pairs import random_batch

Tensors = dict[str, torch.Tensor]

TOLERANCE = 1e-5  # relative L2 error against float64, as in tests/export/ops/test_hybrid_encode.py
TOLERANCE_LONG = 1e-4  # of thousands of tokens
TOLERANCE_PAIRS = 2e-6  # of half the halves of pairs at least, as in tests/export/ops/test_encode_pairs.py
TOLERANCE_ROUNDED = 1e-2  # of the others, in which an activation lands on another whole number
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

    def encode_pairs(self, inputs: Tensors, pooled: torch.Tensor) -> None:
        """Write the features of the pairs of ``inputs`` to ``pooled`` [P, 2, 2 w], likewise."""
        self._give("cmow_cuda_encode_pairs", device_pairs(inputs, pooled))

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


def empty_pooled(inputs: Tensors) -> torch.Tensor:
    """Where the features of the pairs of ``inputs`` go, full of NaN."""
    return torch.full((len(inputs["pairs"]), 2, 2 * inputs["rows"].shape[1]), torch.nan, device="cuda")


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


def random_pairs(lengths: list[int], config: PairsBenchConfig) -> Arrays:
    """Random weights and tokens in sentences of ``lengths``, each paired with the next one, the last with the first."""
    rng, sentences = np.random.default_rng(), np.arange(len(lengths))
    cu_seqlens = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return {
        **random_batch(config),
        "token_ids": rng.integers(0, config.vocabulary, cu_seqlens[-1]),
        "cu_seqlens": cu_seqlens,
        "pairs": np.stack([sentences, np.roll(sentences, -1)], axis=1),
    }


def read_pairs(kernels: Kernels, tensors: Tensors) -> torch.Tensor:
    """Features [P, 2, 2 w] of pairs, done; NaN where a number was not written."""
    pooled = empty_pooled(tensors)
    kernels.encode_pairs(tensors, pooled)
    torch.cuda.synchronize()
    return pooled


def pair_errors(kernels: Kernels, config: PairsBenchConfig) -> NDArray[np.float64]:
    """Relative L2 errors of halves of pairs against the float64 reference."""
    inputs = random_pairs(ODD_LENGTHS, config)
    pooled = read_pairs(kernels, on_device(inputs)).cpu().numpy()
    expected = encode_pairs(**inputs)
    norms = np.linalg.norm(expected, axis=2)
    errors: NDArray[np.float64] = np.linalg.norm(pooled - expected, axis=2) / np.where(norms == 0, 1, norms)
    return errors


def check_pair_faults(kernels: Kernels) -> bool:
    """What is wrong in a pair makes it NaN, is told, and leaves all other pairs as they were."""
    faults, tensors = Faults(kernels.path), on_device(random_pairs([5, 9, 300, 70], PairsBenchConfig(vocabulary=61)))
    good, quiet = read_pairs(kernels, tensors), faults.take()
    tensors["pairs"][0, 1] = 4
    bad_pair, pair_fault = read_pairs(kernels, tensors), faults.take()
    tensors["pairs"][0, 1] = 1
    tensors["token_ids"][100] = 61
    bad_id, id_fault = read_pairs(kernels, tensors), faults.take()
    told = quiet == "" and "pairs[0]" in pair_fault and "token_ids[100]" in id_fault
    wrong = bool(bad_pair[0].isnan().all()) and bool(bad_id[[1, 2]].isnan().all())
    return told and wrong and torch.equal(bad_pair[1:], good[1:]) and torch.equal(bad_id[[0, 3]], good[[0, 3]])


def check_pair_batches(kernels: Kernels) -> bool:
    """A pair's features are the same bits alone and in any batch."""
    tensors = on_device(random_pairs(ODD_LENGTHS, PairsBenchConfig(vocabulary=61)))
    together = read_pairs(kernels, tensors)
    ids, bounds = tensors["token_ids"], list(pairwise(tensors["cu_seqlens"].tolist()))
    for row, (first, second) in zip(together, tensors["pairs"].tolist(), strict=True):
        (start, end), (other_start, other_end) = bounds[first], bounds[second]
        offsets = torch.tensor([0, end - start, end - start + other_end - other_start], device="cuda")
        tokens = torch.cat([ids[start:end], ids[other_start:other_end]])
        alone = {**tensors, "token_ids": tokens, "cu_seqlens": offsets, "pairs": torch.tensor([[0, 1]], device="cuda")}
        if not torch.equal(read_pairs(kernels, alone)[0], row):
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
    for config in (PairsBenchConfig(vocabulary=61), PairsBenchConfig(vocabulary=61, width=48, keys=32, blocks=3)):
        errors = pair_errors(kernels, config)
        name = f"pairs, w = {config.width}"
        results |= {f"error, {name}": float(errors.max()), f"median error, {name}": float(np.median(errors))}
        right = bool((errors <= TOLERANCE_ROUNDED).all()) and bool(np.median(errors) <= TOLERANCE_PAIRS)
        _require(right, f"{name}: errors {np.sort(errors.ravel())}")
    verdicts = {
        "wrong input found": check_faults(kernels) and check_pair_faults(kernels),
        "same bits in any batch": check_batches(kernels) and check_pair_batches(kernels),
    }
    for name, verdict in verdicts.items():
        _require(verdict, f"{name}: no")
    return results | verdicts


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


def kernel_seconds(call: Callable[[], object]) -> float:
    """Median time of one ``call``, of a graph of many: what launching costs the host is not in it."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        for _ in range(LAUNCHES):
            call()
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
