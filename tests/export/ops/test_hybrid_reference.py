"""The reference itself, on numbers that can be checked by hand."""

from __future__ import annotations

import numpy as np

from export.ops.hybrid_reference import hybrid_encode, unit


def test_a_worked_example() -> None:
    """F0 = [[1, 1], [0, 1]], F1 its transpose: F0 F1 = [[2, 1], [1, 1]] of norm sqrt(7); unit norm is sqrt(2)."""
    upper = np.array([[0.0, 1.0], [0.0, 0.0]])
    deltas = np.stack([upper, upper.T])
    vectors = np.array([[1.0], [4.0]])
    (row,) = hybrid_encode(np.array([0, 1]), np.array([0, 2]), vectors, deltas, deltas)
    scale = np.sqrt(2 / 7)
    forward, backward = np.array([2, 1, 1, 1]) * scale, np.array([1, 1, 1, 2]) * scale
    np.testing.assert_allclose(row, np.concatenate([[2.5], forward, backward]))


def test_an_empty_sentence_is_the_identity() -> None:
    (row,) = hybrid_encode(np.array([], int), np.array([0, 0]), np.ones((1, 2)), np.ones((1, 2, 2)), np.ones((1, 2, 2)))
    np.testing.assert_array_equal(row, [0, 0, 1, 0, 0, 1, 1, 0, 0, 1])


def test_scales_multiply_their_rows() -> None:
    rng = np.random.default_rng(3)
    values = [rng.integers(-127, 128, shape).astype(np.int8) for shape in ((4, 3), (4, 2, 2), (4, 2, 2))]
    scales = rng.random((4, 3)).astype(np.float32)
    scaled = [v * scales[:, i].astype(float).reshape(4, *[1] * (v.ndim - 1)) for i, v in enumerate(values)]
    ids, bounds = np.array([0, 3, 2, 1]), np.array([0, 1, 4])
    expected = hybrid_encode(ids, bounds, scaled[0], scaled[1], scaled[2])
    np.testing.assert_allclose(hybrid_encode(ids, bounds, values[0], values[1], values[2], scales), expected)


def test_unit_does_not_depend_on_bracketing() -> None:
    a, b, c = np.random.default_rng(5).standard_normal((3, 4, 4))
    np.testing.assert_allclose(unit(unit(a @ b) @ c), unit(a @ unit(b @ c)), atol=1e-12)
    np.testing.assert_allclose(unit(np.eye(4)), np.eye(4))
