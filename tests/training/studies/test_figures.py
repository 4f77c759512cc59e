"""Figures hold what was measured, and bad metrics stop with a message."""

import json
from pathlib import Path

import numpy as np
import pytest

from training.data.files import DataError
from training.pairs.calibrate import Reliability, reliability
from training.studies.figures import FEWEST, draw_calibration, draw_curves, read_curves


def test_curves_are_the_numbers_of_the_run(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    records = [{"step": 5, "pair_loss": 2.0, "snli_accuracy": 0.4}, {"step": 9, "pair_loss": 1.5}, {"event": "done"}]
    path.write_text("\n".join(map(json.dumps, records)))
    curves = read_curves(path)
    assert curves == {"pair_loss": [(5, 2.0), (9, 1.5)], "snli_accuracy": [(5, 0.4)]}
    losses, accuracies, correlations = draw_curves(curves).axes
    assert [line.get_xydata().tolist() for line in losses.lines] == [[[5, 2.0], [9, 1.5]]]
    assert [line.get_label() for line in accuracies.lines] == ["snli"]
    assert not correlations.lines


@pytest.mark.parametrize("text", ["", "{", '{"event": "done"}'])
def test_metrics_without_scores_are_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "metrics.jsonl"
    with pytest.raises(DataError, match=r"metrics\.jsonl: expected"):
        read_curves(path)
    path.write_text(text)
    with pytest.raises(DataError, match=r"metrics\.jsonl: expected"):
        read_curves(path)


def test_bins_hold_what_falls_into_them() -> None:
    random = np.random.default_rng(0)
    confidence, right = random.uniform(0.34, 1, 500), random.random(500) < 0.6
    expected = []
    for low in range(10):
        inside = (confidence >= low / 10) & (confidence < (low + 1) / 10)
        if inside.any():
            expected.append((confidence[inside].mean(), right[inside].mean(), inside.sum()))
    np.testing.assert_allclose(np.transpose(reliability(confidence, right, bins=10)), expected)


def test_bins_of_few_pairs_are_not_drawn() -> None:
    bins = Reliability(np.array([0.5, 0.9]), np.array([0.0, 0.8]), np.array([FEWEST - 1, FEWEST]))
    (axes,) = draw_calibration({"snli": bins}).axes
    _, line = axes.lines
    assert line.get_xydata().tolist() == [[0.9, 0.8]]
