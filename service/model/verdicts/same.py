"""Whether texts say the same as a query, as a cache or a deduplication must know it: rather no than a wrong yes.

A candidate says the same where

    cosine                                  >= similarity
    sigmoid(scale * logit(P) + shift)       >= paraphrase           P of the paraphrase head
    max P(contradiction), in either order   <= contradiction

in this order: what fails is not asked further, so that a hundred candidates, most of them far away, cost little more
than their cosines. The manifest has scale, shift and the first and last of the three thresholds, which
`training.verdicts.same` fits. A token that the vocabulary lacks may mean anything: two different texts of which one has
such never count as the same.

Letter: P pairs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isnan
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cmow.service.errors import SchemaError
from cmow.service.model.bundle import Same
from cmow.service.model.engine import Floats, Ints, TaskName
from cmow.service.model.verdicts.steps import Steps
from cmow.service.model.work import Scored, Work

Doubles = NDArray[np.float64]
Reason = Literal["unknown words", "low similarity", "not a paraphrase", "contradiction"]
REASONS: tuple[Reason, ...] = get_args(Reason)
PARAPHRASE = 0.5  # the probability has been fitted


@dataclass(frozen=True)
class Thresholds:
    """The least cosine, the least probability of a paraphrase, and the highest of a contradiction."""

    similarity: float
    paraphrase: float
    contradiction: float

    @classmethod
    def of(
        cls,
        rule: Same,
        similarity: float | None = None,
        paraphrase: float | None = None,
        contradiction: float | None = None,
    ) -> Thresholds:
        """Those asked for, and for ``None`` the bundle's; raises ``SchemaError`` where one is out of bounds."""
        _check("similarity", similarity, -1)
        _check("paraphrase", paraphrase, 0)
        _check("contradiction", contradiction, 0)
        return cls(
            rule.similarity if similarity is None else similarity,
            PARAPHRASE if paraphrase is None else paraphrase,
            rule.contradiction if contradiction is None else contradiction,
        )


@dataclass(frozen=True)
class Match:
    """A candidate, its place among those given, and whether it says the same; if not, the ``reason``.

    ``paraphrase`` and ``contradiction`` are probabilities, ``None`` where the verdict did not need them.
    """

    index: int
    candidate: str
    same: bool
    similarity: float
    paraphrase: float | None
    contradiction: float | None
    reason: Reason | None


@dataclass(frozen=True)
class Matches:
    """Every candidate, the best first, and what reading them took."""

    matches: list[Match]
    scored: Scored


def same_steps(work: Work, rule: Same, contradiction: int, thresholds: Thresholds) -> Steps[Matches]:
    """Judge the pairs of ``work``, a query with each candidate; ``contradiction`` is its column of entailment."""
    scored = yield work
    cosines = scored.values
    paraphrase, contradicted = np.full((2, len(cosines)), np.nan)
    near = np.flatnonzero((cosines >= thresholds.similarity) & ~np.array(scored.doubtful, bool))
    if len(near):
        answer = yield part_of(work, "paraphrase", work.pairs[near])
        paraphrase[near] = probability(rule, answer.values)
    alike = np.flatnonzero(paraphrase >= thresholds.paraphrase)
    if len(alike):
        there = work.pairs[alike]
        answer = yield part_of(work, "entailment", np.concatenate([there, there[:, ::-1]]))
        contradicted[alike] = answer.values[:, contradiction].reshape(2, -1).max(axis=0)
    passed = (
        ~np.array(scored.doubtful, bool),
        cosines >= thresholds.similarity,
        paraphrase >= thresholds.paraphrase,
        contradicted <= thresholds.contradiction,
    )
    candidates = [work.texts[row] for row in work.pairs[:, 1].tolist()]
    columns = (column.tolist() for column in (cosines, paraphrase, contradicted, np.stack(passed, axis=1)))
    found = map(_match, range(len(cosines)), candidates, *columns)
    return Matches(sorted(found, key=_rank), scored)


def part_of(work: Work, task: TaskName, pairs: Ints) -> Work:
    """``task`` on ``pairs`` [P, 2] of the texts of ``work``, checked before, with what they need alone."""
    used, local = np.unique(pairs, return_inverse=True)
    texts = [work.texts[row] for row in used]
    return replace(work, task=task, texts=texts, pairs=local.reshape(-1, 2), named=None)


def logit(probabilities: Floats) -> Doubles:
    """Of probabilities [P] in float32, which are 1 from a logit of 17 on."""
    inner = np.clip(probabilities.astype(np.float64), 1e-9, 1 - 1e-7)
    return np.asarray(np.log(inner / (1 - inner)))


def probability(rule: Same, paraphrase: Floats) -> Doubles:
    """Probabilities [P] that both say the same, from the answers [P] of the paraphrase head."""
    return np.asarray(1 / (1 + np.exp(-(rule.scale * logit(paraphrase) + rule.shift))))


def _check(name: str, threshold: float | None, least: float) -> None:
    if threshold is not None and not least <= threshold <= 1:
        raise SchemaError(f"{name}: expected a number from {least} to 1, got {threshold}", name)


def _match(
    index: int, candidate: str, similarity: float, paraphrase: float, contradiction: float, passed: list[bool]
) -> Match:
    """The verdict on one pair; NaN is what was not asked, and passes nothing."""
    reason = next((reason for reason, good in zip(REASONS, passed, strict=True) if not good), None)
    asked = [None if isnan(value) else value for value in (paraphrase, contradiction)]
    return Match(index, candidate, reason is None, similarity, asked[0], asked[1], reason)


def _rank(match: Match) -> tuple[bool, float, float]:
    """What says the same first, then by what is known."""
    return not match.same, -(match.paraphrase or 0), -match.similarity
