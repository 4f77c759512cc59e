"""Measures of what a model says of labelled pairs. None of them is ever NaN.

Letters: P pairs, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
)

from training.data.files import NLI_LABELS, NOT_ENTAILMENT, PARAPHRASE_LABELS, DataError
from training.pairs.calibrate import Reliability, expected_calibration_error, reliability

Scores = dict[str, float]
FloatArray = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Classified:
    """Classes of P pairs: ``gold`` and ``predicted`` int64 [P], numbers of ``labels`` [C].

    ``confidence`` [P] is the probability of the predicted class.
    """

    labels: tuple[str, ...]
    gold: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: FloatArray

    @staticmethod
    def of_entailment(probabilities: FloatArray, accepted: NDArray[np.bool_]) -> Classified:
        """From probabilities and accepted labels [P, 3] in the order of ``NLI_LABELS``; two-way where any label is."""
        gold, labels = accepted.argmax(axis=1), tuple[str, ...](NLI_LABELS)
        if (accepted.sum(axis=1) > 1).any():
            labels = (NLI_LABELS[0], NOT_ENTAILMENT)
            probabilities = np.column_stack([probabilities[:, 0], 1 - probabilities[:, 0]])
            gold = (~accepted[:, 0]).astype(np.int64)
        return Classified(labels, gold, probabilities.argmax(axis=1), probabilities.max(axis=1))

    @staticmethod
    def of_paraphrase(probabilities: FloatArray, same: NDArray[np.bool_]) -> Classified:
        """From probabilities [P] of ``same`` [P]; a paraphrase from one half on."""
        predicted = (probabilities >= 0.5).astype(np.int64)
        confidence = np.where(predicted, probabilities, 1 - probabilities)
        return Classified(PARAPHRASE_LABELS, same.astype(np.int64), predicted, confidence)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the predicted class is the gold one [P]."""
        return np.asarray(self.predicted == self.gold)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error of the predicted class."""
        return expected_calibration_error(self.confidence, self.right)

    def reliability(self) -> Reliability:
        """Accuracy by confidence."""
        return reliability(self.confidence, self.right)

    def by_class(self) -> dict[str, Scores]:
        """Precision, recall, F1 and gold pairs of every class; 0 where there is nothing to divide by."""
        columns = precision_recall_fscore_support(
            self.gold, self.predicted, labels=range(len(self.labels)), zero_division=0
        )
        names = ("precision", "recall", "f1", "support")
        return {
            label: dict(zip(names, map(float, values), strict=True))
            for label, *values in zip(self.labels, *columns, strict=True)
        }

    def confusion(self) -> list[list[int]]:
        """Numbers of pairs [C, C]: gold classes down, predicted ones across."""
        counts: list[list[int]] = confusion_matrix(self.gold, self.predicted, labels=range(len(self.labels))).tolist()
        return counts


def correlations(predicted: FloatArray, gold: FloatArray) -> Scores:
    """Spearman and Pearson correlation of two float arrays [P]; those of equal numbers with others count as zero.

    Raises ``DataError`` unless ``gold`` has two different numbers, since nothing correlates to one.
    """
    if len(different := np.unique(gold)) < 2:
        raise DataError(f"expected at least two different scores, found {different.tolist()}")
    measures = {"spearman": spearmanr, "pearson": pearsonr}
    if len(np.unique(predicted)) < 2:
        return dict.fromkeys(measures, 0.0)
    return {name: float(measure(predicted, gold).statistic) for name, measure in measures.items()}


def nli_scores(found: Classified) -> Scores:
    """Accuracy, macro F1 and expected calibration error."""
    macro = f1_score(found.gold, found.predicted, labels=range(len(found.labels)), average="macro", zero_division=0)
    return {
        "accuracy": float(accuracy_score(found.gold, found.predicted)),
        "macro_f1": float(macro),
        "calibration_error": found.calibration_error,
    }


def paraphrase_scores(scores: FloatArray, same: NDArray[np.bool_], threshold: float) -> Scores:
    """Accuracy and F1 at ``threshold`` of cosines or probabilities [P].

    Where ``same`` [P] holds both classes, balanced accuracy and average precision too: of one class they say nothing.
    """
    predicted = scores >= threshold
    found = {
        "accuracy": float(accuracy_score(same, predicted)),
        "f1": float(f1_score(same, predicted, zero_division=0)),
    }
    if len(np.unique(same)) < 2:
        return found
    return found | {
        "balanced_accuracy": float(balanced_accuracy_score(same, predicted)),
        "average_precision": float(average_precision_score(same, scores)),
    }
