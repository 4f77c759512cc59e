"""How related two texts are, on the scale of people who were asked, from the model's other answers about them.

    relatedness = intercept + cosine * c + entailment * (e + e') + contradiction * (k + k'), within 0 and 1

``c`` is the cosine, ``e`` and ``k`` the probabilities of entailment and contradiction one way, ``e'`` and ``k'`` the
other way: the same for both orders of a pair. The manifest has the weights, which `training.relatedness` fits. A cosine
takes a sentence for close to its negation, and people take one that says more for less close; entailment knows.

Letter: P pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cmow.service.model.bundle import Relatedness

Floats = NDArray[np.float32]


class Evidence(NamedTuple):
    """Of P pairs, float32 [P] each: ``cosine``, and sums over both ways of ``entailment`` and ``contradiction``."""

    cosine: Floats
    entailment: Floats
    contradiction: Floats

    @staticmethod
    def of(cosine: Floats, both_ways: Floats, labels: Sequence[str]) -> Evidence:
        """From cosines [P] and probabilities [2 P, 3] of ``labels``: those of all pairs, then of all pairs reversed."""
        sums = both_ways[: len(cosine)] + both_ways[len(cosine) :]
        return Evidence(cosine, sums[:, labels.index("entailment")], sums[:, labels.index("contradiction")])


def relatedness(weights: Relatedness, evidence: Evidence) -> Floats:
    """Relatedness float32 [P], from 0 to 1."""
    score: Floats = (
        np.float32(weights.intercept)
        + np.float32(weights.cosine) * evidence.cosine
        + np.float32(weights.entailment) * evidence.entailment
        + np.float32(weights.contradiction) * evidence.contradiction
    )
    return score.clip(0, 1)
