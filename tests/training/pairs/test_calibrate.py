"""The fitted numbers against trying every one."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.data.files import DataError
from training.data.labelled import LabelledPairs
from training.loop.losses import entailment_losses
from training.pairs.calibrate import best_threshold, class_weights, expected_calibration_error, platt
from training.pairs.fit import FEWEST, best_temperature, has_enough


@given(
    st.lists(
        st.tuples(st.integers(-9, 9), st.booleans(), st.integers(1, 5)),
        min_size=1,
        max_size=20,
        unique_by=lambda row: row[0],
    )
)
def test_no_cut_is_better(rows: list[tuple[int, bool, int]]) -> None:
    scores, positive, weight = (np.array(column) for column in zip(*rows, strict=True))
    scores = scores / 10

    def right(threshold: float) -> float:
        return float(weight[(scores >= threshold) == positive].sum())

    threshold = best_threshold(scores, positive, weight.astype(float))
    assert scores.min() <= threshold <= scores.max() + 1e-3
    assert right(threshold) == max(right(cut) for cut in np.linspace(-1, 1, 41))


def test_the_temperature_undoes_what_made_logits_too_sure() -> None:
    torch.manual_seed(0)
    logits = torch.randn(4000, 3)
    labels = torch.distributions.Categorical(logits=logits).sample()
    accepted = torch.nn.functional.one_hot(labels, 3).bool()
    temperature = best_temperature(4 * logits, accepted)
    assert temperature == pytest.approx(4, rel=0.1)
    losses = [entailment_losses(4 * logits / scale, accepted).mean() for scale in (1.0, temperature)]
    assert losses[1] < losses[0]


@pytest.mark.parametrize(("scale", "edge"), [(1000.0, "10"), (0.001, "0.1")])
def test_a_temperature_at_the_edge_is_no_answer(scale: float, edge: str) -> None:
    torch.manual_seed(0)
    logits = torch.randn(400, 3)
    labels = torch.distributions.Categorical(logits=logits).sample()
    accepted = torch.nn.functional.one_hot(labels, 3).bool()
    with pytest.raises(DataError, match=rf"expected a temperature .* best of those for 400 dev pairs is {edge}:"):
        best_temperature(scale * logits, accepted)


@pytest.mark.parametrize("count", [FEWEST - 1, FEWEST])
def test_too_few_pairs_for_a_temperature_are_said(count: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert has_enough(LabelledPairs.of([("a", "b")] * count)) == (count == FEWEST)
    assert ("expected 100 dev pairs or more, found 99" in capsys.readouterr().out) == (count < FEWEST)


def test_calibration_error_is_the_distance_of_confidence_from_accuracy() -> None:
    confident, right = np.array([0.9, 0.9, 0.9, 0.9, 0.5, 0.5]), np.array([1, 1, 1, 0, 1, 0], bool)
    assert expected_calibration_error(confident, right) == pytest.approx(4 / 6 * (0.9 - 0.75))
    assert expected_calibration_error(np.array([1.0]), np.array([True])) == 0


def test_classes_weigh_as_asked_whatever_their_counts() -> None:
    positive = np.array([True, True, True, False])
    weights = class_weights(positive, 0.25)
    assert weights.sum() == pytest.approx(1)
    assert weights[positive].sum() == pytest.approx(0.25)
    assert class_weights(np.array([True]), 0.25).tolist() == [0.25]


def test_the_scale_and_shift_that_made_the_labels_are_found() -> None:
    """Whatever share a source has of the rows: twice as many that weigh half as much change nothing."""
    chance = np.random.default_rng(0)
    logits = chance.normal(0, 3, 20_000)
    same = chance.random(len(logits)) < 1 / (1 + np.exp(1 - 0.5 * logits))
    weights = np.full(len(logits), 1 / len(logits))
    assert platt(logits, same, weights) == pytest.approx((0.5, -1), abs=0.05)
    doubled = [np.concatenate([values, values]) for values in (logits, same, weights / 2)]
    assert platt(*doubled) == pytest.approx(platt(logits, same, weights), abs=1e-3)
