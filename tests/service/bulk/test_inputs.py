"""Files as spreadsheets, other tools and other countries write them: compression, cells, headers, encodings."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.compression import COMPRESS, INFLATE
from tests.service.bulk.conftest import Score

PAIRS = [("A man is playing guitar.", "Somebody makes music"), ("it rains; not", "ünïcödé"), ("dog", "a\tdog, the man")]
NAMES = ("sentence1", "sentence2")


def table(delimiter: str = ",", header: bool = True) -> str:
    rows = [NAMES, *PAIRS] if header else PAIRS
    quoted = ('"' + f'"{delimiter}"'.join(row) + '"' for row in rows)
    return "".join(line + "\r\n" for line in quoted)


def scores(path: Path) -> list[float]:
    return [json.loads(line)["cmow_similarity"] for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def expected(tmp_path: Path, score: Score) -> list[float]:
    """The scores of ``PAIRS``."""
    plain, out = tmp_path / "plain.jsonl", tmp_path / "plain_scored.jsonl"
    plain.write_text("".join(json.dumps(dict(zip(NAMES, pair, strict=True))) + "\n" for pair in PAIRS))
    assert score(plain, "--task", "similarity", "-o", out) == 0
    return scores(out)


@pytest.mark.parametrize("compression", list(COMPRESS))
@pytest.mark.parametrize("kind", ["jsonl", "csv", "tsv"])
def test_compressed_in_and_out(tmp_path: Path, score: Score, kind: str, compression: str) -> None:
    delimiter = {"csv": ",", "tsv": "\t"}.get(kind)
    lines = (json.dumps(dict(zip(NAMES, pair, strict=True))) + "\n" for pair in PAIRS)
    content = ("".join(lines) if delimiter is None else table(delimiter)).encode()
    plain, packed = tmp_path / f"pairs.{kind}", tmp_path / f"pairs.{kind}.{compression}"
    plain.write_bytes(content)
    half = len(content) // 2
    packed.write_bytes(b"".join(COMPRESS[compression](part) for part in (content[:half], content[half:])))
    outs = [tmp_path / f"out.{kind}", tmp_path / f"out.{kind}.{compression}"]
    for source, out in zip((plain, packed), outs, strict=True):
        assert score(source, "--task", "similarity", "-o", out, "--block-rows", "2") == 0
    assert INFLATE[compression](outs[1].read_bytes()) == outs[0].read_bytes()
    assert outs[0].read_bytes().count(b"\n") == len(PAIRS) + (kind != "jsonl")


@pytest.mark.parametrize("compression", list(COMPRESS))
@pytest.mark.parametrize("damage", [lambda data: data[:-5], lambda data: b"x" + data, lambda data: data + b"xyz"])
def test_damaged_compression(
    tmp_path: Path, score: Score, capsys: Any, compression: str, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / f"pairs.csv.{compression}"
    path.write_bytes(damage(COMPRESS[compression](table().encode())))
    assert score(path, "--task", "similarity") == 1
    error = capsys.readouterr().err
    assert f"{path.name}: expected {'gzip' if compression == 'gz' else 'zstd'}: " in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("name", "content", "flags"),
    [
        ("pairs.tsv", table("\t"), ()),
        ("pairs.TSV", table("\t"), ()),
        ("pairs.csv", table(";"), ("--delimiter", ";")),
        ("pairs.csv", table("\t"), ("--delimiter", "\\t")),
        ("pairs.csv", table("|"), ("--delimiter", "|")),
        ("pairs.csv", "sep=;\r\n" + table(";"), ()),
        ("pairs.csv", '"sep=;"\n' + table(";"), ()),
        ("pairs.csv", "sep=\t\n" + table("\t"), ()),
        ("pairs.csv", table(header=False), ("--no-header",)),
        ("pairs.tsv", table("\t", header=False), ("--no-header",)),
        ("pairs.csv", "sep=;\n" + table(";", header=False), ("--no-header",)),
        ("pairs.txt", table("\t"), ("--input-format", "tsv")),
    ],
)
def test_cells_and_headers(
    tmp_path: Path, score: Score, expected: list[float], name: str, content: str, flags: tuple[str, ...]
) -> None:
    path, out = tmp_path / name, tmp_path / "scored.jsonl"
    path.write_text(content, encoding="utf-8", newline="")
    assert score(path, "--task", "similarity", "-o", out, *flags) == 0
    assert scores(out) == expected
    assert [json.loads(line)["sentence2"] for line in out.read_text().splitlines()] == [pair[1] for pair in PAIRS]


def test_tsv_out(tmp_path: Path, score: Score) -> None:
    path, out = tmp_path / "pairs.csv", tmp_path / "scored.tsv"
    path.write_text(table(), encoding="utf-8", newline="")
    assert score(path, "--task", "similarity", "-o", out) == 0
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    assert rows[0] == [*NAMES, "cmow_similarity", "cmow_truncated"]
    assert [tuple(row[:2]) for row in rows[1:]] == PAIRS


@pytest.mark.parametrize("encoding", ["utf-16", "UTF-16-LE", "latin-1", "cp1252", "utf-8-sig"])
@pytest.mark.parametrize("compressed", [False, True])
def test_encodings(tmp_path: Path, score: Score, expected: list[float], encoding: str, compressed: bool) -> None:
    path, out = tmp_path / ("pairs.csv.gz" if compressed else "pairs.csv"), tmp_path / "scored.jsonl"
    content = table().encode(encoding)
    path.write_bytes(gzip.compress(content) if compressed else content)
    assert score(path, "--task", "similarity", "-o", out, "--encoding", encoding) == 0
    assert scores(out) == expected


def test_characters_across_chunks(tmp_path: Path, score: Score) -> None:
    path, out = tmp_path / "pairs.csv", tmp_path / "scored.jsonl"
    rows = [f"dog {row},\N{GRINNING FACE} ü {'x' * (row % 7)}" for row in range(9000)]
    path.write_bytes("\n".join(["sentence1,sentence2", *rows]).encode("utf-16"))
    assert score(path, "--task", "similarity", "-o", out, "--encoding", "utf-16") == 0
    found = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [f"{row['sentence1']},{row['sentence2']}" for row in found] == rows


def test_not_in_that_encoding(tmp_path: Path, score: Score, capsys: Any) -> None:
    path = tmp_path / "pairs.csv"
    path.write_bytes(table().encode() + b"a,\xff\n")
    assert score(path, "--task", "similarity", "--encoding", "ascii") == 1
    assert "pairs.csv: expected ascii (see --encoding): " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("Sentence1,SENTENCE2\na,b\n", "expected a column sentence1 (use --fields Sentence1 SENTENCE2), got Sentence1"),
        ("sentence1;sentence2\na;b\n", "(see --delimiter), got sentence1;sentence2"),
        ("text,label\na,b\n", "expected a column sentence1 (see --fields), got text, label"),
        ("sentence1,Sentence2,x\na,b,c\n", "expected a column sentence2 (use --fields sentence1 Sentence2)"),
    ],
)
def test_a_header_that_is_nearly_right(tmp_path: Path, score: Score, capsys: Any, content: str, says: str) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(content)
    assert score(path, "--task", "similarity") == 2
    assert says in capsys.readouterr().err


def test_a_bad_row_below_a_separator_has_its_own_line(tmp_path: Path, score: Score, capsys: Any) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("sep=;\nsentence1;sentence2\na;b\nc\n")
    assert score(path, "--task", "similarity") == 3
    assert "pairs.csv:4: expected 2 cells" in capsys.readouterr().err


def test_three_cells_without_a_header(tmp_path: Path, score: Score, capsys: Any) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("a,b\nc,d,e\n")
    assert score(path, "--task", "similarity", "--no-header") == 3
    assert "pairs.csv:2: expected 2 cells" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["pairs.jsonl", "--delimiter", ";"], "--delimiter: expected CSV or TSV (see --input-format), got jsonl"),
        (["pairs.jsonl", "--no-header"], "--no-header: expected CSV or TSV"),
        (["pairs.parquet", "--encoding", "latin-1"], "--encoding iso8859-1: expected text, got Parquet"),
        (["pairs.parquet.gz"], "expected Parquet as it is"),
        (["-", "-o", "out.parquet.zst"], "expected Parquet as it is"),
        (["pairs.gz"], "expected a name that ends in .jsonl"),
        (["pairs.csv", "--delimiter", ";;"], "expected one character"),
        (["pairs.csv", "--delimiter", '"'], "expected one character"),
        (["pairs.csv", "--encoding", "utf-9"], "expected an encoding such as utf-8"),
        (["pairs.csv", "--encoding", "rot13"], "expected an encoding such as utf-8"),
    ],
)
def test_what_cannot_start(score: Score, capsys: Any, arguments: list[str], says: str) -> None:
    assert score(*arguments, "--task", "similarity") == 2
    assert says in capsys.readouterr().err


def test_no_rows_are_a_whole_compressed_file(tmp_path: Path, score: Score) -> None:
    """``gzip -t`` takes a file of no bytes for one that breaks off."""
    path, out = tmp_path / "none.jsonl", tmp_path / "scored.jsonl.gz"
    path.write_bytes(b"")
    assert score(path, "--task", "similarity", "--output", out) == 0
    assert out.stat().st_size > 0
    assert gzip.decompress(out.read_bytes()) == b""
