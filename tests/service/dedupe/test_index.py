"""The nearest of a growing set are those that comparing with all finds."""

from __future__ import annotations

import numpy as np
import pytest

from cmow.service.dedupe import index
from cmow.service.dedupe.index import CosineIndex
from cmow.service.model.engine import Floats, Ints

WIDTH = 32


def units(rows: int, seed: int) -> Floats:
    vectors = np.random.default_rng(seed).standard_normal((rows, WIDTH)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def nearest(vectors: Floats, queries: Floats, count: int) -> Ints:
    """The slow twin, on what is left of ``vectors`` as float16."""
    order: Ints = np.argsort(-(queries @ vectors.astype(np.float16).astype(np.float32).T), axis=1)[:, :count]
    return order


def made(vectors: Floats, parts: int) -> CosineIndex:
    """An index of ``vectors`` under even numbers, added in ``parts``."""
    found = CosineIndex(WIDTH, len(vectors), lambda count: vectors[:count], threads=1)
    for rows in np.array_split(np.arange(len(vectors)), parts):
        found.add(2 * rows, vectors[rows])
    return found


@pytest.mark.parametrize(("size", "parts"), [(1, 1), (12, 3), (500, 7)])
def test_few_vectors_are_all_compared(size: int, parts: int) -> None:
    vectors, queries = units(size, 0), units(9, 1)
    cosines, ids = made(vectors, parts).search(queries, 10)
    expected = nearest(vectors, queries, 10)
    np.testing.assert_array_equal(ids[:, : min(size, 10)], 2 * expected)
    assert (ids[:, size:] == -1).all()
    np.testing.assert_allclose(
        cosines[:, : min(size, 10)], np.take_along_axis(queries @ vectors.T, expected, 1), atol=2e-3
    )


def test_many_are_looked_for_in_the_nearest_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "EXACT", 1000)
    vectors = units(6000, 2)
    found = made(vectors, 5)
    near = vectors[:200] + 0.05 * units(200, 3)
    _, ids = found.search(near / np.linalg.norm(near, axis=1, keepdims=True), 3)
    assert (ids[:, 0] == 2 * nearest(vectors, near, 1)[:, 0]).mean() > 0.95
    assert (made(vectors, 1).search(near, 3)[1] == ids).all()
