"""Scores of a served bundle: one record a file, each equal to its definition."""

from pathlib import Path

import numpy as np
import pytest

from cmow.service.model.bundle import load_bundle
from cmow.service.model.engine import Engine
from tests.tiny_bundle import make_tiny_bundle
from tests.training.tiny_project import labelled, write_data, write_rows
from training.data.files import DataError, read_pairs
from training.evaluate import correlations, evaluate, nli_scores, paraphrase_scores


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine(load_bundle(make_tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny").path))


def test_every_file_of_pairs_has_a_record(engine: Engine, tmp_path: Path) -> None:
    said: list[str] = []
    records = evaluate(engine, write_data(tmp_path), said.append)
    assert {record["file"]: (record["task"], record["rows"]) for record in records} == {
        "nli/counterfactual/train.jsonl.gz": ("nli", 12),
        "nli/rte/dev.jsonl.gz": ("nli", 8),
        "nli/rte/train.jsonl.gz": ("nli", 8),
        "nli/snli/dev.jsonl.gz": ("nli", 12),
        "nli/snli/train.jsonl.gz": ("nli", 30),
        "paraphrase/mrpc/dev.jsonl.gz": ("paraphrase", 10),
        "paraphrase/mrpc/train.jsonl.gz": ("paraphrase", 10),
        "paraphrase/qqp/dev.jsonl.gz": ("paraphrase", 8),
        "paraphrase/qqp/train.jsonl.gz": ("paraphrase", 16),
        "similarity/stsb/dev.jsonl.gz": ("similarity", 12),
        "similarity/stsb/train.jsonl.gz": ("similarity", 12),
    }
    assert any("single sentences, passed over" in line for line in said)


def test_scores_agree_with_single_pairs(engine: Engine, tmp_path: Path) -> None:
    write_data(tmp_path)
    records = {str(record["file"]): record for record in evaluate(engine, tmp_path, lambda line: None)}
    pairs = read_pairs(tmp_path / "similarity/stsb/dev.jsonl.gz")
    cosines = [float(engine.answer("similarity", [(pair.sentence1, pair.sentence2)])[0]) for pair in pairs]
    expected = np.corrcoef(cosines, [pair.score or 0.0 for pair in pairs])[0, 1]
    assert records["similarity/stsb/dev.jsonl.gz"]["pearson"] == pytest.approx(expected, abs=1e-5)
    related = [float(engine.answer("relatedness", [(pair.sentence1, pair.sentence2)])[0]) for pair in pairs]
    expected = np.corrcoef(related, [pair.score or 0.0 for pair in pairs])[0, 1]
    assert records["similarity/stsb/dev.jsonl.gz"]["relatedness_pearson"] == pytest.approx(expected, abs=1e-5)
    pairs = read_pairs(tmp_path / "nli/snli/dev.jsonl.gz")
    labels = engine.bundle.manifest.labels
    right = [
        labels[engine.answer("entailment", [(pair.sentence1, pair.sentence2)])[0].argmax()] == pair.label
        for pair in pairs
    ]
    assert records["nli/snli/dev.jsonl.gz"]["accuracy"] == pytest.approx(np.mean(right))


def test_two_way_data_weigh_entailment_against_the_rest() -> None:
    probabilities = np.array([[0.6, 0.3, 0.1], [0.4, 0.3, 0.3], [0.1, 0.2, 0.7]])
    gold = ["entailment", "not_entailment", "entailment"]
    assert nli_scores(probabilities, gold)["accuracy"] == pytest.approx(2 / 3)
    # Three-way: the second pair's most probable label is entailment.
    assert nli_scores(probabilities, ["entailment", "entailment", "contradiction"]) == {
        "accuracy": 1.0,
        "macro_f1": 2 / 3,
        "calibration_error": pytest.approx((0.4 + 0.6 + 0.3) / 3),  # each alone in its bin
    }


def test_paraphrase_scores_by_hand() -> None:
    scores = paraphrase_scores(
        np.array([0.9, 0.8, 0.3, 0.1]), ["paraphrase", "not_paraphrase", "paraphrase", "not_paraphrase"], 0.5
    )
    assert scores == {
        "accuracy": 0.5,
        "balanced_accuracy": 0.5,
        "f1": 0.5,
        "average_precision": pytest.approx((1 + 2 / 3) / 2),
    }
    uneven = paraphrase_scores(np.array([0.9, 0.8, 0.3]), ["paraphrase", "not_paraphrase", "paraphrase"], 0.2)
    assert (uneven["accuracy"], uneven["balanced_accuracy"]) == (pytest.approx(2 / 3), 0.5)


def test_unknown_labels_and_folders_without_data_are_named(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected \*.jsonl.gz files"):
        evaluate(engine, tmp_path, print)
    write_rows(tmp_path / "nli/x/dev.jsonl.gz", labelled(("perhaps",), 3, 1))
    with pytest.raises(DataError, match=r"found \{'perhaps'\}"):
        evaluate(engine, tmp_path, print)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([3.0, 3.0], r"dev.jsonl.gz: expected at least two different scores, found \[3.0\]"),
        ([3.0], "expected at least two different scores"),
        ([3.0, None, 1.0], "expected a score in every row or in none, found it in 2 of 3"),
    ],
)
def test_scores_that_nothing_can_correlate_to(
    engine: Engine, tmp_path: Path, scores: list[float | None], message: str
) -> None:
    rows: list[dict[str, object]] = [{"sentence1": "a", "sentence2": "b"} for _ in scores]
    for row, score in zip(rows, scores, strict=True):
        row |= {"label": "neutral"} if score is None else {"score": score}
    write_rows(tmp_path / "similarity/x/dev.jsonl.gz", rows)
    with pytest.raises(DataError, match=message):
        evaluate(engine, tmp_path, print)


def test_equal_answers_correlate_to_nothing() -> None:
    assert correlations(np.ones(3), np.arange(3.0)) == {"spearman": 0, "pearson": 0}
    assert correlations(np.arange(3.0), np.arange(3.0) ** 3) == {"spearman": 1, "pearson": pytest.approx(0.9, abs=0.1)}
