"""The work of ``training.studies.figures``.

writes ``learning_curves.svg`` from the run's ``metrics.jsonl`` and ``calibration.svg`` from the bundle's answers on the
three-way NLI splits named ``dev*``.
"""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from cmow.service.model.bundle import load_bundle
from cmow.service.model.engine import Engine, EngineOptions
from training.data.files import DataError, by_name, split_files
from training.data.labelled import read_nli
from training.pairs.calibrate import Reliability, is_three_way, reliability
from training.studies.figures import FiguresConfig

Curves = dict[str, list[tuple[int, float]]]  # (step, value) of every measure

FEWEST = 20  # pairs of a bin that is drawn; the accuracy of fewer is chance


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
    for name, path in by_name(split_files(data, "dev", ("nli",))).items():
        pairs = read_nli(path)
        if is_three_way(pairs):
            probabilities = engine.answer("entailment", pairs.texts)
            chosen = probabilities.argmax(axis=1)
            right = pairs.entailment[np.arange(len(chosen)), chosen]
            found[name] = reliability(probabilities.max(axis=1), right)
    return found


def draw_reliability(splits: dict[str, Reliability]) -> Figure:
    """Accuracy over confidence; on the diagonal, probabilities mean what they say. Areas show the share of pairs."""
    figure = Figure(figsize=(5.5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot([1 / 3, 1], [1 / 3, 1], color="grey", linestyle="--", linewidth=1, label="perfect")
    for name, bins in splits.items():
        confidence, accuracy, count = (values[bins.pairs >= FEWEST] for values in bins)
        (line,) = axes.plot(confidence, accuracy, linewidth=1, label=name)
        axes.scatter(confidence, accuracy, s=200 * count / count.sum(), color=line.get_color())
    axes.set(xlabel="confidence: probability of the chosen label", ylabel="accuracy")
    axes.legend(fontsize=8)
    return figure


def main(config: FiguresConfig) -> None:
    """Draw and write both figures."""
    engine = Engine(load_bundle(config.bundle), EngineOptions(threads=config.threads))
    curves = read_curves(config.run / "metrics.jsonl")
    splits = splits_reliability(engine, config.data)
    config.out.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": "cmow", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3}):
        figures = {"learning_curves": draw_curves(curves), "calibration": draw_reliability(splits)}
        for name, figure in figures.items():
            path = config.out / f"{name}.svg"
            figure.savefig(path, metadata={"Date": None})  # the same figure is the same file
            print(f"wrote {path}")
