"""Plots hold what was measured, and the same plot is the same file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from training.evaluate import KINDS
from training.evaluation.plots import draw_reliability, draw_scatter, save_figure, styled
from training.pairs.calibrate import Reliability

BINS = Reliability(np.array([0.5, 0.9]), np.array([0.0, 0.8]), np.array([3, 4]))


def drawn() -> Figure:
    figure = Figure()
    left, right = figure.subplots(1, 2)
    draw_reliability(left, {"snli": BINS}, fewest=4)
    draw_scatter(right, {"stsb": (np.array([0.1, 0.2]), np.array([0.3, 0.4]))})
    return figure


def test_plots_hold_the_numbers() -> None:
    left, right = drawn().axes
    assert left.lines[1].get_xydata().tolist() == [[0.9, 0.8]]  # the other bin has too few pairs
    assert np.asarray(right.collections[0].get_offsets()).tolist() == [[0.3, 0.1], [0.4, 0.2]]


STARTS = {".png": b"\x89PNG", ".html": b"<!doctype html>", ".svg": b"<?xml"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_plot_is_the_same_file(tmp_path: Path, kind: str) -> None:
    paths = [tmp_path / f"{number}/out{kind}" for number in range(2)]
    for path in paths:
        path.parent.mkdir()
        with styled():
            save_figure(drawn(), path)
    first, second = (path.read_bytes() for path in paths)
    assert first.startswith(STARTS[kind])
    assert first == second
    assert kind == ".png" or b"</svg>" in first
