"""Every input format to every output format, with what the engine says on its own as the authority."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cmow.service.bulk.options import Task
from cmow.service.model.engine import Engine
from tests.served import open_engine
from tests.service.bulk.conftest import Score
from tests.tiny_bundle import LABELS, TinyBundle

FORMATS = ["jsonl", "csv", "parquet"]
PAIRS = [
    ("A man is playing guitar.", 'Somebody "makes",\nmusic'),
    ("it rains", "it rains"),
    ("Ünïcödé — 日本", "dog\r42\r\n7"),
    ("the woman", "a " * 300),
]
ROWS = [{"id": f"r{row}", "premise": a, "hypothesis": b} for row, (a, b) in enumerate(PAIRS)]
FIELDS = ["--fields", "premise", "hypothesis"]


@pytest.fixture(scope="module")
def engine(tiny_bundle: TinyBundle) -> Engine:
    return open_engine(tiny_bundle, "fused")


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def expected(engine: Engine, task: Task) -> list[dict[str, Any]]:
    truncated = [{"cmow_truncated": row == 3} for row in range(len(PAIRS))]
    if task != "entailment":
        scores = [{f"cmow_{task}": score} for score in engine.answer(task, PAIRS).tolist()]
    else:
        columns = [f"cmow_{label}" for label in LABELS]
        scores = [
            {"cmow_label": LABELS[int(row.argmax())], **dict(zip(columns, row.tolist(), strict=True))}
            for row in engine.answer("entailment", PAIRS)
        ]
    return [row | score | more for row, score, more in zip(ROWS, scores, truncated, strict=True)]


@pytest.mark.parametrize("task", ["similarity", "paraphrase", "relatedness", "entailment"])
@pytest.mark.parametrize("output", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_every_format_to_every_other(
    tmp_path: Path, score: Score, engine: Engine, source: str, output: str, task: Task
) -> None:
    pairs, scored = write(tmp_path / f"pairs.{source}", ROWS), tmp_path / f"scored.{output}"
    assert score(pairs, "--task", task, *FIELDS, "-o", scored, "--block-rows", "3") == 0
    rows = expected(engine, task)
    found = read(scored)
    assert [list(row) for row in found] == [list(row) for row in rows]
    if output == "csv":  # has texts only
        rows = [
            {name: cell if isinstance(cell, str) else json.dumps(cell) for name, cell in row.items()} for row in rows
        ]
    assert found == rows
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({pairs.name, scored.name})


def test_a_threshold_adds_a_column(tmp_path: Path, score: Score, engine: Engine, capfd: Any) -> None:
    pairs, scored = write(tmp_path / "pairs.jsonl", ROWS), tmp_path / "scored.jsonl"
    cut = float(np.median(engine.answer("paraphrase", PAIRS)))
    assert score(pairs, "--task", "paraphrase", *FIELDS, "-o", scored, "--threshold", repr(cut)) == 0
    found = read(scored)
    assert [row["cmow_same"] for row in found] == [row["cmow_paraphrase"] >= cut for row in found]
    assert len({row["cmow_same"] for row in found}) == 2
    assert [*found[0]][-3:] == ["cmow_paraphrase", "cmow_same", "cmow_truncated"]
    assert score(pairs, "--task", "entailment", *FIELDS, "--threshold", "0.5") == 2
    assert "expected a task with one score, got entailment" in capfd.readouterr().err
    for wrong in ("2", "nan", "much"):
        assert score(pairs, "--task", "similarity", "--threshold", wrong) == 2
        assert "expected a number from -1 to 1" in capfd.readouterr().err


def test_blocks_change_nothing(tmp_path: Path, score: Score) -> None:
    pairs = write(tmp_path / "pairs.jsonl", ROWS)
    found = set()
    for block_rows in ("1", "4", "100"):
        out = tmp_path / f"{block_rows}.jsonl"
        assert score(pairs, "--task", "entailment", "-o", out, "--block-rows", block_rows) == 0
        found.add(out.read_bytes())
    assert len(found) == 1


def test_to_standard_output_and_from_standard_input(
    tmp_path: Path, score: Score, engine: Engine, capfdbinary: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = write(tmp_path / "pairs.jsonl", ROWS).read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert score("-", "--task", "entailment") == 0
    out, err = capfdbinary.readouterr()
    assert [json.loads(line) for line in out.splitlines()] == expected(engine, "entailment")
    assert b"4 pairs in" in err
    assert b"1 pairs cut to the model's limit" in err


def test_columns_keep_their_types_in_parquet(tmp_path: Path, score: Score) -> None:
    schema = pa.schema(
        [
            ("when", pa.timestamp("ns")),
            ("sentence1", pa.large_string()),
            ("blob", pa.binary()),
            ("sentence2", pa.string()),
            ("list", pa.list_(pa.int8())),
        ]
    )
    rows = [{"when": 1, "sentence1": "a dog", "blob": b"\xff", "sentence2": "dog", "list": [1]}] * 5
    pq.write_table(pa.Table.from_pylist(rows, schema), tmp_path / "pairs.parquet")
    out = tmp_path / "scored.parquet"
    assert score(tmp_path / "pairs.parquet", "--task", "similarity", "-o", out, "--block-rows", "2") == 0
    table = pq.read_table(out)
    assert table.select(schema.names).schema.equals(schema)
    assert table.num_rows == 5


def test_parquet_to_json_lines(tmp_path: Path, score: Score, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"sentence1": "a", "sentence2": "b", "when": datetime(2025, 1, 2), "n": {"x": [1, None]}}]
    path = write(tmp_path / "pairs.parquet", rows)
    assert score(path, "--task", "similarity") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["when"], found["n"]) == ("2025-01-02T00:00:00", {"x": [1, None]})


@pytest.mark.parametrize(
    ("output", "wrong"), [("jsonl", float("nan")), ("jsonl", b"\xff"), ("csv", b"\xff"), ("csv", [float("inf")])]
)
def test_what_a_text_cannot_hold(
    tmp_path: Path, score: Score, capsys: pytest.CaptureFixture[str], output: str, wrong: object
) -> None:
    rows = [{"sentence1": "a", "sentence2": "b", "x": value} for value in (None, wrong)]
    path = write(tmp_path / "pairs.parquet", rows)
    assert score(path, "--task", "similarity", "--output-format", output, "--block-rows", "1") == 3
    assert "line 2: expected values that a text can hold, got one that it cannot (" in capsys.readouterr().err


def test_csv_holds_numbers_that_are_none(tmp_path: Path, score: Score) -> None:
    numbers = [float("nan"), float("inf"), float("-inf"), 1.5]
    path = write(tmp_path / "pairs.parquet", [{"sentence1": "a", "sentence2": "b", "x": x} for x in numbers])
    assert score(path, "--task", "similarity", "-o", tmp_path / "out.csv") == 0
    assert [row["x"] for row in read(tmp_path / "out.csv")] == ["nan", "inf", "-inf", "1.5"]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("18446744073709551616", "lines 1 to 1: expected one type a column"),
        ("[" * 70 + "]" * 70, "lines 1 to 1: expected values that Parquet has"),
        ("{}", "expected values that Parquet has"),
    ],
)
def test_what_parquet_cannot_hold(
    tmp_path: Path, score: Score, capsys: pytest.CaptureFixture[str], value: str, says: str
) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(f'{{"sentence1": "a", "sentence2": "b", "x": {value}}}\n')
    assert score(path, "--task", "similarity", "-o", tmp_path / "out.parquet") == 1
    assert says in capsys.readouterr().err


def test_rows_of_different_columns(tmp_path: Path, score: Score, capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, Any]] = [{"sentence1": "a", "sentence2": "b", "x": None}]
    rows += [{"sentence1": "a", "sentence2": "b", "y": [1]}, {"sentence1": "a", "sentence2": "b", "x": 1.5}]
    path = write(tmp_path / "pairs.jsonl", rows)
    assert score(path, "--task", "similarity", "-o", tmp_path / "a.parquet", "--block-rows", "1") == 0
    assert [(row["x"], row["y"]) for row in read(tmp_path / "a.parquet")] == [(None, None), (None, [1]), (1.5, None)]
    assert score(path, "--task", "similarity", "-o", tmp_path / "a.csv", "--block-rows", "1") == 3
    assert "line 2: expected the columns" in capsys.readouterr().err


def test_types_that_have_nothing_in_common(tmp_path: Path, score: Score, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"sentence1": "a", "sentence2": "b", "x": value} for value in (1, "text")]
    path = write(tmp_path / "pairs.jsonl", rows)
    for block_rows, says in (("1", "expected the types of the rows before"), ("2", "expected one type a column")):
        out = tmp_path / f"{block_rows}.parquet"
        assert score(path, "--task", "similarity", "-o", out, "--block-rows", block_rows) == 1
        assert says in capsys.readouterr().err


@pytest.mark.parametrize("bad", [False, True])
@pytest.mark.parametrize("output", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_no_rows_keep_their_columns(tmp_path: Path, score: Score, source: str, output: str, bad: bool) -> None:
    """Without rows and with a bad one only: the columns are those of a good row, and can be scored again."""
    good = {"sentence1": "a", "sentence2": "b"} | ({} if source == "jsonl" else {"id": "1"})
    paths = [write(tmp_path / f"good.{source}", [good]), write(tmp_path / f"none.{source}", [good | {"sentence1": ""}])]
    if not bad:
        without_rows(paths[1])
    outs = [tmp_path / f"{path.stem}_scored.{output}" for path in paths]
    for path, out in zip(paths, outs, strict=True):
        assert score(path, "--task", "entailment", *SENTENCES, "-o", out, "--on-bad-row", "skip") == 0
    assert read(outs[1]) == []
    assert columns(outs[1]) == (columns(outs[0]) if output != "jsonl" else "")
    assert score(outs[1], "--task", "similarity", "--prefix", "again_") == 0


SENTENCES = ["--fields", "sentence1", "sentence2"]


def without_rows(path: Path) -> None:
    if path.suffix == ".parquet":
        pq.write_table(pq.read_table(path).slice(0, 0), path)
    else:
        path.write_text("".join(path.read_text().splitlines(keepends=True)[: path.suffix == ".csv"]))


def columns(path: Path) -> Any:
    """The schema of a Parquet file, the first line of another."""
    return pq.read_schema(path) if path.suffix == ".parquet" else path.read_text().partition("\n")[0]


def test_spreadsheets_write_a_byte_order_mark_and_carriage_returns(tmp_path: Path, score: Score) -> None:
    (tmp_path / "pairs.csv").write_bytes(b"\xef\xbb\xbfsentence1,sentence2\r\na,b\r\n\r\nc,d\r\n")
    assert score(tmp_path / "pairs.csv", "--task", "similarity", "-o", tmp_path / "out.csv") == 0
    assert [row["sentence1"] for row in read(tmp_path / "out.csv")] == ["a", "c"]


def test_a_lone_carriage_return_in_csv_comes_back(tmp_path: Path, score: Score) -> None:
    (tmp_path / "pairs.csv").write_bytes(b'sentence1,sentence2,"n\rm"\r\n"a\rb",c,"\r"\r\n')
    scored = tmp_path / "scored.csv"
    assert score(tmp_path / "pairs.csv", "--task", "similarity", "-o", scored) == 0
    assert scored.read_bytes().startswith(b'sentence1,sentence2,"n\rm",cmow_similarity,cmow_truncated\n"a\rb",c,"\r",')
    assert score(scored, "--task", "similarity", "--prefix", "again_", "-o", tmp_path / "again.csv") == 0
    assert [(row["sentence1"], row["n\rm"]) for row in read(tmp_path / "again.csv")] == [("a\rb", "\r")]
