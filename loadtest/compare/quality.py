"""What every side says of the dev splits, against what people said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from loadtest.compare.contestant import Contestant
from loadtest.compare.side import Task
from training.data.files import split_files, suffix_of
from training.data.labelled import GOLD_FOLDERS, LabelledPairs, read_labelled
from training.evaluation.metrics import Classified, correlations, nli_scores

Quality = dict[str, dict[str, float]]  # split -> metric -> value

TASKS: tuple[Task, ...] = ("similarity", "entailment")


def dev_splits(data: Path, task: Task, most: int | None) -> dict[str, LabelledPairs]:
    """Every dev split of ``task`` below ``data``, by name, or its first ``most`` rows; raises ``DataError``."""
    paths = split_files(data, "dev", (GOLD_FOLDERS[task],))
    names = [path.relative_to(data).as_posix().removesuffix(suffix_of(path)) for path in paths]
    splits = {name: read_labelled(path, task) for name, path in zip(names, paths, strict=True)}
    if most is None:
        return splits
    return {f"{name}, first {most}": pairs.take(np.arange(min(most, len(pairs)))) for name, pairs in splits.items()}


def score_split(contestant: Contestant, task: Task, pairs: LabelledPairs) -> dict[str, float]:
    """Spearman and Pearson, or accuracy and macro F1."""
    scores = np.array(contestant.score(task, pairs.texts))
    if task == "similarity":
        return correlations(scores, pairs.similarity)
    return nli_scores(Classified.of_entailment(scores, pairs.entailment))


def qualities(
    contestants: list[Contestant], data: Path, most: int | None, say: Callable[[str], None]
) -> dict[str, Quality]:
    """Scores of every side at the tasks that its heads are trained for, on ``most`` rows of a split."""
    splits = {task: dev_splits(data, task, most) for task in TASKS}
    found: dict[str, Quality] = {}
    for contestant in contestants:
        for task in TASKS:
            if task not in contestant.trained:
                continue
            say(f"scores of {contestant.spec.title}: {task}")
            for name, pairs in splits[task].items():
                found.setdefault(contestant.spec.name, {})[name] = score_split(contestant, task, pairs)
    return found
