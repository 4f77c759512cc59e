"""The model card's figures: how a run's scores rose, and how far the bundle's probabilities can be trusted.

    python -m training.studies.figures --data DIR [--run runs/student] [--bundle service/bundle] [--out docs]

writes ``learning_curves.svg`` from the run's ``metrics.jsonl`` and ``calibration.svg`` from the bundle's answers on the
three-way NLI splits named ``dev*``.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from cmow.service.errors import StartError
from cmow.service.model.bundle import load_bundle
from cmow.service.model.engine import Engine, EngineOptions
from training.data.files import DataError
from training.data.labelled import read_split
from training.evaluation.plots import draw_reliability, save_figure, styled
from training.options import parse_options
from training.pairs.calibrate import Reliability, is_three_way, reliability

Curves = dict[str, list[tuple[int, float]]]  # (step, value) of every measure

FEWEST = 20  # pairs of a bin that is drawn; the accuracy of fewer is chance


@dataclass(frozen=True)
class FiguresConfig:
    """What to draw, and where to."""

    data: Path = field(metadata={"help": "data folder with nli/"})
    run: Path = field(default=Path("runs/student"), metadata={"help": "folder of the run whose curves are drawn"})
    bundle: Path = field(default=Path("service/bundle"), metadata={"help": "bundle folder"})
    out: Path = field(default=Path("docs"), metadata={"help": "folder of the figures"})


def read_curves(path: Path) -> Curves:
    """Every number that ``path`` (``metrics.jsonl``) holds besides a step; ``DataError`` where it holds none."""
    curves: Curves = {}
    try:
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected the metrics of a run, one JSON object a line: {error}") from error
    for record in records:
        for name, value in record.items():
            if "step" in record and name != "step":
                curves.setdefault(name, []).append((record["step"], value))
    if not curves:
        raise DataError(f"{path}: expected lines with a step and scores, found none")
    return curves


def draw_curves(curves: Curves) -> Figure:
    """Losses at the left, scores on the dev splits at the right."""
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    kinds = {"loss": "mean loss since the last point", "accuracy": "dev accuracy", "spearman": "dev Spearman"}
    for axes, (ending, title) in zip(figure.subplots(1, len(kinds)), kinds.items(), strict=True):
        for name, points in curves.items():
            if name.endswith(f"_{ending}"):
                axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name.removesuffix(f"_{ending}"))
        axes.set(title=title, xlabel="step")
        if axes.lines:
            axes.legend(fontsize=7, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.13))
    return figure


def splits_reliability(engine: Engine, data: Path) -> dict[str, Reliability]:
    """Bins by confidence for each three-way NLI dev split, by the name of its folder."""
    found: dict[str, Reliability] = {}
    for name, pairs in read_split(data, "dev", "entailment").items():
        if is_three_way(pairs):
            probabilities = engine.answer("entailment", pairs.texts)
            chosen = probabilities.argmax(axis=1)
            right = pairs.entailment[np.arange(len(chosen)), chosen]
            found[name] = reliability(probabilities.max(axis=1), right)
    return found


def draw_calibration(splits: dict[str, Reliability]) -> Figure:
    """Accuracy over confidence on each of ``splits``."""
    figure = Figure(figsize=(5.5, 5), layout="constrained")
    draw_reliability(figure.subplots(), splits, FEWEST)
    return figure


def main(config: FiguresConfig) -> None:
    """Draw and write both figures."""
    try:
        engine = Engine(load_bundle(config.bundle), EngineOptions(threads=0))
        curves = read_curves(config.run / "metrics.jsonl")
        splits = splits_reliability(engine, config.data)
    except (DataError, StartError) as error:
        sys.exit(f"error: {error}")
    config.out.mkdir(parents=True, exist_ok=True)
    with styled():
        figures = {"learning_curves": draw_curves(curves), "calibration": draw_calibration(splits)}
        for name, figure in figures.items():
            path = config.out / f"{name}.svg"
            save_figure(figure, path)
            print(f"wrote {path}")


if __name__ == "__main__":
    main(parse_options(FiguresConfig))
