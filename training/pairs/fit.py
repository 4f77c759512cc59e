"""What is fitted of a student once its weights are trained: the temperature of entailment, where a paraphrase begins.

The temperature (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017) divides all logits by one number, so
that probabilities mean what they say; it is fitted on dev splits, changes no label, and is the only thing that is. The
paraphrase cuts, one for the cosine and one for the paraphrase head, come from the training splits of
paraphrases: MRPC stays unseen by all that is fitted.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cmow.service.text.tokenizer import Tokenizer
from training.data.labelled import LabelledPairs, read_split
from training.loop.losses import entailment_losses
from training.pairs.calibrate import DUPLICATES, best_threshold, class_weights, is_three_way
from training.pairs.pairset import PairSet, outputs
from training.student.model import Student


def best_temperature(logits: Tensor, accepted: Tensor) -> float:
    """What the logits [P, 3] must be divided by for the smallest mean negative log probability of ``accepted``."""
    candidates = torch.logspace(-1, 1, 201)
    losses = [entailment_losses(logits / temperature, accepted).mean() for temperature in candidates]
    return float(candidates[int(torch.stack(losses).argmin())])


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
