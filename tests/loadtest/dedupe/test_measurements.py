"""The measurements of `cmow-dedupe`, on a small data folder."""

from __future__ import annotations

import gzip
import json
import random
import sys
from pathlib import Path

import pytest

from loadtest.dedupe import __main__ as dedupe
from loadtest.dedupe import libraries, thresholds
from loadtest.dedupe.rows import SPELLINGS, make_rows, mistyped

WHAT = ("a dog", "some food", "the guitar", "a long letter", "two maps", "an old car", "the news", "their song")
WHO = ("A man", "The woman", "Somebody", "My brother", "The old teacher")
TEXTS = [f"{who} is {act} {what} today." for who in WHO for act in ("watching", "buying") for what in WHAT]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data/paraphrase/tiny"
    folder.mkdir(parents=True)
    for split, label in (("train", "paraphrase"), ("dev", "not_paraphrase")):
        pairs = zip(TEXTS[::2], TEXTS[1::2], strict=True)
        rows = [{"sentence1": one, "sentence2": other, "label": label} for one, other in pairs]
        rows.append({"sentence1": TEXTS[0], "sentence2": TEXTS[0].upper(), "label": "paraphrase"})
        with gzip.open(folder / f"{split}.jsonl.gz", "wt") as file:
            file.write("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "data"


def test_rows_are_the_same_for_a_seed_and_hold_variants(data: Path) -> None:
    rows = make_rows(data, 100, 3)
    assert rows == make_rows(data, 100, 3)
    assert rows != make_rows(data, 100, 4)
    assert len(rows) == 100
    assert 20 <= len([row for row in rows if row not in TEXTS]) <= 40


def test_spellings_take_any_text() -> None:
    for text in ("", "a", "What is it?", "I do not, he cannot."):
        assert all(isinstance(spelling(text, random.Random(0)), str) for spelling in SPELLINGS)
        assert sorted(mistyped(text, random.Random(0))) == sorted(text)
    assert [spelling("What is it?", random.Random(1)) for spelling in SPELLINGS[:3]] == [
        "WHAT IS IT?",
        "What's it?",
        "What is it",
    ]


@pytest.mark.bundle
def test_few_rows_are_all_found(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", str(data), "--rows", "110", "--sample", "110", "--threads", "1", "--folder", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["dedupe", *arguments])
    dedupe.main()
    out = capsys.readouterr().out
    assert "110 rows, " in out
    assert "GiB at most" in out
    assert "recall against comparing all: 100.0 % of " in out


@pytest.mark.bundle
def test_thresholds(data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["thresholds", "--data", str(data)])
    thresholds.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"tiny, {threshold}" for threshold in thresholds.THRESHOLDS]
    assert all("recall 100.0 %" in line for line in lines)


@pytest.mark.bundle
def test_libraries(data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["libraries", "--data", str(data), "--rows", "60"])
    libraries.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == list(libraries.LIBRARIES)
    assert "finds 100.0 %" in lines[0]
