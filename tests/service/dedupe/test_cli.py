"""``cmow-dedupe``: formats, runs that end early and go on, and what it refuses."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cmow.service.dedupe import options
from tests.compression import COMPRESS, INFLATE
from tests.service.dedupe.conftest import Dedupe
from tests.tiny_bundle import WORDS, TinyBundle

COMMAND = [sys.executable, "-W", "error", "-m", "cmow.service.dedupe.cli"]
ROWS = [{"id": 7, "text": "a dog"}, {"id": 8, "text": "the man"}, {"id": 9, "text": "A  Dog"}]
LEFT_OUT = {"id": 9, "text": "A  Dog", "cmow_row": 3, "cmow_duplicate_of": 1, "cmow_kept": "a dog", "cmow_score": 1.0}


JSONL = "".join(json.dumps(row) + "\n" for row in ROWS)
TSV = "id\ttext\n7\ta dog\n8\tthe man\n9\tA  Dog\n"


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def outputs(folder: Path, kind: str = "jsonl") -> list[str]:
    return ["-o", str(folder / f"out.{kind}"), "--duplicates", str(folder / f"left_out.{kind}")]


def test_json_lines(tmp_path: Path, dedupe: Dedupe, capsys: pytest.CaptureFixture[str]) -> None:
    assert dedupe(write(tmp_path / "rows.jsonl", ROWS), *outputs(tmp_path)) == 0
    assert read(tmp_path / "out.jsonl") == [ROWS[0] | {"cmow_row": 1}, ROWS[1] | {"cmow_row": 2}]
    assert read(tmp_path / "left_out.jsonl") == [LEFT_OUT]
    assert "cmow-dedupe: 2 rows kept, 1 duplicates left out in" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["left_out.jsonl", "out.jsonl", "rows.jsonl"]


def test_csv(tmp_path: Path, dedupe: Dedupe) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id,sentence\n7,a dog\n8,the man\n9,A  Dog\n")
    assert dedupe(path, "--field", "sentence", "--prefix", "x_", *outputs(tmp_path, "csv")) == 0
    assert (tmp_path / "out.csv").read_text() == "id,sentence,x_row\n7,a dog,1\n8,the man,2\n"
    assert (tmp_path / "left_out.csv").read_text().splitlines() == [
        "id,sentence,x_row,x_duplicate_of,x_kept,x_score",
        "9,A  Dog,3,1,a dog,1.0",
    ]


def test_parquet(tmp_path: Path, dedupe: Dedupe) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "rows.parquet")
    assert dedupe(tmp_path / "rows.parquet", "--block-rows", "2", *outputs(tmp_path, "parquet")) == 0
    assert pq.read_table(tmp_path / "out.parquet").to_pylist() == [row | {"cmow_row": number} for number, row in
                                                                   enumerate(ROWS[:2], 1)]  # fmt: skip
    assert pq.read_table(tmp_path / "left_out.parquet").to_pylist() == [LEFT_OUT]


def test_the_longest_is_kept(tmp_path: Path, dedupe: Dedupe) -> None:
    assert dedupe(write(tmp_path / "rows.jsonl", ROWS), "--keep", "longest", *outputs(tmp_path)) == 0
    assert [row["id"] for row in read(tmp_path / "out.jsonl")] == [8, 9]


@pytest.mark.parametrize("compression", list(COMPRESS))
@pytest.mark.parametrize(("kind", "content"), [("tsv", TSV), ("csv", TSV.replace("\t", ",")), ("jsonl", JSONL)])
def test_compressed_in_and_out(tmp_path: Path, dedupe: Dedupe, kind: str, content: str, compression: str) -> None:
    plain, packed = tmp_path / f"rows.{kind}", tmp_path / f"rows.{kind}.{compression}"
    plain.write_text(content)
    packed.write_bytes(COMPRESS[compression](content.encode()))
    assert dedupe(plain, *outputs(tmp_path, kind)) == 0
    assert dedupe(packed, "--block-rows", "2", *outputs(tmp_path, f"{kind}.{compression}")) == 0
    for name in ("out", "left_out"):
        written = INFLATE[compression]((tmp_path / f"{name}.{kind}.{compression}").read_bytes())
        assert written == (tmp_path / f"{name}.{kind}").read_bytes()
    assert written.count(b"\n") == 1 + (kind != "jsonl")


@pytest.mark.parametrize(
    ("content", "flags"),
    [
        (TSV.replace("\t", ";").encode(), ("--delimiter", ";")),
        (b"sep=;\r\n" + TSV.replace("\t", ";").encode(), ()),
        (TSV.replace("\t", ",").encode("utf-16"), ("--encoding", "utf-16")),
        (b"a dog\nthe man\nA  Dog\n", ("--no-header",)),
    ],
)
def test_cells_headers_and_encodings(tmp_path: Path, dedupe: Dedupe, content: bytes, flags: tuple[str, ...]) -> None:
    (tmp_path / "rows.csv").write_bytes(content)
    assert dedupe(tmp_path / "rows.csv", *flags, *outputs(tmp_path)) == 0
    assert [(row["text"], row["cmow_row"]) for row in read(tmp_path / "out.jsonl")] == [("a dog", 1), ("the man", 2)]
    assert [row["cmow_kept"] for row in read(tmp_path / "left_out.jsonl")] == ["a dog"]


def test_flags_of_cells_where_only_one_of_two_files_has_cells(tmp_path: Path, dedupe: Dedupe) -> None:
    (tmp_path / "known.csv").write_text("id;text\n1;A DOG\n", encoding="utf-16")
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "rows.parquet")
    flags = ["--delimiter", ";", "--encoding", "utf-16"]
    assert dedupe(tmp_path / "rows.parquet", tmp_path / "known.csv", *flags, *outputs(tmp_path)) == 0
    assert [row["id"] for row in read(tmp_path / "out.jsonl")] == [8]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_no_duplicates_and_no_rows(tmp_path: Path, dedupe: Dedupe, kind: str) -> None:
    (tmp_path / "rows.csv").write_text("id,text\n")
    assert dedupe(tmp_path / "rows.csv", *outputs(tmp_path, kind)) == 0
    header = {"jsonl": "", "csv": "id,text,cmow_row\n"}
    if kind == "parquet":
        assert pq.read_table(tmp_path / "out.parquet").column_names == ["id", "text", "cmow_row"]
    else:
        assert (tmp_path / f"out.{kind}").read_text() == header[kind]


def test_a_second_file(tmp_path: Path, dedupe: Dedupe) -> None:
    """Rows of the first file that the second has; it may be of another format."""
    rows = write(tmp_path / "rows.jsonl", [*ROWS, {"id": 10, "text": "the man"}])
    known = tmp_path / "known.csv"
    known.write_text("question\nmusic\nA DOG\n")
    arguments = ["--known-field", "question", "--threshold", "1", *outputs(tmp_path)]
    assert dedupe(rows, known, *arguments) == 0
    assert [row["id"] for row in read(tmp_path / "out.jsonl")] == [8, 10]
    found = read(tmp_path / "left_out.jsonl")
    assert [(row["id"], row["cmow_duplicate_of"], row["cmow_kept"]) for row in found] == [
        (7, 2, "A DOG"),
        (9, 2, "A DOG"),
    ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b'{"text": ""}', "expected a text with at least one token, got none"),
        (b'{"text": 3}', "text: expected a text, got 3"),
        (b'{"id": 3}', "text: expected a text, got no such column"),
        (b'{"text": "\xff"}', "expected UTF-8, got byte 0xff"),
        (b'{"text": "a", "cmow_score": 1}', "expected no column cmow_score, since a new one takes its name"),
    ],
)
def test_bad_rows(tmp_path: Path, dedupe: Dedupe, capsys: pytest.CaptureFixture[str], line: bytes, says: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join([b'{"text": "a dog"}', line, b'{"text": "A dog"}', b""]))
    assert dedupe(path, *outputs(tmp_path)) == 3
    error = capsys.readouterr().err
    assert error.startswith(f"cmow-dedupe: error: {path}:2: ")
    assert says in error
    assert dedupe(path, *outputs(tmp_path), "--on-bad-row", "skip", "--block-rows", "1") == 0
    error = capsys.readouterr().err
    assert error.count(f"cmow-dedupe: skipped {path}:2: ") == 1
    assert "; 1 bad rows skipped" in error
    assert [row["cmow_row"] for row in read(tmp_path / "out.jsonl")] == [1]
    assert [(row["cmow_row"], row["cmow_duplicate_of"]) for row in read(tmp_path / "left_out.jsonl")] == [(3, 1)]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere.jsonl", "-o", "out.jsonl"], "nowhere.jsonl: No such file or directory"),
        (["-", "-o", "out.jsonl"], "expected files, of which the input is read twice, got -"),
        (["rows.jsonl", "-o", "-"], "expected files"),
        (["rows.jsonl", "nowhere.csv", "-o", "out.jsonl"], "nowhere.csv: No such file or directory"),
        (["rows.jsonl", "-o", "rows.jsonl"], "rows.jsonl: expected no such file yet (see --overwrite)"),
        (["rows.jsonl", "-o", "x.jsonl", "--duplicates", "./x.jsonl"], "expected another file than --output"),
        (["rows.jsonl", "-o", "x.jsonl", "--known-field", "a"], "--known-field a: expected a second file, got none"),
        (["rows.csv", "-o", "x.jsonl", "--field", "a"], "expected a column a (see --field)"),
        (["rows.csv", "-o", "x.jsonl", "--field", "TEXT"], "expected a column TEXT (use --field text)"),
        (["rows.jsonl", "rows.csv", "-o", "x.jsonl", "--field", "TEXT"], "a column TEXT (use --known-field text)"),
        (["rows.jsonl", "-o", "x.jsonl", "--delimiter", ";"], "--delimiter: expected CSV or TSV (see --input-format)"),
        (["rows.jsonl", "-o", "x.jsonl", "--duplicates", "y.parquet.gz"], "y.parquet.gz: expected Parquet as it is"),
    ],
)
def test_what_cannot_start(
    tmp_path: Path,
    dedupe: Dedupe,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("rows.jsonl"), ROWS)
    Path("rows.csv").write_text("text\na\n")
    assert dedupe(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("cmow-dedupe: error: ")
    assert says in error
    assert sorted(path.name for path in tmp_path.iterdir() if path.stat().st_size) == ["rows.csv", "rows.jsonl"]


def test_a_known_file_is_never_written_over(tmp_path: Path, dedupe: Dedupe, capsys: pytest.CaptureFixture[str]) -> None:
    """Even where it has the name under which the run works."""
    known = write(tmp_path / "out.jsonl.partial", ROWS)
    before = known.read_bytes()
    own = write(tmp_path / "rows.jsonl", ROWS)
    assert dedupe(own, known, "-o", tmp_path / "out.jsonl", "--restart", "--input-format", "jsonl") == 2
    assert "expected another input than what the run writes" in capsys.readouterr().err
    assert known.read_bytes() == before


@pytest.mark.parametrize("arguments", [["--threshold", "-0.1"], ["--threshold", "x"], ["--candidates", "0"]])
def test_wrong_flags(dedupe: Dedupe, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert dedupe("rows.jsonl", "-o", "out.jsonl", *arguments) == 2
    assert f"argument {arguments[0]}: expected" in capsys.readouterr().err


def test_without_faiss(
    tmp_path: Path, dedupe: Dedupe, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "find_spec", lambda name: None if name == "faiss" else importlib.util.find_spec(name))
    assert dedupe(write(tmp_path / "rows.jsonl", ROWS), *outputs(tmp_path)) == 2
    assert 'pip install "cmow[dedupe]"' in capsys.readouterr().err


def test_help_imports_nothing_heavy(dedupe: Dedupe, capsys: pytest.CaptureFixture[str]) -> None:
    code = (
        "import sys; from cmow.service.dedupe import cli; print(sorted({'numpy', 'faiss', 'tqdm'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr
    assert dedupe("--help") == 0
    assert "1 the run failed" in capsys.readouterr().out


def test_a_run_that_was_killed_goes_on_with_the_same_result(tmp_path: Path, tiny_bundle: TinyBundle) -> None:
    """Killed while it decides: more than one block is left, and what was decided is not decided again."""
    texts = [f"{WORDS[row % 14]} {WORDS[row // 14 % 14]} {row // 196}" for row in range(7000)]
    source = write(tmp_path / "rows.jsonl", [{"text": text} for text in texts])
    whole, again = tmp_path / "whole", tmp_path / "again"
    whole.mkdir()
    again.mkdir()
    flags = [str(source), "--threads", "1", "--threshold", "0.3"]
    environment = os.environ | {"CMOW_BUNDLE": str(tiny_bundle.path)}
    subprocess.run([*COMMAND, *flags, *outputs(whole)], env=environment, check=True)
    state = again / "out.jsonl.groups.partial.json"
    with subprocess.Popen([*COMMAND, *flags, *outputs(again)], env=environment) as process:
        while process.poll() is None and not (state.exists() and json.loads(state.read_text())["position"]["records"]):
            time.sleep(0.002)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    done = subprocess.run(
        [*COMMAND, *flags, *outputs(again)], env=environment, stderr=subprocess.PIPE, text=True, check=True
    )
    assert "cmow-dedupe: going on after" in done.stderr
    for name in ("out.jsonl", "left_out.jsonl"):
        assert (again / name).read_bytes() == (whole / name).read_bytes()
    assert len(read(whole / "left_out.jsonl")) > 100
    assert sorted(path.name for path in again.iterdir()) == ["left_out.jsonl", "out.jsonl"]


def test_a_file_that_changes_meanwhile(
    tmp_path: Path, dedupe: Dedupe, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cmow.service.dedupe import command

    path = write(tmp_path / "rows.jsonl", ROWS)
    decide = command._decide

    def changing(*arguments: Any) -> Any:
        write(path, ROWS[1:])
        return decide(*arguments)

    monkeypatch.setattr(command, "_decide", changing)
    assert dedupe(path, *outputs(tmp_path)) == 1
    assert "rows.jsonl: expected the rows that were read before, found others" in capsys.readouterr().err
