"""Cuts of scores, weights of classes, and how far probabilities can be trusted."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from training.data.files import NLI_LABELS
from training.data.labelled import LabelledPairs, TextPair

Floats = NDArray[np.floating[Any]]

# Share of duplicates in Quora's whole release, 149,263 of 404,290 pairs (Iyer et al., "First Quora Dataset Release:
# Question Pairs", 2017). A part of it need not be drawn at that rate, so its two classes are weighed to it.
DUPLICATES = 149_263 / 404_290


class Judged(NamedTuple):
    """Pairs of texts [P], and whether they say the same [P]."""

    texts: list[TextPair]
    same: NDArray[np.bool_]


def best_threshold(scores: Floats, positive: NDArray[np.bool_], weight: NDArray[np.float64]) -> float:
    """The cut of ``scores`` [P] with the most ``weight`` [P] on its right side: above iff ``positive``."""
    order = np.argsort(scores)
    signed = np.where(positive, weight, -weight)[order]
    # Cutting below rank k calls the first k negative: k = 0 gets all positives right, each further one gains or loses.
    gain = np.concatenate([[0.0], -np.cumsum(signed)])
    padded = np.concatenate([scores[order][:1], scores[order], scores[order][-1:] + 1e-3])
    cut = int(gain.argmax())
    return float((padded[cut] + padded[cut + 1]) / 2)


def platt(logits: Floats, same: NDArray[np.bool_], weights: Floats) -> tuple[float, float]:
    """Scale and shift of ``logits`` [P] under which their sigmoid is the probability of ``same``, by ``weights`` [P].

    Platt, "Probabilistic Outputs for Support Vector Machines" (1999).
    """
    fitted = LogisticRegression(C=np.inf).fit(logits[:, None], same, sample_weight=weights * len(same))
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])


class Reliability(NamedTuple):
    """Bins by confidence, without the empty ones: mean ``confidence``, ``accuracy`` and number of ``pairs``."""

    confidence: Floats
    accuracy: Floats
    pairs: NDArray[np.int64]


def reliability(probabilities: Floats, right: NDArray[np.bool_], bins: int = 15) -> Reliability:
    """``bins`` of equal width of the ``probabilities`` [P] of chosen labels, and of whether they were ``right`` [P]."""
    place = np.minimum((probabilities * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    sums = [np.bincount(place, weights, bins)[count > 0] for weights in (probabilities, right)]
    count = count[count > 0]
    return Reliability(sums[0] / count, sums[1] / count, count)


def expected_calibration_error(probabilities: Floats, right: NDArray[np.bool_], bins: int = 15) -> float:
    """Mean distance between confidence and accuracy over ``bins``, weighted by their pairs; Guo et al., section 2."""
    found = reliability(probabilities, right, bins)
    return float((abs(found.confidence - found.accuracy) * found.pairs).sum() / len(right))


def class_weights(positive: NDArray[np.bool_], share: float) -> NDArray[np.float64]:
    """Weights [P], one in sum, under which positives make up ``share``, however many there are."""
    return np.where(positive, share / max(positive.sum(), 1), (1 - share) / max((~positive).sum(), 1))


def is_three_way(pairs: LabelledPairs) -> bool:
    """Whether every pair has one accepted label of ``NLI_LABELS``."""
    return bool((pairs.entailment.sum(axis=1) == 1).all()) and pairs.entailment.shape[1] == len(NLI_LABELS)
