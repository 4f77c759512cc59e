"""Rows that cannot be scored: each is named by file and line, and ends the run or is left out."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cmow.service.files.rows import MOST_DEPTH
from tests.service.bulk.conftest import Score

GOOD = b'{"sentence1": "a dog", "sentence2": "music"}'
SIMILARITY = ["--task", "similarity", "--max-line-bytes", "500", "--max-text-chars", "200"]

BAD_LINES = [
    (b'{"sentence1": "a"}', "sentence2: expected a text, got no such column (see --fields)"),
    (b'{"sentence1": "a", "sentence2": 17}', "sentence2: expected a text, got 17"),
    (b'{"sentence1": null, "sentence2": "a"}', "sentence1: expected a text, got null"),
    (b'{"sentence1": ["a"], "sentence2": "a"}', 'sentence1: expected a text, got ["a"]'),
    (b'{"sentence1": "", "sentence2": "a"}', "the first text: expected at least one token, got none"),
    (b'{"sentence1": "a", "sentence2": " \\t\\u200b"}', "the second text: expected at least one token, got none"),
    (b'{"sentence1": "a", "sentence2": "' + b"x" * 201 + b'"}', "sentence2: expected at most 200 characters, got 201"),
    (b'{"sentence1": "a", "sentence2": "\\ud800"}', "expected Unicode text, got a lone surrogate U+D800"),
    (b'{"sentence1": "a", "sentence2": "b", "x": ["\\uDC00"]}', "expected Unicode text, got a lone surrogate U+DC00"),
    (b'{"sentence1": "a", "sentence2": "b", "cmow_similarity": 1}', "expected no column cmow_similarity"),
    (b'["a", "b"]', "expected an object with sentence1 and sentence2"),
    (b"a,b", "expected JSON: Expecting value at character 0"),
    (b'{"sentence1": "a", "sentence2": "b", "x": NaN}', "expected JSON, which has no NaN"),
    (b'{"sentence1": "\xff", "sentence2": "b"}', "expected UTF-8, got byte 0xff at 15"),
    (b'{"sentence1": "a", "sentence2": "b", "x": [1e400]}', "expected numbers from -1.8e308 to 1.8e308, got 1e400"),
    (
        b'{"sentence1": "a", "sentence2": "b", "x": -1' + b"0" * 309 + b".0}",
        "expected numbers from -1.8e308 to 1.8e308, got -1000",
    ),
    (b'{"sentence1": "a", "sentence2": "b", "x": 1' + b"0" * 309 + b", }", "expected JSON"),
    (b"[" * 450, "expected JSON"),
    (b'{"sentence1": "' + b"x" * 100_000 + b'", "sentence2": "b"}', "expected a line of at most 500 bytes"),
]


@pytest.mark.parametrize(("line", "says"), BAD_LINES)
def test_a_bad_line_ends_the_run(
    tmp_path: Path, score: Score, capsys: pytest.CaptureFixture[str], line: bytes, says: str
) -> None:
    path, out = tmp_path / "pairs.jsonl", tmp_path / "out.jsonl"
    path.write_bytes(b"\n".join([GOOD, b"", line, GOOD, b"{"]))
    assert score(path, *SIMILARITY, "-o", out) == 3
    error = capsys.readouterr().err
    assert error.startswith(f"cmow-score: error: {path}:3: ")
    assert says in error
    assert error.count("\n") == 1
    assert len(error) < 400
    assert not out.exists()


def test_bad_lines_are_left_out_reported_and_counted(
    tmp_path: Path, score: Score, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "pairs.jsonl", tmp_path / "out.jsonl"
    path.write_bytes(b"\n".join(content for line, _ in BAD_LINES for content in (GOOD, line)))
    assert score(path, *SIMILARITY, "-o", out, "--on-bad-row", "skip", "--block-rows", "5") == 0
    lines = capsys.readouterr().err.splitlines()
    for (_, says), number, line in zip(BAD_LINES, range(2, 100, 2), lines[:-1], strict=False):
        assert line.startswith(f"cmow-score: skipped {path}:{number}: ")
        assert says in line
    assert f"{len(BAD_LINES)} pairs in" in lines[-1]
    assert f"{len(BAD_LINES)} bad rows skipped" in lines[-1]
    assert len(set(out.read_text().splitlines())) == 1


@pytest.mark.parametrize("text", ["b", "\\ud83d\\ude00"])
@pytest.mark.parametrize("output", ["jsonl", "csv"])
def test_what_is_nested_too_deeply_can_be_skipped(tmp_path: Path, score: Score, output: str, text: str) -> None:
    """At whatever depth it is that one of parser, checks and encoder gives up."""
    path, out = tmp_path / "pairs.jsonl", tmp_path / "out"
    depths = [1, 2, MOST_DEPTH - 2, *range(MOST_DEPTH - 1, 1000, 7)]
    path.write_text(
        "".join(
            f'{{"sentence1": "a", "sentence2": "{text}", "x": {start * depth}1{end * depth}}}\n'
            for depth in depths
            for start, end in ("[]", ('{"x":', "}"))
        )
    )
    task = ["--task", "similarity", "--output-format", output]
    assert score(path, *task, "-o", out, "--on-bad-row", "skip") == 0
    good = 2 * len([depth for depth in depths if depth < MOST_DEPTH])
    assert len(out.read_text().splitlines()) == good + (output == "csv")


@pytest.mark.parametrize(
    ("content", "status", "says"),
    [
        (b"", 2, " expected a header, got an empty file"),
        (b"\n\n", 2, " expected a header, got an empty file"),
        (b"a,b\n1,2\n", 2, "1: expected a column sentence1 (see --fields), got a, b"),
        (b"sentence1,sentence2,x,x\n", 2, "1: expected columns of different names, got x twice"),
        (b"sentence1,sentence2,cmow_truncated\n", 2, "1: expected no column cmow_truncated"),
        (b"sentence1,sentence2,\xff\n", 2, "1: expected a header in UTF-8"),
        (b"sentence1,sentence2\na\n", 3, "2: expected 2 cells as in the header, got 1"),
        (b"sentence1,sentence2\na,b\n\n\na,b,c\n", 3, "5: expected 2 cells as in the header, got 3"),
        (b'sentence1,sentence2\n"a\n\n",b\na,\n', 3, "5: the second text: expected at least one token"),
        (b"sentence1,sentence2\na,\xe9\n", 3, "2: sentence2: expected UTF-8, got byte 0xe9"),
        (b'sentence1,sentence2\na,b\na,"b\n', 3, "3: expected CSV: unexpected end of data"),
        (b'sentence1,sentence2\na,"b" c\n', 3, "2: expected CSV: ',' expected after '\"'"),
        (b"sentence1,sentence2\na," + b"x" * 600 + b"\n", 3, "2: expected a line of at most 500 bytes, got 603"),
        (b'sentence1,sentence2\na,"' + b"x\n" * 200_000, 3, "2: expected CSV: field larger than field limit"),
    ],
)
def test_csv(
    tmp_path: Path, score: Score, capsys: pytest.CaptureFixture[str], content: bytes, status: int, says: str
) -> None:
    path = tmp_path / "pairs.csv"
    path.write_bytes(content)
    assert score(path, *SIMILARITY) == status
    assert f"error: {path}:{says}" in capsys.readouterr().err


def test_a_csv_cell_may_be_as_long_as_a_line(tmp_path: Path, score: Score) -> None:
    path, out, limit = tmp_path / "pairs.csv", tmp_path / "out.csv", csv.field_size_limit()
    path.write_text("sentence1,sentence2,long\na,b," + "x" * 200_000 + '\nc,d,"' + "y\n" * 100_000 + '"\n')
    assert score(path, "--task", "similarity", "-o", out) == 0
    assert csv.field_size_limit() == limit
    assert score(path, *SIMILARITY, "-o", tmp_path / "again.csv", "--max-line-bytes", "200006") == 0
    assert len(out.read_text()) > 400_000


def test_where_csv_cannot_be_read_on_nothing_is_skipped(
    tmp_path: Path, score: Score, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "pairs.csv"
    path.write_bytes(b'sentence1,sentence2\na\na,"b" c\na,b\n')
    assert score(path, *SIMILARITY, "--on-bad-row", "skip") == 3
    assert "what follows cannot be read" in capsys.readouterr().err


def test_parquet(tmp_path: Path, score: Score, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "pairs.parquet", tmp_path / "out.jsonl"
    rows: list[dict[str, Any]] = [{"sentence1": text, "sentence2": "dog"} for text in ("a", None, "b", "", "c")]
    pq.write_table(pa.Table.from_pylist(rows), path)
    assert score(path, *SIMILARITY, "-o", out, "--block-rows", "2") == 3
    assert f"{path}:2: sentence1: expected a text, got null" in capsys.readouterr().err
    assert score(path, *SIMILARITY, "-o", out, "--block-rows", "2", "--on-bad-row", "skip") == 0
    assert f"skipped {path}:4: the first text: expected at least one token" in capsys.readouterr().err
    assert [json.loads(line)["sentence1"] for line in out.read_text().splitlines()] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"sentence1": ["a"]}, "expected a column sentence2"),
        ({"sentence1": ["a"], "sentence2": ["b"], "cmow_similarity": [1]}, "expected no column cmow_similarity"),
    ],
)
def test_parquet_columns(
    tmp_path: Path, score: Score, capsys: pytest.CaptureFixture[str], columns: dict[str, list[Any]], says: str
) -> None:
    pq.write_table(pa.table(columns), tmp_path / "pairs.parquet")
    assert score(tmp_path / "pairs.parquet", *SIMILARITY) == 2
    assert says in capsys.readouterr().err


def test_parquet_of_another_type(tmp_path: Path, score: Score, capsys: pytest.CaptureFixture[str]) -> None:
    pq.write_table(pa.table({"sentence1": [1], "sentence2": ["b"]}), tmp_path / "pairs.parquet")
    assert score(tmp_path / "pairs.parquet", *SIMILARITY) == 3
    assert "sentence1: expected a text, got 1" in capsys.readouterr().err


def test_damaged_parquet(tmp_path: Path, score: Score, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pairs.parquet"
    path.write_bytes(b"not Parquet")
    assert score(path, *SIMILARITY) == 2
    assert "expected a Parquet file" in capsys.readouterr().err
    pq.write_table(pa.table({"sentence1": ["a" * 50] * 9, "sentence2": ["b"] * 9}), path)
    content = bytearray(path.read_bytes())
    content[4:60] = b"\xff" * 56
    path.write_bytes(content)
    assert score(path, *SIMILARITY) == 1
    assert "expected a sound Parquet file" in capsys.readouterr().err
