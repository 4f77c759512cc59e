"""``cmow-score`` as a process, its options, and its memory."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cmow.service.bulk.scoring import LocalSource, ModelScorer, Scoring
from cmow.service.files import options
from cmow.service.files.encoders import JsonlEncoder
from cmow.service.files.readers import JsonlReader, ReadOptions
from cmow.service.files.rows import RowCheck
from cmow.service.files.run import BulkRun
from cmow.service.files.sinks import PartialFile
from cmow.service.model.model import UNBOUNDED, Model
from cmow.service.options.defaults import MODEL_OPTIONS
from tests.served import open_engine
from tests.service.bulk.conftest import Score
from tests.tiny_bundle import TinyBundle

GOOD = json.dumps({"sentence1": "a dog", "sentence2": "music"}) + "\n"


def test_nobody_reads_standard_output_any_more(tmp_path: Path, tiny_bundle: TinyBundle) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(GOOD * 5000)
    command = [sys.executable, "-W", "error", "-m", "cmow.service.bulk.cli", str(path), "--task", "similarity"]
    command += ["--block-rows", "100", "--bundle", str(tiny_bundle.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["sentence1"] == "a dog"
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere.jsonl"], "nowhere.jsonl: No such file or directory"),
        (["nowhere.parquet"], "nowhere.parquet: "),
        (["pairs.txt"], "pairs.txt: expected a name that ends in .jsonl, .ndjson, .csv, .tsv, .parquet"),
        (["-", "--input-format", "parquet"], "expected a file, got standard input"),
        (["-", "--output-format", "parquet"], "expected a file, got standard output"),
        (["-", "-o", "nowhere/out.jsonl"], "nowhere/out.jsonl: No such file or directory"),
        (["-", "--bundle", "nowhere"], "expected a bundle folder at nowhere, found nothing"),
        (["-", "--workers", "7"], "--workers 7: expected --engine ray, got local"),
        (["-", "--threads", "-1"], "threads: Input should be greater than or equal to 0, got '-1'"),
    ],
)
def test_what_cannot_start(
    tmp_path: Path,
    score: Score,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert score(*arguments, "--task", "similarity") == 2
    error = capsys.readouterr().err
    assert error.startswith("cmow-score: error: ")
    assert says in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("arguments", [["pairs.parquet"], ["-", "-o", "out.parquet"]])
def test_parquet_without_pyarrow(
    score: Score, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setattr(
        options, "find_spec", lambda name: None if name == "pyarrow" else importlib.util.find_spec(name)
    )
    assert score(*arguments, "--task", "similarity") == 2
    assert 'Parquet needs pyarrow, which is not installed: pip install "cmow[parquet]"' in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--block-rows", "0"],
        ["--block-rows", "x"],
        ["--block-rows", str(2**31)],
        ["--max-line-bytes", "9" * 5000],
        ["--prefix", "\udcff"],
        ["--fields", "a", "\udcff"],
        ["--task", "both"],
        ["--colour"],
    ],
)
def test_wrong_flags(score: Score, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert score("-", "--task", "similarity", *arguments) == 2
    assert arguments[0] in capsys.readouterr().err


def test_the_largest_counts(tmp_path: Path, score: Score) -> None:
    most = ["--block-rows", str(2**31 - 1), "--max-line-bytes", str(2**31 - 1)]
    path = tmp_path / "pairs.jsonl"
    path.write_text(GOOD)
    for kind in ("csv", "parquet", "jsonl"):
        out = tmp_path / f"out.{kind}"
        assert score(path, "--task", "similarity", "--prefix", f"{kind}_", "-o", out, *most) == 0
        path = out


@pytest.mark.parametrize("output", ["jsonl", "parquet"])
@pytest.mark.parametrize("source", ["jsonl", "parquet"])
def test_names_that_are_no_unicode(tmp_path: Path, score: Score, source: str, output: str) -> None:
    (tmp_path / "pairs.jsonl").write_text(GOOD)
    assert (
        score(tmp_path / "pairs.jsonl", "--task", "similarity", "-o", tmp_path / f"pairs.{source}", "--overwrite") == 0
    )
    path = (tmp_path / f"pairs.{source}").rename(tmp_path / f"\udcff.{source}")
    assert score(path, "--task", "paraphrase", "--prefix", "x_", "-o", tmp_path / f"out\udcff.{output}") == 0
    assert (tmp_path / f"out\udcff.{output}").stat().st_size


@pytest.mark.parametrize(("stream", "source"), [("stdin", "-"), ("stdout", "pairs.jsonl")])
def test_closed_streams(
    tmp_path: Path,
    score: Score,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    stream: str,
    source: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pairs.jsonl").write_text(GOOD)
    monkeypatch.setattr(sys, stream, None)
    assert score(source, "--task", "similarity") == 2
    assert f"standard {stream.removeprefix('std')}put: expected a stream, found it closed" in capsys.readouterr().err


def test_without_standard_error(tmp_path: Path, tiny_bundle: TinyBundle) -> None:
    (tmp_path / "pairs.jsonl").write_text(GOOD)
    command = [sys.executable, "-W", "error", "-m", "cmow.service.bulk.cli", str(tmp_path / "pairs.jsonl")]
    command += ["--task", "similarity", "--bundle", str(tiny_bundle.path)]
    done = subprocess.run(["sh", "-c", 'exec "$@" 2>&-', "sh", *command], stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0
    assert [list(json.loads(line)) for line in done.stdout.splitlines()] == [
        ["sentence1", "sentence2", "cmow_similarity", "cmow_truncated"]
    ]


def test_variables_of_the_server_are_not_read(tmp_path: Path, score: Score, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pairs.jsonl").write_text(GOOD)
    for name in ("PORT", "CMOW_PORT", "CMOW_WORKERS", "CMOW_CORS_ORIGINS", "CMOW_MAX_PAIRS"):
        monkeypatch.setenv(name, "wrong")
    assert score(tmp_path / "pairs.jsonl", "--task", "similarity") == 0
    monkeypatch.setenv("CMOW_THREADS", "wrong")
    assert score(tmp_path / "pairs.jsonl", "--task", "similarity") == 2


def test_help_names_every_flag_with_its_variable_and_every_status(
    score: Score, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score("--help") == 0
    text = capsys.readouterr().out
    for name in MODEL_OPTIONS:
        assert re.search(rf"--{name.replace('_', '-')}\b", text)
        assert f"CMOW_{name.upper()}" in text
    for status in ("0 all", "1 the run failed", "2 it could not start", "3 a row is bad", "130 stopped", "141 nobody"):
        assert status in text


def test_progress(tmp_path: Path, score: Score, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(GOOD * 3)
    assert score(path, "--task", "similarity", "-o", tmp_path / "out.jsonl", "--progress") == 0
    error = capsys.readouterr().err
    assert "100%" in error
    assert re.search(r"cmow-score: 3 pairs in [\d.]+ s, [\d,]+ pairs/second\n", error)


class Lines:
    """A stream of ``lines`` equal lines that is never in memory as a whole."""

    LINE = (json.dumps({"sentence1": "a dog", "sentence2": "music", "kept": "x" * 2000}) + "\n").encode()

    def __init__(self, lines: int) -> None:
        self.left = lines

    def readline(self, limit: int) -> bytes:
        assert limit > len(self.LINE)
        self.left -= 1
        return bytes(bytearray(self.LINE)) if self.left >= 0 else b""


class Watch:
    """Passes blocks on, and notes the memory in use at each."""

    def __init__(self, scorer: ModelScorer) -> None:
        self.scorer = scorer
        self.seen: list[int] = []

    def __call__(self, blocks: Any) -> Iterator[Any]:
        for scored in self.scorer(blocks):
            self.seen.append(tracemalloc.get_traced_memory()[0])
            yield scored


def test_memory_does_not_grow_with_the_input(tmp_path: Path, tiny_bundle: TinyBundle) -> None:
    """What Python holds at the last block is what it held at the fifth, save for 1 % of what was read between."""
    check = RowCheck(("sentence1", "sentence2"), 1000, ["cmow_similarity"])
    blocks, rows = 40, 50
    reader = JsonlReader(Lines(blocks * rows), None, ReadOptions(check, rows, 5000))  # type: ignore[arg-type]
    watch = Watch(ModelScorer(Model(open_engine(tiny_bundle, "portable"), UNBOUNDED), Scoring("similarity", "cmow_")))
    with PartialFile(tmp_path / "out.jsonl", {}, restart=False) as sink:
        tracemalloc.start()
        BulkRun(
            "cmow-score", "pairs", "lines", LocalSource(reader, watch), JsonlEncoder(), sink, "stop", progress=False
        ).run()
        tracemalloc.stop()
        assert sink.position.scored == blocks * rows
        assert sink.position.size == blocks * rows * len(Lines.LINE)
    assert len(watch.seen) == blocks
    assert watch.seen[-1] - watch.seen[4] < (blocks - 5) * rows * len(Lines.LINE) / 100


def test_help_imports_nothing_heavy() -> None:
    code = """
import sys
from cmow.service.bulk import cli
try:
    cli.main(["--help"])
except SystemExit:
    heavy = {"numpy", "onnxruntime", "tokenizers", "msgspec", "pydantic", "fastapi", "uvicorn", "pyarrow", "tqdm"}
    print("heavy:", sorted(heavy & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.endswith("heavy: []\n"), done.stdout + done.stderr


def test_pairs_that_the_model_cannot_read_are_counted(
    tmp_path: Path, score: Score, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two different texts of unknown tokens are not the same; standard error says how many pairs there are of them."""
    path = tmp_path / "pairs.jsonl"
    pairs = [("\N{DOG}", "\N{CAT}"), ("\N{DOG}", "a dog"), ("a dog", "the man")]
    rows = [{"sentence1": left, "sentence2": right} for left, right in pairs]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert score(path, "--task", "similarity", "-o", tmp_path / "out.jsonl") == 0
    assert json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])["cmow_similarity"] == 0
    assert "2 pairs with a text of which the model knows no token" in capsys.readouterr().err
