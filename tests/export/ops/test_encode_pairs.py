"""Kernels and portable body against the float64 reference, over odd shapes and wrong inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from export.graphs.session import open_session
from export.ops.op_model import op_model
from export.ops.pairs_body import encode_pairs_function
from export.ops.pairs_reference import encode_pairs
from export.ops.signatures import ENCODE_PAIRS
from export.ops.tables import quantise
from tests.export.ops.test_hybrid_encode import Arrays, run

# w, q, S, T: as the model has them, and others
SHAPES = [(128, 64, 64, 2), (16, 16, 1, 1), (48, 32, 5, 3), (80, 16, 200, 1), (192, 128, 7, 2)]
ODD_LENGTHS = [0, 0, 1, 2, 15, 0, 16, 17, 63, 64, 65, 129, 1000, 3, 256, 257]
V = 97

# Relative L2 errors of one half of a pair: of sums in float32, and where an activation lands on another whole number,
# which at most half of the sentences below have.
TOLERANCE, TOLERANCE_ROUNDED, EXACT_SHARE = 2e-6, 5e-3, 0.5


def make_weights(shape: tuple[int, int, int, int] = (128, 64, 64, 2)) -> Arrays:
    """Random weights of a model of w, q, S, T whose features neither vanish nor grow."""
    w, q, places, blocks = shape
    rng = np.random.default_rng(7)
    rows, scales = quantise(rng.standard_normal((V, w)).astype(np.float32))
    arrays: Arrays = {"rows": rows, "scales": scales}
    arrays["places"] = (0.3 * rng.standard_normal((places, w))).astype(np.float32)
    for name, groups, columns, depth in (("mix", 1, 3 * w, 3 * w), ("key", 1, q, w), ("fuse", 4, w, 4 * w)):
        weight = (rng.standard_normal((blocks, groups, columns, w)) / np.sqrt(depth)).astype(np.float32)
        stored, scale = quantise(weight.reshape(-1, w), 63)
        kept = (blocks, 4) if name == "fuse" else (blocks,)
        arrays[name] = stored.reshape(weight.shape).swapaxes(2, 3).reshape(*kept, w, columns).copy()
        arrays[f"{name}_scales"] = scale.reshape(*kept, columns)
        bias = q if name == "key" else w
        arrays[f"{name}_bias"] = (0.1 * rng.standard_normal((blocks, bias))).astype(np.float32)
    return arrays


def make_inputs(lengths: Sequence[int], shape: tuple[int, int, int, int] = (128, 64, 64, 2)) -> Arrays:
    """Random tokens in sentences of ``lengths``, each paired with the next one and the last with the first."""
    cu_seqlens = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
    sentences = np.arange(len(lengths))
    return {
        "token_ids": np.random.default_rng(11).integers(0, V, cu_seqlens[-1]),
        "cu_seqlens": cu_seqlens,
        "pairs": np.stack([sentences, np.roll(sentences, -1)], axis=1),
        **make_weights(shape),
    }


def run_body(inputs: Arrays) -> NDArray[np.float32]:
    return run(open_session(op_model(inputs, body=encode_pairs_function(), op=ENCODE_PAIRS)), inputs)


def assert_close(actual: NDArray[np.float32], expected: NDArray[np.float64]) -> None:
    """Equal to the precision of float32, but where an activation was rounded to the next whole number."""
    assert actual.dtype == np.float32
    assert actual.shape == expected.shape
    norms = np.linalg.norm(expected, axis=2)
    error = np.linalg.norm(actual - expected, axis=2) / np.where(norms == 0, 1, norms)
    assert (error <= TOLERANCE_ROUNDED).all(), error.max()
    if error.size:
        assert (error <= TOLERANCE).mean() >= EXACT_SHARE, np.sort(error.ravel())


@pytest.mark.parametrize("shape", SHAPES)
def test_body_matches_reference(shape: tuple[int, int, int, int]) -> None:
    inputs = make_inputs(ODD_LENGTHS, shape)
    assert_close(run_body(inputs), encode_pairs(**inputs))
