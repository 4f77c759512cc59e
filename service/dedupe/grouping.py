"""Which texts are kept, and which kept text each of the others duplicates.

Texts are decided on in order. One whose probability of saying the same as some text kept before it reaches the
threshold duplicates the most probable of these; otherwise it is kept. So every duplicate is verified against the very
text that is kept for it, and a chain of small differences never joins texts that say different things.

Letters: U texts, R of them in a round, m width of a vector, C pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmow.service.dedupe.index import CosineIndex
from cmow.service.model.engine import Floats, Ints

NEAR = 0.6  # cosine below which no pair is verified: what the paraphrase head takes for the same there rarely is
DECISION = np.dtype([("text", "<i8"), ("kept", "<i8"), ("score", "<f4")])

Decisions = NDArray[np.void]  # DECISION [U]: a text, the one that is kept for it (itself where it is), and their score


@dataclass(frozen=True)
class Rule:
    """When a text is a duplicate: verified against its ``candidates`` nearest kept texts, it reaches ``threshold``."""

    threshold: float
    candidates: int


class Grouping:
    """Decides on ``texts`` [U], block by block in ascending order.

    ``embed`` gives unit vectors float32 [B, m] of texts, ``verify`` probabilities float32 [C] that pairs of texts say
    the same. With ``linking`` a text is compared with those that were added alone, and never kept for another.
    """

    def __init__(
        self,
        texts: Sequence[str],
        embed: Callable[[Sequence[str]], Floats],
        verify: Callable[[Sequence[tuple[str, str]]], Floats],
        index: CosineIndex,
        rule: Rule,
        linking: bool,
    ) -> None:
        self._texts, self._embed, self._verify = texts, embed, verify
        self._index, self._rule, self._linking = index, rule, linking

    def add(self, rows: Ints) -> None:
        """``rows`` of the texts are kept."""
        self._index.add(rows, self._embed([self._texts[row] for row in rows]))

    def decide(self, rows: Ints) -> Decisions:
        """Decide on the texts ``rows`` [R], all later than those before.

        A text that is like another of its round waits for the next where that one is not kept, or waits too: then the
        index has whatever is kept for it.
        """
        vectors = self._embed([self._texts[row] for row in rows])
        rounds = [np.empty(0, DECISION)]
        while len(rows):
            pairs = self._candidates(rows, vectors)
            decisions, waits = self._settle(rows, pairs, self._verify(self._named(pairs)))
            rounds.append(decisions)
            if not self._linking:
                kept = np.isin(rows, decisions["text"][decisions["text"] == decisions["kept"]])
                self._index.add(rows[kept], vectors[kept])
            rows, vectors = rows[waits], vectors[waits]
        return np.concatenate(rounds)

    def _named(self, pairs: Ints) -> list[tuple[str, str]]:
        return [(self._texts[left], self._texts[right]) for left, right in pairs.tolist()]

    def _candidates(self, rows: Ints, vectors: Floats) -> Ints:
        """Pairs [C, 2] to verify: each of ``rows`` with the nearest before it, kept ones and ones of this round."""
        most = self._rule.candidates
        cosines, ids = self._index.search(vectors, most)
        near = (cosines >= NEAR) & (ids >= 0) & (ids < rows[:, None])
        pairs = np.stack([rows[np.nonzero(near)[0]], ids[near]], axis=1)
        if self._linking:
            return pairs
        return np.concatenate([pairs, rows[nearest_before(vectors, most)]])

    def _settle(self, rows: Ints, pairs: Ints, scores: Floats) -> tuple[Decisions, NDArray[np.bool_]]:
        """Decisions on those of ``rows`` that can be decided on by ``pairs`` [C, 2], and bool [R]: which wait."""
        alike: dict[int, list[tuple[float, int]]] = {row: [] for row in rows.tolist()}
        same = scores >= np.float32(self._rule.threshold)
        for (row, other), score in zip(pairs[same].tolist(), scores[same].tolist(), strict=True):
            alike[row].append((score, -other))  # of equals the earliest
        kept: dict[int, tuple[int, float]] = {}
        for row, others in alike.items():
            if any(-other in alike and -other not in kept for _, other in others):
                continue
            choices = [(score, other) for score, other in others if kept.get(-other, (-other,))[0] == -other]
            if choices:
                score, other = max(choices)
                kept[row] = -other, score
            elif not others:
                kept[row] = row, 1.0
        decisions = [(row, *decision) for row, decision in kept.items()]
        return np.array(decisions, DECISION), np.array([row not in kept for row in alike], np.bool_)


def nearest_before(vectors: Floats, most: int) -> Ints:
    """For each of ``vectors`` [R, m] the ``most`` nearest of those before it that are ``NEAR``: pairs int64 [C, 2]."""
    cosines = np.tril(vectors @ vectors.T, -1)
    row, other = np.nonzero(cosines >= NEAR)
    order = np.lexsort((other, -cosines[row, other], row))
    row, other = row[order], other[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    pairs: Ints = np.stack([row, other], axis=1)[rank < most]
    return pairs
