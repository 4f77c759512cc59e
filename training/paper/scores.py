"""How the tasks are scored, and the folds of one that has no dev rows.

Letters: P rows, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef
from sklearn.model_selection import KFold, StratifiedKFold

from training.paper.tasks import Task

Floats = NDArray[np.floating[Any]]
Numbers = NDArray[np.int64]

METRICS: dict[str, Callable[[Any, Any], float]] = {
    "accuracy": accuracy_score,
    "f1": f1_score,
    "matthews": matthews_corrcoef,
    "spearman": lambda gold, predicted: float(spearmanr(gold, predicted).statistic),
    "pearson": lambda gold, predicted: float(pearsonr(gold, predicted).statistic),
}


def folds(task: Task, targets: NDArray[np.float64], count: int, seed: int) -> Iterator[tuple[Numbers, Numbers]]:
    """(numbers of the rows to train on, of those held out) for each fold; with every class in its share."""
    kind = KFold if task.is_regression else StratifiedKFold
    yield from kind(count, shuffle=True, random_state=seed).split(targets, targets)


def scores(task: Task, outputs: Floats, targets: Floats) -> dict[str, float]:
    """The task's metrics for outputs [P, C], logits or one score a row, against ``targets`` [P]."""
    predicted = outputs[:, 0] if task.is_regression else outputs.argmax(axis=1)
    return {metric: round(float(METRICS[metric](targets, predicted)), 4) for metric in task.metrics}
