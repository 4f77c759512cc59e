"""Blocks and rounds decide as one text after the other would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from cmow.service.dedupe.grouping import NEAR, Decisions, Grouping, Rule, nearest_before
from cmow.service.dedupe.index import CosineIndex
from cmow.service.model.engine import Floats

THRESHOLD = 0.5


@dataclass(frozen=True)
class World:
    """Texts that are the numbers of ``vectors`` [U, m]; ``scores`` [U, U] are what the model says of pairs."""

    vectors: Floats
    scores: Floats

    @property
    def texts(self) -> list[str]:
        return [str(number) for number in range(len(self.vectors))]

    def embed(self, texts: Sequence[str]) -> Floats:
        return self.vectors[[int(text) for text in texts]]

    def verify(self, pairs: Sequence[tuple[str, str]]) -> Floats:
        rows = np.array(pairs, np.int64).reshape(-1, 2)
        found: Floats = self.scores[rows[:, 0], rows[:, 1]]
        return found

    def decided(self, block: int, candidates: int, known: int | None = None) -> Decisions:
        index = CosineIndex(self.vectors.shape[1], len(self.vectors), lambda count: self.vectors[:count], threads=1)
        rule = Rule(THRESHOLD, candidates)
        grouping = Grouping(self.texts, self.embed, self.verify, index, rule, known is not None)
        rows = np.arange(len(self.vectors))
        if known:
            grouping.add(rows[:known])
        rest = rows[known or 0 :]
        return np.concatenate([grouping.decide(rest[start : start + block]) for start in range(0, len(rest), block)])

    def one_by_one(self) -> NDArray[np.int64]:
        """The slow twin: the text that is kept for each."""
        kept = list[int]()
        of = list[int]()
        for row in range(len(self.vectors)):
            near = [other for other in kept if self.vectors[row] @ self.vectors[other] >= NEAR]
            same = [other for other in near if self.scores[row, other] >= THRESHOLD]
            of.append(max(same, key=lambda other: (self.scores[row, other], -other)) if same else row)
            kept += [row] * (not same)
        return np.array(of)


def random_world(size: int, seed: int) -> World:
    """Clusters within which the model has doubts of its own; no cosine is so near to the limit that rounding tells."""
    draw = np.random.default_rng(seed)
    vectors = draw.standard_normal((6, 16))[draw.integers(0, 6, size)] + 0.5 * draw.standard_normal((size, 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    scores = draw.random((size, size)).astype(np.float32)
    scores = np.maximum(scores, scores.T)
    scores[abs(vectors @ vectors.T - NEAR) < 2e-3] = 0
    return World(vectors, scores)


def all_near(scores: Floats) -> World:
    return World(np.tile(np.eye(1, 4, dtype=np.float32), (len(scores), 1)), scores)


def kept_for(decisions: Decisions) -> list[int]:
    return [int(kept) for kept in decisions["kept"][decisions["text"].argsort()]]


@pytest.mark.parametrize("block", [1, 2, 7, 64, 150])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_decides_as_one_text_after_the_other(seed: int, block: int) -> None:
    world = random_world(150, seed)
    decisions = world.decided(block, candidates=150)
    expected = world.one_by_one()
    assert kept_for(decisions) == expected.tolist()
    assert 1 < len(set(expected.tolist())) < 150
    for text, kept, score in decisions.tolist():
        assert score == (1 if text == kept else world.scores[text, kept])


def test_a_crowd_of_equals_has_one_that_is_kept() -> None:
    """More of them than there are candidates, so that few are compared with the first at once."""
    world = all_near(np.ones((300, 300), np.float32))
    for block in (300, 64):
        assert kept_for(world.decided(block, candidates=2)) == [0] * 300


def test_a_chain_of_small_differences_joins_nothing_unlike() -> None:
    places = np.arange(40)
    world = all_near((abs(places[:, None] - places) <= 1).astype(np.float32))
    assert kept_for(world.decided(16, candidates=40)) == [row - row % 2 for row in range(40)]


def test_linking_compares_with_the_known_alone() -> None:
    scores = np.zeros((6, 6), np.float32)
    scores[4, 5] = scores[5, 4] = 0.9
    scores[3, 0], scores[3, 1] = 0.6, 0.7
    assert kept_for(all_near(scores).decided(2, candidates=6, known=3)) == [1, 4, 5]


@pytest.mark.parametrize("rows", [0, 1, 5, 40])
def test_the_nearest_before(rows: int) -> None:
    vectors = random_world(40, 5).vectors[:rows]
    cosines = vectors @ vectors.T
    expected = []
    for row in range(rows):
        near = [other for other in range(row) if cosines[row, other] >= NEAR]
        expected += [[row, other] for other in sorted(near, key=lambda other: -cosines[row, other])[:2]]
    assert nearest_before(vectors, 2).tolist() == expected
