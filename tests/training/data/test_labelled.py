"""Labelled pairs: what their files say of them, and the splits of a data folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.training.data.written import write_labelled
from tests.training.tiny_project import write_data
from training.data.files import DataError
from training.data.labelled import LabelledPairs, label_names, read_labelled, read_split
from training.data.reading import Reading


def write_values(folder: Path, *values: object, suffix: str = ".csv") -> Path:
    rows = [{"text1": f"a{row}", "text2": f"b{row}", "label": value} for row, value in enumerate(values)]
    return write_labelled(folder, suffix, rows)


def test_entailment(tmp_path: Path) -> None:
    pairs = read_labelled(write_values(tmp_path, "entailment", "neutral", "contradiction"), "entailment")
    assert pairs.texts == [("a0", "b0"), ("a1", "b1"), ("a2", "b2")]
    np.testing.assert_array_equal(pairs.entailment, np.eye(3, dtype=bool))
    assert np.isnan(pairs.similarity).all()
    assert np.isnan(pairs.paraphrase).all()
    two_way = read_labelled(write_values(tmp_path, "entailment", "not_entailment"), "entailment")
    assert two_way.entailment.tolist() == [[True, False, False], [False, True, True]]
    assert label_names(two_way.entailment) == ["entailment", "not_entailment"]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_paraphrase_and_scores(tmp_path: Path, suffix: str) -> None:
    assert read_labelled(write_values(tmp_path, True, False, suffix=suffix), "paraphrase").paraphrase.tolist() == [1, 0]
    path = write_values(tmp_path, 0.5, 5.0, suffix=suffix)
    assert read_labelled(path, "similarity").similarity.tolist() == [0.1, 1]
    assert read_labelled(path, "relatedness").similarity.tolist() == [0.1, 1]
    assert read_labelled(path, "similarity", scale=(0, 10)).similarity.tolist() == [0.05, 0.5]


def test_of_a_score_and_a_label_the_wanted_one_is_read(tmp_path: Path) -> None:
    rows = [
        {"sentence1": "a", "sentence2": "b", "label": label, "score": score} for label, score in (("e", 0), ("n", 5))
    ]
    path = write_labelled(tmp_path, ".csv", rows)
    assert label_names(read_labelled(path, "entailment").entailment) == ["entailment", "neutral"]
    assert read_labelled(path, "similarity").similarity.tolist() == [0, 1]


def test_rows_without_a_label_are_left_out_and_lines_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_values(tmp_path, "neutral", "-", "entailment", "-")
    pairs = read_labelled(path, "entailment")
    assert pairs.lines.tolist() == [2, 4]
    assert capsys.readouterr().err == f"warning: {path}: rows left out: 2 with no label, the first in line 3\n"
    assert LabelledPairs.joined([pairs, LabelledPairs.of([("a", "b")])]).take(np.array([2, 1])).lines.tolist() == [0, 4]
    with pytest.raises(DataError, match="expected at least one row to use, found 2 with no label, the first in line 2"):
        read_labelled(write_values(tmp_path, "-", "-"), "entailment")


@pytest.mark.parametrize(
    ("task", "value", "message"),
    [
        ("paraphrase", "yes", "expected more than one label, found paraphrase in every row"),
        ("similarity", "0.5", "expected more than one score, found 0.5 in every row"),
    ],
)
def test_one_answer_for_all_is_said(
    tmp_path: Path, task: str, value: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_values(tmp_path, value, value)
    read_labelled(path, task)  # type: ignore[arg-type]
    assert capsys.readouterr().err == f"warning: {path}: {message}\n"


def test_splits_of_folders_of_any_name_in_any_format(tmp_path: Path) -> None:
    data = write_data(tmp_path)
    write_values(data / "paraphrase/mine", "yes", "no").rename(data / "paraphrase/mine/train.csv")
    assert [*read_split(data, "train", "paraphrase")] == ["mine", "qqp"]  # MRPC is held out
    assert [*read_split(data, "dev", "paraphrase")] == ["mrpc", "qqp"]
    write_values(data / "nli/mine", "neutral", "entailment", suffix=".parquet").rename(data / "nli/mine/dev.parquet")
    assert [*read_split(data, "dev", "entailment")] == ["mine", "rte", "snli"]
    assert [*read_split(data, "dev", "entailment", trained=True)] == ["rte", "snli"]


@pytest.mark.parametrize(
    ("reading", "folder", "values", "task"),
    [
        (Reading(), "nli/mine", ["0", "1", "2"], "entailment"),
        (Reading(), "anywhere", ["neutral", "-", "e"], "entailment"),
        (Reading(task="paraphrase"), "nli/mine", ["0", "1"], "paraphrase"),
        (Reading(labels=["a=b=paraphrase", "no=not_paraphrase"]), "anywhere", ["a=b", "no"], "paraphrase"),
        (Reading(scale=[1, 7]), "anywhere", ["1.5", "7"], "similarity"),
        (Reading(fields=["text2", "text1", "label"]), "anywhere", ["0.5", "1"], "similarity"),
    ],
)
def test_files_are_read_as_asked(tmp_path: Path, reading: Reading, folder: str, values: list[str], task: str) -> None:
    found, pairs = reading.read(write_values(tmp_path / folder, *values))
    assert found == task
    assert pairs.texts[0] == (("b0", "a0") if reading.fields else ("a0", "b0"))
    assert len(pairs) == len(values) - values.count("-")


@pytest.mark.parametrize("text", ["paraphrase", "=paraphrase", "mine.csv"])
def test_labels_that_map_nothing(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=f"--labels: expected YOURS=OURS, as yes=paraphrase, found '{text}'"):
        Reading(labels=[text]).read(write_values(tmp_path, "yes"))
