"""Data folders: every labelled file is found once, and lines of running text are read or named."""

import gzip
import json
from pathlib import Path

import pytest

from training.data.files import SUFFIXES, DataError, by_name, plain_sentences, read_lines, split_files, suffix_of
from training.data.sentences import task_sentences


def write(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    return path


def pair(label: str = "neutral") -> dict[str, str]:
    return {"sentence1": "a", "sentence2": "b", "label": label}


def test_splits_have_names_of_their_own() -> None:
    names = {
        "mnli/dev-matched": "nli/mnli/dev-matched.jsonl.gz",
        "mnli/dev-mismatched": "nli/mnli/dev-mismatched.jsonl.gz",
        "rte": "nli/rte/dev.jsonl.gz",
        "mine/dev.csv": "nli/mine/dev.csv",
        "mine/dev.jsonl": "nli/mine/dev.jsonl",
        "nli/one/x/dev.csv": "nli/one/x/dev.csv",
        "nli/two/x/dev.csv": "nli/two/x/dev.csv",
    }
    assert by_name(map(Path, names.values())) == {name: Path(path) for name, path in names.items()}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_is_found_in_folders_of_any_name(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"paraphrase/mine/deeper/train-part{suffix}"
    path.parent.mkdir(parents=True)
    path.touch()
    (path.parent / "train.txt").touch()
    assert split_files(tmp_path, "train", ("paraphrase", "nli")) == [path]
    assert suffix_of(path.with_name(path.name.upper())) == suffix


def test_lines_that_are_no_utf8_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.txt.gz"
    path.write_bytes(gzip.compress(b"a\n" * 9 + "é\n".encode("latin-1")))
    with pytest.raises(DataError, match=r"x.txt.gz:10: expected UTF-8, found byte 0xe9"):
        list(read_lines(path))
    path.write_bytes(gzip.compress("é\n".encode())[:-9])
    with pytest.raises(DataError, match=r"x.txt.gz: expected gzip: Compressed file ended"):
        list(read_lines(path))
    with pytest.raises(DataError, match=r"absent: expected a file, found none"):
        list(read_lines(tmp_path / "absent"))


def test_sentences_come_from_training_splits_and_text_only(tmp_path: Path) -> None:
    write(tmp_path / "nli/x/train.jsonl.gz", pair())
    write(tmp_path / "nli/x/dev.jsonl.gz", {"sentence1": "held", "sentence2": "out", "label": "neutral"})
    (tmp_path / "paraphrase/mine").mkdir(parents=True)
    (tmp_path / "paraphrase/mine/train.csv").write_text("text1,text2,same\nc,d,1\n")
    write(tmp_path / "single/y/train-subset.jsonl.gz", {"sentence1": "alone", "label": "positive"})
    write(tmp_path / "text/captions.tsv.gz", "one\ttwo")
    write(tmp_path / "text/running.txt.gz", "three")
    assert list(task_sentences(tmp_path)) == ["a", "b", "c", "d", "alone", "one", "two"]
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
