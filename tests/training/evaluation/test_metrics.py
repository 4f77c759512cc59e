"""Measures by hand: every number from its definition, and none of them NaN."""

from __future__ import annotations

import math

import numpy as np
import pytest

from training.data.files import DataError
from training.evaluation.metrics import Classified, correlations, nli_scores, paraphrase_scores

ACCEPTED = {
    "entailment": [True, False, False],
    "contradiction": [False, False, True],
    "not_entailment": [False, True, True],
}


def entailment(probabilities: list[list[float]], gold: list[str]) -> Classified:
    return Classified.of_entailment(np.array(probabilities), np.array([ACCEPTED[label] for label in gold]))


def test_two_way_data_weigh_entailment_against_the_rest() -> None:
    probabilities = [[0.6, 0.3, 0.1], [0.4, 0.3, 0.3], [0.1, 0.2, 0.7]]
    two_way = entailment(probabilities, ["entailment", "not_entailment", "entailment"])
    assert two_way.labels == ("entailment", "not_entailment")
    assert nli_scores(two_way)["accuracy"] == pytest.approx(2 / 3)
    # Three-way: the second pair's most probable label is entailment.
    assert nli_scores(entailment(probabilities, ["entailment", "entailment", "contradiction"])) == {
        "accuracy": 1.0,
        "macro_f1": 2 / 3,
        "calibration_error": pytest.approx((0.4 + 0.6 + 0.3) / 3),  # each alone in its bin
    }


def test_every_class_by_hand() -> None:
    found = Classified(("a", "b", "c"), np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), np.full(4, 0.9))
    assert found.confusion() == [[2, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert found.by_class() == {
        "a": {"precision": 1.0, "recall": pytest.approx(2 / 3), "f1": pytest.approx(0.8), "support": 3.0},
        "b": {"precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3), "support": 1.0},
        "c": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0.0},
    }
    assert found.calibration_error == pytest.approx(0.9 - 0.75)


def test_paraphrase_scores_by_hand() -> None:
    scores = paraphrase_scores(np.array([0.9, 0.8, 0.3, 0.1]), np.array([True, False, True, False]), 0.5)
    assert scores == {
        "accuracy": 0.5,
        "balanced_accuracy": 0.5,
        "f1": 0.5,
        "average_precision": pytest.approx((1 + 2 / 3) / 2),
    }
    uneven = paraphrase_scores(np.array([0.9, 0.8, 0.3]), np.array([True, False, True]), 0.2)
    assert (uneven["accuracy"], uneven["balanced_accuracy"]) == (pytest.approx(2 / 3), 0.5)


def test_a_paraphrase_begins_at_one_half() -> None:
    found = Classified.of_paraphrase(np.array([0.5, 0.4, 0.9]), np.array([True, True, False]))
    assert found.predicted.tolist() == [1, 0, 1]
    assert found.confidence.tolist() == [0.5, 0.6, 0.9]
    assert found.confusion() == [[0, 1], [1, 1]]


@pytest.mark.parametrize("same", [True, False])
def test_one_class_leaves_out_what_needs_two(same: bool) -> None:
    gold = np.full(3, same)
    scores = np.array([0.9, 0.8, 0.3])
    found = paraphrase_scores(scores, gold, 0.5)
    assert found.keys() == {"accuracy", "f1"}
    classes = Classified.of_paraphrase(scores, gold).by_class()
    assert not any(math.isnan(value) for value in (*found.values(), *classes["paraphrase"].values()))


def test_equal_answers_correlate_to_nothing() -> None:
    assert correlations(np.ones(3), np.arange(3.0)) == {"spearman": 0, "pearson": 0}
    assert correlations(np.arange(3.0), np.arange(3.0) ** 3) == {"spearman": 1, "pearson": pytest.approx(0.9, abs=0.1)}
    with pytest.raises(DataError, match=r"expected at least two different scores, found \[3.0\]"):
        correlations(np.arange(3.0), np.full(3, 3.0))
