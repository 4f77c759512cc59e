"""The figure of an adaptation: what was taken for what before and after, and how the fit went."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.adapt.heads.choice import Choice
from training.adapt.heads.fit import CHECKS
from training.adapt.outcome import Answers, Outcome
from training.evaluation.metrics import Classified
from training.evaluation.plots import draw_reliability, draw_scatter, save_figure, styled


def plot(own: Outcome, choice: Choice, path: Path) -> None:
    """Write the figure of the ``own`` pairs, and of how long was best to fit."""
    with styled():
        figure = Figure(figsize=(14, 4.2), layout="constrained")
        before, after, trust, fit = figure.subplots(1, 4)
        for axes, title, answers in ((before, "before", own.before), (after, "after", own.after)):
            _draw(axes, title, answers)
        _draw_trust(trust, own)
        _draw_losses(fit, choice)
        save_figure(figure, path)


def _draw(axes: Axes, title: str, answers: Answers) -> None:
    found = answers.classified
    if found is None:
        draw_scatter(axes, {title: (answers.values, answers.pairs.similarity)})
    else:
        _draw_confusion(axes, found)
    axes.set_title(f"{title}: " + ", ".join(f"{name} {value:.3f}" for name, value in list(answers.scores.items())[:2]))


def _draw_confusion(axes: Axes, found: Classified) -> None:
    """Shares of each gold class, with numbers of pairs."""
    counts = np.array(found.confusion())
    shares = counts / counts.sum(axis=1, keepdims=True).clip(1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), number in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.6 else "black"
        axes.text(column, row, str(number), ha="center", va="center", color=colour)
    places = range(len(found.labels))
    axes.set_xticks(places, found.labels)
    axes.set_yticks(places, found.labels, rotation=90, va="center")
    axes.set(xlabel="predicted", ylabel="label in the file")
    axes.grid(visible=False)


def _draw_trust(axes: Axes, own: Outcome) -> None:
    pairs = {"before": own.before, "after": own.after}
    if own.after.classified is None:
        draw_scatter(axes, {name: (each.values, each.pairs.similarity) for name, each in pairs.items()})
        return
    found = {name: each.classified for name, each in pairs.items()}
    draw_reliability(axes, {name: each.reliability() for name, each in found.items() if each is not None})


def _draw_losses(axes: Axes, choice: Choice) -> None:
    axes.plot(range(len(choice.losses)), choice.losses, marker="o", markersize=3)
    axes.axvline(choice.check, color="grey", linestyle="--", linewidth=1)
    axes.set(
        xlabel=f"checks of the fit, {CHECKS} in all", ylabel="loss on held-out pairs", title="taken: the dashed one"
    )
