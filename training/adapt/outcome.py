"""What adaptation changed: the answers before and after, on somebody's own pairs and on general ones.

Letters: P pairs, K outputs of a head.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from training.data.labelled import LabelledPairs
from training.evaluation.metrics import (
    Classified,
    FloatArray,
    Scores,
    correlations,
    nli_scores,
    paraphrase_scores,
)
from training.evaluation.report import aligned, class_tables


@dataclass(frozen=True)
class Answers:
    """Probabilities [P, 3] of entailment, or [P] of what has one score, of ``pairs`` with labels for that task."""

    task: str
    values: FloatArray
    pairs: LabelledPairs

    @property
    def classified(self) -> Classified | None:
        """As classes, where the task has any."""
        if self.task == "entailment":
            return Classified.of_entailment(self.values, self.pairs.entailment)
        if self.task == "paraphrase":
            return Classified.of_paraphrase(self.values, self.pairs.paraphrase > 0.5)
        return None

    @property
    def scores(self) -> Scores:
        """Measures of the task."""
        found = self.classified
        if found is None:
            return correlations(self.values, self.pairs.similarity)
        if self.task == "entailment":
            return nli_scores(found)
        same = paraphrase_scores(self.values, self.pairs.paraphrase > 0.5, 0.5)
        return same | {"calibration_error": found.calibration_error}


@dataclass(frozen=True)
class Outcome:
    """``before`` and ``after``, of the same pairs that are called ``name``."""

    name: str
    before: Answers
    after: Answers

    def text(self) -> str:
        """Measures side by side, and for classes each of them and what was taken for what, as it is now."""
        before, after = self.before.scores, self.after.scores
        rows = [[metric, f"{before[metric]:.4f}", f"{after[metric]:.4f}"] for metric in after]
        table = aligned([[f"{self.name} ({len(self.after.pairs)} pairs)", "before", "after"], *rows])
        found = self.after.classified
        return table if found is None else f"{table}\n{class_tables(found)}"


def kept(task: str, before: FloatArray, after: FloatArray) -> str:
    """How far ``after`` [P, ...] are the answers ``before``, in words."""
    if task == "relatedness":
        return f"correlation of answers before and after {np.corrcoef(before, after)[0, 1]:.4f}"
    chosen = [values.argmax(axis=1) if task == "entailment" else values >= 0.5 for values in (before, after)]
    return f"{np.mean(chosen[0] == chosen[1]):.1%} of answers are what they were"


def probabilities(logits: Tensor) -> FloatArray:
    """Of logits [P, K]: [P, 3] of classes, or [P] of one output."""
    if logits.shape[1] == 1:
        return np.asarray(logits[:, 0].double().sigmoid().numpy())
    return np.asarray(logits.double().softmax(dim=1).numpy())
