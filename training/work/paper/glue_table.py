"""The work of ``training.paper.glue_table``.

python -m training.paper.glue_table [runs/glue]
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from training.data.files import DataError
from training.paper.glue_table import GlueTableConfig
from training.paper.tasks import TASKS

RESULT = "result.json"


@dataclass(frozen=True)
class Result:
    """What ``result.json`` holds: the run, the rows it learned from and its ``metrics``, from -1 to 1."""

    task: str
    preset: str
    evaluated: str  # on which rows
    rows: int
    metrics: dict[str, float]
    teacher: str = ""
    teacher_metrics: dict[str, float] | None = None  # on the training rows


class Published(NamedTuple):
    """Scores in percent: the paper's bidirectional Hybrid with an MLP, and DistilBERT."""

    student: float
    distilbert: float


# Galke et al., arXiv 2109.08449, its table of GLUE results.
PUBLISHED = {
    "mnli": Published(66.6, 82.2),
    "mrpc": Published(79.7, 87.5),
    "qnli": Published(71.7, 89.2),
    "qqp": Published(87.2, 88.5),
    "rte": Published(61.0, 59.9),
    "stsb": Published(76.9, 86.9),
    "cola": Published(16.7, 51.3),
    "sst2": Published(82.9, 91.3),
}


def read_results(folder: Path) -> list[Result]:
    """Every result below ``folder``, in the order of ``TASKS``; ``DataError`` where there is none or one is damaged."""
    results = []
    for path in sorted(folder.rglob(RESULT)):
        try:
            results.append(Result(**json.loads(path.read_text())))
        except (ValueError, TypeError) as error:
            raise DataError(f"{path}: expected a result of training.paper.glue: {error}") from error
    if not results:
        raise DataError(f"{folder}: expected {RESULT} of training.paper.glue below this folder, found none")
    return sorted(results, key=lambda result: (list(TASKS).index(result.task), result.preset))


def table(folder: Path) -> str:
    """The Markdown table of all results below ``folder``."""
    lines = [
        "| task | preset | training rows | scored on | metric | here | the paper's student | DistilBERT |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for result in read_results(folder):
        metrics = TASKS[result.task].metrics
        here = " / ".join(f"{100 * result.metrics[metric]:.1f}" for metric in metrics)
        published = PUBLISHED.get(result.task)
        others = ("-", "-") if published is None else tuple(f"{score:.1f}" for score in published)
        preset = result.preset + (" + teacher" if result.teacher else "")
        cells = (result.task, preset, f"{result.rows:,}", result.evaluated, " / ".join(metrics), here, *others)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(config: GlueTableConfig) -> None:
    """Print the table of all results below a folder."""
    print(table(config.folder))
