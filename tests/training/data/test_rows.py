"""One reader for labelled files: every format gives the same rows, and what is wrong is named with its line."""

from __future__ import annotations

import codecs
import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cmow.service.files.lines import MAX_LINE_BYTES
from tests.training.data.written import write_labelled
from training.data.files import SUFFIXES, DataError
from training.data.rows import (
    ALONE,
    LABELS,
    PAIRS,
    SCORES,
    Columns,
    LabelledRows,
    read_rows,
    read_sentences,
    read_texts,
)

ROWS = [
    {"premise": 'A "quoted" man, eating.', "hypothesis": "Somebody\teats.", "label": "entailment"},
    {"premise": "Ein Mann läuft.", "hypothesis": "人", "label": "neutral"},
]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    found = read_rows(write_labelled(tmp_path, suffix, ROWS))
    first = 2 if suffix.startswith((".csv", ".tsv")) else 1  # after a header
    assert found == LabelledRows(
        [(str(row["premise"]), str(row["hypothesis"])) for row in ROWS], ["entailment", "neutral"], [first, first + 1]
    )


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_a_byte_order_mark_blank_lines_and_line_ends_of_windows(tmp_path: Path, suffix: str) -> None:
    plain = write_labelled(tmp_path, suffix, ROWS)
    expected = read_rows(plain)
    plain.write_bytes(codecs.BOM_UTF8 + plain.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    assert read_rows(plain) == expected
    plain.write_bytes(plain.read_bytes() + b"\r\n\r\n")
    assert read_rows(plain) == expected


@pytest.mark.parametrize(
    ("pair", "value"),
    [*((pair, "label") for pair in PAIRS), *((PAIRS[0], value) for value in sorted({*LABELS, *SCORES}))],
)
def test_columns_are_found_by_their_usual_names(tmp_path: Path, pair: tuple[str, str], value: str) -> None:
    row = {"id": "7", pair[0].upper(): "a", pair[1].title(): "b", value.title(): "1"}
    assert read_rows(write_labelled(tmp_path, ".csv", [row])) == LabelledRows([("a", "b")], ["1"], [2])


@pytest.mark.parametrize(
    "names", [("sentence_A", "sentence_B", "entailment_judgment"), ("Text 1", "Text 2", "Gold-Label")]
)
def test_spaces_and_hyphens_in_names_do_not_count(tmp_path: Path, names: tuple[str, str, str]) -> None:
    assert read_rows(write_labelled(tmp_path, ".tsv", [dict(zip(names, "ab1", strict=True))])).values == ["1"]


def test_named_columns_come_before_usual_ones(tmp_path: Path) -> None:
    row = {"sentence1": "a", "sentence2": "b", "label": "0", "q": "c", "r": "d", "verdict": "1"}
    path = write_labelled(tmp_path, ".csv", [row])
    assert read_rows(path, Columns("q", "r", "verdict")) == LabelledRows([("c", "d")], ["1"], [2])
    assert read_rows(path, values=("verdict", "label")).values == ["1"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            None,
            r"pairs.csv:2: expected columns of two texts and a label or score, .*found left, right, truth \(see --f",
        ),
        (Columns("left", "rihgt", "truth"), r"pairs.csv:2: expected a column rihgt .*, found left, right, truth"),
    ],
)
def test_columns_that_are_not_there(tmp_path: Path, columns: Columns | None, message: str) -> None:
    path = write_labelled(tmp_path, ".csv", [{"left": "a", "right": "b", "truth": "1"}])
    with pytest.raises(DataError, match=message):
        read_rows(path, columns)


def test_what_is_beside_texts(tmp_path: Path) -> None:
    """Whole numbers and others are numbers, true and false words; an empty cell, null and NaN are none."""
    rows = [{"first": "a", "second": "b", "label": value} for value in (1, 2.5, True, " yes ")]
    assert read_rows(write_labelled(tmp_path, ".jsonl", rows)).values == [1.0, 2.5, "true", "yes"]
    for value in (None, [], {}, "", 10**400):
        path = write_labelled(tmp_path, ".jsonl", [*rows, {"first": "a", "second": "b", "label": value}])
        with pytest.raises(DataError, match=r"pairs.jsonl:5: label: expected a label or a finite number, found"):
            read_rows(path)
    scores = pa.table({"first": ["a"], "second": ["b"], "score": [float("nan")]})
    pq.write_table(scores, tmp_path / "nan.parquet")
    with pytest.raises(DataError, match=r"nan.parquet:1: score: expected .* finite number, found 'nan'"):
        read_rows(tmp_path / "nan.parquet")


def line(**columns: object) -> bytes:
    return json.dumps({"sentence1": "a", "sentence2": "b", "label": "neutral", **columns}).encode() + b"\n"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (b"{\n", "expected JSON"),
        (b"[1]\n", "expected an object with columns, got another value"),
        (b"[" * 100_000 + b"\n", "expected JSON, got it nested too deeply"),
        (line(sentence2=7), "sentence2: expected a text, got 7"),
        (line(sentence1="\ud800"), r"expected Unicode text, got a lone surrogate U\+D800"),
        (line(score=float("nan")), "expected JSON, which has no NaN"),
        (line(sentence1="x" * 100_001), "sentence1: expected at most 100000 characters, got 100001"),
        (line(sentence1="x" * MAX_LINE_BYTES), f"expected a line of at most {MAX_LINE_BYTES} bytes"),
        (line().replace(b"a", b"\xe9", 1), "expected UTF-8, got byte 0xe9"),
        (b'{"sentence1": "a", "label": "x"}\n', r"expected a column sentence2 .*, found sentence1, label"),
    ],
)
@pytest.mark.parametrize("packing", ["", ".gz"])
def test_a_bad_line_is_named(tmp_path: Path, bad: bytes, message: str, packing: str) -> None:
    path = tmp_path / f"x.jsonl{packing}"
    content = line() * 9 + bad + line()
    path.write_bytes(gzip.compress(content) if packing else content)
    with pytest.raises(DataError, match=rf"^{path}:10: .*{message}"):
        read_rows(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"x.csv: expected a header, got an empty file"),
        (b"sentence1,sentence2,label\n", r"x.csv: expected at least one row to use, found none"),
        (b"sentence1,sentence2,label\na,b\n", r"x.csv:2: expected 3 cells as in the header, got 2"),
        (b"sentence1,sentence2,label\na,b,c\nd,\xe9,e\n", r"x.csv:3: sentence2: expected UTF-8, got byte 0xe9"),
        (b'sentence1,sentence2,label\na,"b"c,d\n', r"x.csv:2: expected CSV: .*; what follows cannot be read"),
        (
            b"sentence1,sentence2,label,label\na,b,c,d\n",
            r"x.csv:1: expected columns of different names, got label twice",
        ),
        ("sentence1,sentence2,label\na,b,c\n".encode("utf-16"), r"x.csv:1: expected a header in UTF-8"),
    ],
)
def test_csv_that_cannot_be_read(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_rows(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent.csv: expected a file, found none"):
        read_rows(tmp_path / "absent.csv")
    with pytest.raises(DataError, match=r"absent.parquet: expected a file, found none"):
        read_rows(tmp_path / "absent.parquet")
    with pytest.raises(DataError, match=r"pairs.xlsx: expected a name that ends in .jsonl, .ndjson, .csv, .tsv"):
        read_rows(tmp_path / "pairs.xlsx")
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(DataError, match=r"folder.jsonl: expected a sound file, .*directory"):
        read_rows(tmp_path / "folder.jsonl")
    (tmp_path / "x.jsonl.gz").write_bytes(line())
    with pytest.raises(DataError, match=r"x.jsonl.gz: expected gzip: Not a gzipped file"):
        read_rows(tmp_path / "x.jsonl.gz")
    (tmp_path / "x.parquet").write_bytes(line())
    with pytest.raises(DataError, match=r"x.parquet: expected a Parquet file"):
        read_rows(tmp_path / "x.parquet")


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst", ".parquet"])
def test_files_that_break_off(tmp_path: Path, suffix: str) -> None:
    rows = [{**ROWS[0], "label": str(number**9)} for number in range(5000)]
    path = write_labelled(tmp_path, suffix, rows)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=rf"pairs{suffix}: expected (gzip|zstd|a Parquet file)"):
        read_rows(path)


def test_texts_of_parquet_that_are_no_utf8(tmp_path: Path) -> None:
    texts = pa.array([b"a", b"\xe9"]).cast(pa.binary())
    broken = pa.StringArray.from_buffers(2, *texts.buffers()[1:])
    pq.write_table(pa.table({"first": broken, "second": ["b", "c"], "label": ["x", "y"]}), tmp_path / "x.parquet")
    with pytest.raises(DataError, match=r"x.parquet: expected UTF-8, found byte 0xe9"):
        read_rows(tmp_path / "x.parquet")


def test_rows_with_an_empty_text_are_left_out_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"first": text, "second": "b", "label": "x"} for text in ("a", "", " ", "c")]
    path = write_labelled(tmp_path, ".csv", rows)
    assert read_rows(path).lines == [2, 5]
    assert f"warning: {path}: rows left out: 2 with an empty text, the first in line 3" in capsys.readouterr().err
    with pytest.raises(
        DataError, match="expected at least one row to use, found 2 with an empty text, the first in line 2"
    ):
        read_rows(write_labelled(tmp_path, ".csv", rows[1:3]))


@pytest.mark.parametrize("names", ALONE)
def test_single_sentences(tmp_path: Path, names: tuple[str]) -> None:
    path = write_labelled(tmp_path, ".csv", [{names[0]: "alone", "label": "positive"}])
    assert read_sentences(path, ("negative", "positive")) == [("alone", "positive")]
    assert list(read_texts(path)) == [("alone",)]
    with pytest.raises(DataError, match=r"pairs.csv:2: expected a label of bad, good, found 'positive'"):
        read_sentences(path, ("bad", "good"))


def test_texts_need_no_label(tmp_path: Path) -> None:
    path = write_labelled(tmp_path, ".jsonl", [{"query": "a", "document": "b"}])
    assert list(read_texts(path)) == [("a", "b")]
    with pytest.raises(DataError, match=r"pairs.jsonl:1: expected a column of texts, as sentence1, found label"):
        list(read_texts(write_labelled(tmp_path, ".jsonl", [{"label": "x"}])))
