"""What every side says of the dev splits, against what people said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from loadtest.compare.contestant import Contestant
from loadtest.compare.side import Task
from training.data.files import Pair, read_pairs, split_files
from training.evaluate import correlations, gold_scores, nli_scores

Quality = dict[str, dict[str, float]]  # split -> metric -> value

FOLDERS: dict[Task, str] = {"similarity": "similarity", "entailment": "nli"}


def dev_splits(data: Path, task: Task, most: int | None) -> dict[str, list[Pair]]:
    """Every dev split of ``task`` below ``data``, by name, or its first ``most`` rows; raises ``DataError``."""
    paths = split_files(data, "dev", (FOLDERS[task],))
    rows = {path.relative_to(data).as_posix().removesuffix(".jsonl.gz"): read_pairs(path) for path in paths}
    return rows if most is None else {f"{name}, first {most}": pairs[:most] for name, pairs in rows.items()}


def score_split(contestant: Contestant, task: Task, pairs: list[Pair]) -> dict[str, float]:
    """Spearman and Pearson, or accuracy and macro F1."""
    scores = np.array(contestant.score(task, [(pair.sentence1, pair.sentence2) for pair in pairs]))
    if task == "similarity":
        return correlations(scores, gold_scores(pairs))
    return nli_scores(scores, [str(pair.label) for pair in pairs])


def qualities(
    contestants: list[Contestant], data: Path, most: int | None, say: Callable[[str], None]
) -> dict[str, Quality]:
    """Scores of every side at the tasks that its heads are trained for, on ``most`` rows of a split."""
    splits = {task: dev_splits(data, task, most) for task in FOLDERS}
    found: dict[str, Quality] = {}
    for contestant in contestants:
        for task in FOLDERS:
            if task not in contestant.trained:
                continue
            say(f"scores of {contestant.spec.title}: {task}")
            for name, pairs in splits[task].items():
                found.setdefault(contestant.spec.name, {})[name] = score_split(contestant, task, pairs)
    return found
