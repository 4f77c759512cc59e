"""Data files: the documented format is read, everything else is named with its file and line."""

import gzip
import json
import math
from pathlib import Path

import pytest

from training.data.files import DataError, Pair, by_name, plain_sentences, read_pairs, split_files, task_sentences


def write(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    return path


def pair(label: str = "neutral") -> dict[str, str]:
    return {"sentence1": "a", "sentence2": "b", "label": label}


def test_labels_and_scores_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl.gz", pair(), {"sentence1": "c", "sentence2": "d", "score": 3})
    assert read_pairs(path) == [Pair("a", "b", label="neutral"), Pair("c", "d", score=3.0)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", r"x.jsonl.gz:2: expected a JSON object, found '{'"),
        ("[1]", r":2: expected a JSON object, found list"),
        ({"sentence1": "a", "label": "neutral"}, r":2: expected 'sentence2' to be a str, found None"),
        ({"sentence1": "a", "sentence2": 7, "label": "neutral"}, r":2: expected 'sentence2' to be a str, found 7"),
        ({"sentence1": "a", "sentence2": "b", "score": "high"}, r":2: expected 'score' to be a float, found 'high'"),
        ({"sentence1": "a", "sentence2": "b", "score": math.nan}, r":2: expected 'score' to be finite, found nan"),
        ({"sentence1": "a", "sentence2": "b", "score": 10**400}, r":2: expected 'score' to be a float, found 1000"),
        ({"sentence1": "a", "sentence2": "\ud800"}, r":2: expected 'sentence2' to be Unicode, found half a character"),
        ("[" * 100_000, r":2: expected a JSON object, found '\[\["),
        ('{"score": ' + "1" * 5000 + "}", r":2: expected a JSON object, found '{\"score\""),
        (pair("maybe"), r":2: expected a label of .*'neutral'.*, found 'maybe'"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: object, message: str) -> None:
    path = write(tmp_path / "x.jsonl.gz", pair(), row)
    with pytest.raises(DataError, match=message):
        read_pairs(path, None if "score" in str(row) else ("neutral",))


def test_the_wanted_field_is_read(tmp_path: Path) -> None:
    row = pair() | {"score": 4.5}
    path = write(tmp_path / "x.jsonl.gz", row)
    assert read_pairs(path, ("neutral",))[0].label == "neutral"
    assert read_pairs(path)[0].score == 4.5
    alone = write(tmp_path / "y.jsonl.gz", {key: value for key, value in row.items() if key != "label"})
    with pytest.raises(DataError, match=":1: expected 'label' to be a str, found None"):
        read_pairs(alone, ("neutral",))


def test_splits_of_one_folder_have_names_of_their_own() -> None:
    paths = [
        Path("nli/mnli/dev-matched.jsonl.gz"),
        Path("nli/mnli/dev-mismatched.jsonl.gz"),
        Path("nli/rte/dev.jsonl.gz"),
    ]
    assert by_name(paths) == dict(zip(["mnli/dev-matched", "mnli/dev-mismatched", "rte"], paths, strict=True))


def test_missing_empty_damaged_and_non_utf8_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a gzip-compressed file, found none"):
        read_pairs(tmp_path / "absent.jsonl.gz")
    with pytest.raises(DataError, match="at least one row"):
        read_pairs(write(tmp_path / "empty.jsonl.gz"))
    whole = write(tmp_path / "cut.jsonl.gz", *[pair(str(number)) for number in range(1000)])
    whole.write_bytes(whole.read_bytes()[:-100])
    with pytest.raises(DataError, match="not readable as gzip-compressed UTF-8"):
        read_pairs(whole)
    whole.write_bytes(whole.read_bytes()[:50] + b"\xff" * 100)
    with pytest.raises(DataError, match="not readable as gzip-compressed UTF-8"):
        read_pairs(whole)
    (tmp_path / "latin.jsonl.gz").write_bytes(gzip.compress('{"sentence1": "é"}'.encode("latin-1")))
    with pytest.raises(DataError, match="not readable as gzip-compressed UTF-8"):
        read_pairs(tmp_path / "latin.jsonl.gz")


def test_sentences_come_from_training_splits_and_text_only(tmp_path: Path) -> None:
    write(tmp_path / "nli/x/train.jsonl.gz", pair())
    write(tmp_path / "nli/x/dev.jsonl.gz", {"sentence1": "held", "sentence2": "out", "label": "neutral"})
    write(tmp_path / "single/y/train-subset.jsonl.gz", {"sentence1": "alone", "label": "positive"})
    write(tmp_path / "text/captions.tsv.gz", "one\ttwo")
    write(tmp_path / "text/running.txt.gz", "three")
    assert list(task_sentences(tmp_path)) == ["a", "b", "alone", "one", "two"]
    assert list(plain_sentences(tmp_path)) == ["three"]
    assert [path.name for path in split_files(tmp_path, "dev", ("nli",))] == ["dev.jsonl.gz"]
    with pytest.raises(DataError, match="expected a data folder"):
        split_files(tmp_path / "absent", "dev", ("nli",))


def test_folders_that_are_links_count_once(tmp_path: Path) -> None:
    """A link back to a folder that it lies in ends, and a file that is a link is a file."""
    write(tmp_path / "elsewhere/snli/train.jsonl.gz", pair())
    (tmp_path / "data/nli").mkdir(parents=True)
    (tmp_path / "data/nli/linked").symlink_to(tmp_path / "elsewhere/snli")
    (tmp_path / "data/nli/again").symlink_to(tmp_path / "elsewhere/snli")
    (tmp_path / "elsewhere/snli/back").symlink_to(tmp_path / "data")
    (tmp_path / "data/nli/train-file.jsonl.gz").symlink_to(tmp_path / "elsewhere/snli/train.jsonl.gz")
    found = split_files(tmp_path / "data", "train", ("nli", "similarity"))
    names = ["nli/again/train.jsonl.gz", "nli/train-file.jsonl.gz"]
    assert [path.relative_to(tmp_path / "data").as_posix() for path in found] == names
