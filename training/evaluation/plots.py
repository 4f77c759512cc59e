"""Plots of how far answers can be trusted: accuracy by confidence, and given scores beside those of people."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.evaluation.metrics import FloatArray
from training.pairs.calibrate import Reliability


def styled() -> AbstractContextManager[None]:
    """The look of every figure, while it is drawn and saved."""
    return mpl.rc_context({"svg.hashsalt": "cmow", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3})


def draw_reliability(axes: Axes, splits: Mapping[str, Reliability], fewest: int = 1) -> None:
    """Accuracy over confidence; on the diagonal, probabilities mean what they say. Areas show the share of pairs.

    Bins of fewer than ``fewest`` pairs are left out.
    """
    axes.plot([1 / 3, 1], [1 / 3, 1], color="grey", linestyle="--", linewidth=1, label="perfect")
    for name, bins in splits.items():
        confidence, accuracy, count = (values[bins.pairs >= fewest] for values in bins)
        (line,) = axes.plot(confidence, accuracy, linewidth=1, label=name)
        axes.scatter(confidence, accuracy, s=200 * count / count.sum(), color=line.get_color())
    axes.set(xlabel="confidence: probability of the chosen label", ylabel="accuracy")
    axes.legend(fontsize=8)


def draw_scatter(axes: Axes, splits: Mapping[str, tuple[FloatArray, FloatArray]]) -> None:
    """The relatedness [P] that the model gives over the score [P] that people gave, 0 to 1."""
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--", linewidth=1, label="equal")
    for name, (predicted, gold) in splits.items():
        axes.scatter(gold, predicted, s=8, alpha=0.5, label=name)
    axes.set(xlabel="score in the file, as a share of its range", ylabel="relatedness")
    axes.legend(fontsize=8)


def save_figure(figure: Figure, path: Path) -> None:
    """Write ``figure`` as PNG or SVG, or as a page of HTML that holds it; the same figure is the same file."""
    if path.suffix == ".png":
        figure.savefig(path, dpi=150)
        return
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None})
    text = drawn.getvalue()
    if path.suffix == ".html":
        text = f'<!doctype html>\n<meta charset="utf-8">\n<title>{path.stem}</title>\n{text[text.index("<svg") :]}'
    path.write_text(text, encoding="utf-8")
