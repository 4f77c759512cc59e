"""The tasks of GLUE, SNLI and SICK: where their rows are, their labels, and how they are scored.

Wang et al., "GLUE" (ICLR 2019), for the metrics; the hub's columns and label numbers are those of ``nyu-mll/glue``,
``stanfordnlp/snli`` and ``RobZamp/sick``. Letters: P rows, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef
from sklearn.model_selection import KFold, StratifiedKFold

from training.data.files import NLI_LABELS, NOT_ENTAILMENT, PARAPHRASE_LABELS, DataError, split_files
from training.data.hub import check_columns, is_data_folder, load_split
from training.data.labelled import GOLD_FOLDERS, label_names, read_labelled
from training.data.labels import Gold
from training.data.rows import read_sentences

Floats = NDArray[np.floating[Any]]
Numbers = NDArray[np.int64]
TWO_WAY = (NLI_LABELS[0], NOT_ENTAILMENT)

METRICS: dict[str, Callable[[Any, Any], float]] = {
    "accuracy": accuracy_score,
    "f1": f1_score,
    "matthews": matthews_corrcoef,
    "spearman": lambda gold, predicted: float(spearmanr(gold, predicted).statistic),
    "pearson": lambda gold, predicted: float(pearsonr(gold, predicted).statistic),
}


@dataclass(frozen=True)
class Task:
    """One task; the first of ``metrics`` is the one that tables show.

    ``labels`` stand in the order of the hub's numbers; a task without labels has scores from ``low`` to ``high``.
    """

    folder: str  # below the data folder
    columns: tuple[str, ...]  # of the hub: one or two texts, then the label or score
    subset: str | None  # configuration on the hub
    labels: tuple[str, ...]
    metrics: tuple[str, ...] = ("accuracy",)
    dev: str = "dev"  # how the names of the evaluation files start
    hub_dev: str = "validation"
    low: float = 0.0
    high: float = 5.0
    epochs: int = 5  # small training sets need more passes

    @property
    def is_pair(self) -> bool:
        """Whether a row has two texts."""
        return len(self.columns) == 3

    @property
    def gold(self) -> Gold:
        """What the data say of a pair."""
        return next(gold for gold, folder in GOLD_FOLDERS.items() if self.folder.startswith(f"{folder}/"))

    @property
    def is_regression(self) -> bool:
        """Whether a row has a score instead of a label."""
        return not self.labels

    @property
    def outputs(self) -> int:
        """Numbers that a model of this task gives for a row, C."""
        return len(self.labels) or 1


_NUMBERED = ("sentence1", "sentence2", "label")
TASKS = {
    "cola": Task(
        "single/cola",
        ("sentence", "label"),
        "cola",
        ("unacceptable", "acceptable"),
        ("matthews", "accuracy"),
        epochs=10,
    ),
    "sst2": Task("single/sst2", ("sentence", "label"), "sst2", ("negative", "positive"), epochs=3),
    "mrpc": Task("paraphrase/mrpc", _NUMBERED, "mrpc", PARAPHRASE_LABELS, ("accuracy", "f1"), epochs=10),
    "stsb": Task("similarity/stsb", _NUMBERED, "stsb", (), ("spearman", "pearson"), epochs=10),
    "qqp": Task(
        "paraphrase/qqp", ("question1", "question2", "label"), "qqp", PARAPHRASE_LABELS, ("accuracy", "f1"), epochs=3
    ),
    "mnli": Task(
        "nli/mnli",
        ("premise", "hypothesis", "label"),
        "mnli",
        NLI_LABELS,
        dev="dev-matched",
        hub_dev="validation_matched",
        epochs=3,
    ),
    "qnli": Task("nli/qnli", ("question", "sentence", "label"), "qnli", TWO_WAY, epochs=3),
    "rte": Task("nli/rte", _NUMBERED, "rte", TWO_WAY, epochs=10),
    "wnli": Task("nli/wnli", _NUMBERED, "wnli", TWO_WAY[::-1], epochs=10),
    "snli": Task("nli/snli", ("premise", "hypothesis", "label"), None, NLI_LABELS, epochs=3),
    "sick-e": Task("nli/sick", ("sentence_A", "sentence_B", "label"), None, NLI_LABELS, epochs=10),
    "sick-r": Task(
        "similarity/sick",
        ("sentence_A", "sentence_B", "relatedness_score"),
        None,
        (),
        ("spearman", "pearson"),
        low=1.0,
        epochs=10,
    ),
}


@dataclass(frozen=True)
class Examples:
    """P rows: one or two texts each, and ``targets`` float64 [P], class numbers or scores scaled to 0..1."""

    texts: list[tuple[str, ...]]
    targets: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: NDArray[np.int64]) -> Examples:
        """The rows ``rows``, in that order."""
        return Examples([self.texts[row] for row in rows], self.targets[rows])


def task_named(name: str) -> Task:
    """The task ``name``; ``DataError`` for any other."""
    if name not in TASKS:
        raise DataError(f"--task: expected one of {', '.join(TASKS)}, found {name!r}")
    return TASKS[name]


def read_split(name: str, data: Path, split: str) -> Examples | None:
    """The rows of ``train`` or ``dev``, from a data folder or the hub; ``None`` where a data folder has none."""
    task = task_named(name)
    if not is_data_folder(data):
        return _from_hub(task, data, "train" if split == "train" else task.hub_dev)
    paths = split_files(data, "train" if split == "train" else task.dev, (task.folder,))
    if not paths:
        return None
    parts = [_from_file(task, path) for path in paths]
    return Examples([row for part in parts for row in part.texts], np.concatenate([part.targets for part in parts]))


def _from_file(task: Task, path: Path) -> Examples:
    if not task.is_pair:
        sentences = read_sentences(path, task.labels)
        return Examples([(text,) for text, _ in sentences], _numbers(task, [label for _, label in sentences], path))
    pairs = read_labelled(path, task.gold, scale=(task.low, task.high))
    if task.gold == "entailment":
        return Examples([*pairs.texts], _numbers(task, label_names(pairs.entailment), path))
    return Examples([*pairs.texts], pairs.similarity if task.is_regression else pairs.paraphrase)


def _numbers(task: Task, labels: list[str], path: Path) -> NDArray[np.float64]:
    """The number of each label, as the hub has it."""
    if unknown := set(labels) - set(task.labels):
        raise DataError(f"{path}: expected labels of {', '.join(task.labels)}, found {', '.join(sorted(unknown))}")
    return np.array([task.labels.index(label) for label in labels], np.float64)


def _from_hub(task: Task, data: Path, split: str) -> Examples:
    rows = load_split(data, task.subset, split)
    where = f"{data} {task.subset or ''} {split}"
    check_columns(rows, task.columns, where)
    *texts, targets = (list(rows[column]) for column in task.columns)
    # The authors of SNLI mark with -1 that no label won a majority.
    kept = [row for row, target in enumerate(targets) if task.is_regression or target != -1]
    return _examples(
        task, [tuple(column[row] for column in texts) for row in kept], [targets[row] for row in kept], where
    )


def _examples(task: Task, texts: list[tuple[str, ...]], targets: list[float], where: str) -> Examples:
    """Rows whose targets are checked and scaled."""
    if not all(isinstance(text, str) for row in texts for text in row):
        raise DataError(f"{where}: expected texts in {task.columns[:-1]}")
    values = np.array(targets, np.float64)
    low, high = (task.low, task.high) if task.is_regression else (0, len(task.labels) - 1)
    if not ((values >= low) & (values <= high)).all():
        wrong = values[~((values >= low) & (values <= high))][0]
        raise DataError(f"{where}: expected {task.columns[-1]} from {low} to {high}, found {wrong}")
    return Examples(texts, (values - low) / (high - low) if task.is_regression else values)


def splits(name: str, data: Path) -> tuple[Examples, Examples | None]:
    """Training rows, and dev rows where a data folder has them; ``DataError`` where it has no training rows."""
    train, dev = read_split(name, data, "train"), read_split(name, data, "dev")
    if train is None:
        expected = f"expected {data / task_named(name).folder}/train*, found none"
        raise DataError(f"{name}: {expected}; --data nyu-mll/glue takes the task from the hub")
    return train, dev


def folds(task: Task, targets: NDArray[np.float64], count: int, seed: int) -> Iterator[tuple[Numbers, Numbers]]:
    """(numbers of the rows to train on, of those held out) for each fold; with every class in its share."""
    kind = KFold if task.is_regression else StratifiedKFold
    yield from kind(count, shuffle=True, random_state=seed).split(targets, targets)


def scores(task: Task, outputs: Floats, targets: Floats) -> dict[str, float]:
    """The task's metrics for outputs [P, C], logits or one score a row, against ``targets`` [P]."""
    predicted = outputs[:, 0] if task.is_regression else outputs.argmax(axis=1)
    return {metric: round(float(METRICS[metric](targets, predicted)), 4) for metric in task.metrics}
