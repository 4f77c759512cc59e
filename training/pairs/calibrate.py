"""What is fitted once the weights are trained: the temperature of entailment, and where a paraphrase begins.

The temperature (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017) divides all logits by one number, so
that probabilities mean what they say; it is fitted on dev splits, changes no label, and is the only thing that is. The
paraphrase cuts, one for the cosine and one for the paraphrase head, come from the training splits of paraphrases: MRPC
stays unseen by all that is fitted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cmow.service.text.tokenizer import Tokenizer
from training.data.files import NLI_LABELS
from training.data.labelled import LabelledPairs, read_split
from training.loop.losses import entailment_losses
from training.pairs.pairset import PairSet, outputs
from training.student.model import Student

Floats = NDArray[np.floating[Any]]

# Share of duplicates in Quora's whole release, 149,263 of 404,290 pairs (Iyer et al., "First Quora Dataset Release:
# Question Pairs", 2017). A part of it need not be drawn at that rate, so its two classes are weighed to it.
DUPLICATES = 149_263 / 404_290


def best_threshold(scores: Floats, positive: NDArray[np.bool_], weight: NDArray[np.float64]) -> float:
    """The cut of ``scores`` [P] with the most ``weight`` [P] on its right side: above iff ``positive``."""
    order = np.argsort(scores)
    signed = np.where(positive, weight, -weight)[order]
    # Cutting below rank k calls the first k negative: k = 0 gets all positives right, each further one gains or loses.
    gain = np.concatenate([[0.0], -np.cumsum(signed)])
    padded = np.concatenate([scores[order][:1], scores[order], scores[order][-1:] + 1e-3])
    cut = int(gain.argmax())
    return float((padded[cut] + padded[cut + 1]) / 2)


def best_temperature(logits: Tensor, accepted: Tensor) -> float:
    """What the logits [P, 3] must be divided by for the smallest mean negative log probability of ``accepted``."""
    candidates = torch.logspace(-1, 1, 201)
    losses = [entailment_losses(logits / temperature, accepted).mean() for temperature in candidates]
    return float(candidates[int(torch.stack(losses).argmin())])


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


def calibrate(student: Student, data: Path, tokenizer: Tokenizer) -> dict[str, float]:
    """Fit and set the student's temperature, threshold and shift; returns them.

    What there are no data for, as dev splits of NLI or training pairs of paraphrases, is left as it is, and out.
    """
    return calibrate_entailment(student, data, tokenizer) | calibrate_paraphrase(student, data, tokenizer)


def calibrate_entailment(student: Student, data: Path, tokenizer: Tokenizer) -> dict[str, float]:
    """The temperature, from the three-way dev splits."""
    if not (known := three_way_dev(data)):
        return {}
    three_way = PairSet.of(LabelledPairs.joined(known), tokenizer)
    logits = outputs(student, three_way).entailment
    student.entailment_temperature.fill_(best_temperature(logits, torch.from_numpy(three_way.accepted)))
    return {"entailment_temperature": float(student.entailment_temperature)}


def calibrate_paraphrase(student: Student, data: Path, tokenizer: Tokenizer) -> dict[str, float]:
    """Both cuts, from the training pairs."""
    files = [PairSet.of(pairs, tokenizer) for pairs in read_split(data, "train", "paraphrase").values()]
    if not files:
        return {}
    positive = [pairs.paraphrase > 0.5 for pairs in files]
    weights = np.concatenate([class_weights(labels, DUPLICATES) for labels in positive])  # all files weigh the same
    found = [outputs(student, pairs) for pairs in files]
    for name, buffer, sign in (
        ("cosine", student.paraphrase_threshold, 1),
        ("paraphrase", student.paraphrase_shift, -1),
    ):
        scores = torch.cat([getattr(part, name) for part in found]).numpy()
        buffer.fill_(sign * best_threshold(scores, np.concatenate(positive), weights))
    return {
        "paraphrase_threshold": float(student.paraphrase_threshold),
        "paraphrase_shift": float(student.paraphrase_shift),
    }


def three_way_dev(data: Path) -> list[LabelledPairs]:
    """The three-way dev splits of NLI that have a training split beside them."""
    return [pairs for pairs in read_split(data, "dev", "entailment", trained=True).values() if is_three_way(pairs)]


def is_three_way(pairs: LabelledPairs) -> bool:
    """Whether every pair has one accepted label of ``NLI_LABELS``."""
    return bool((pairs.entailment.sum(axis=1) == 1).all()) and pairs.entailment.shape[1] == len(NLI_LABELS)
