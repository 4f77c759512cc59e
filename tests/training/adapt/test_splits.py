"""Every pair is held out once, and no text is on both sides."""

from __future__ import annotations

import numpy as np

from training.adapt import splits
from training.adapt.splits import FEW, held_out, linked


def test_chains_of_shared_texts_are_one_group() -> None:
    pairs = np.array([[0, 1], [2, 3], [1, 4], [5, 5], [4, 0], [6, 3]])
    groups = linked(pairs).tolist()
    assert groups[0] == groups[2] == groups[4]
    assert groups[1] == groups[5]
    assert len({groups[0], groups[1], groups[3]}) == 3


def test_each_pair_is_held_out_once_apart_from_those_with_its_texts() -> None:
    random = np.random.default_rng(0)
    pairs = np.stack([random.integers(0, 60, 200), 100 + np.arange(200)], axis=1)  # premises come again
    strata = random.integers(0, 3, 200)
    parts = held_out(pairs, strata, seed=1)
    assert sorted(np.concatenate(parts).tolist()) == list(range(200))
    for rows in parts:
        others = np.setdiff1d(np.arange(200), rows)
        assert not set(pairs[rows].ravel()) & set(pairs[others].ravel())


def test_one_text_in_all_pairs_is_split_as_it_comes() -> None:
    pairs = np.stack([np.zeros(50, np.int64), 1 + np.arange(50)], axis=1)
    parts = held_out(pairs, np.arange(50) % 2, seed=0)
    assert [len(rows) for rows in parts] == [10] * 5
    assert all(np.bincount(rows % 2).tolist() == [5, 5] for rows in parts)


def test_of_many_pairs_a_tenth_is_held_out() -> None:
    pairs = np.arange(2 * FEW).reshape(-1, 2)
    (rows,) = held_out(pairs, np.arange(FEW) % 2, seed=0)
    assert len(rows) == FEW // splits.TENTHS
