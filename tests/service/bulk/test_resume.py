"""Runs that end early, and go on: nothing is lost, nothing is there twice."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

from cmow.service.errors import UsageError
from cmow.service.files.encoders import CsvEncoder
from cmow.service.files.run import BulkRun
from cmow.service.files.sinks import PartialFile, Position
from tests.service.bulk.conftest import Score
from tests.tiny_bundle import WORDS, TinyBundle

COMMAND = [sys.executable, "-W", "error", "-m", "cmow.service.bulk.cli"]
ROWS = 2000


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    with path.open("w") as file:
        for row in range(ROWS):
            texts = [" ".join(WORDS[(row * step + word) % len(WORDS)] for word in range(6)) for step in (1, 3)]
            broken = row % 331 == 5
            file.write(json.dumps({"id": row, "sentence1": "" if broken else texts[0], "sentence2": texts[1]}) + "\n")
    return path


def flags(pairs: Path | str, out: Path) -> list[str]:
    return [str(pairs), "-o", str(out), "--task", "entailment", "--fields", "sentence1", "sentence2",
            "--on-bad-row", "skip", "--block-rows", "50", "--threads", "1"]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tiny_bundle: TinyBundle, pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of runs that nothing stopped, as JSON lines and as Parquet."""
    folder = tmp_path_factory.mktemp("whole")
    for kind in ("jsonl", "parquet"):
        subprocess.run([*COMMAND, *flags(pairs, folder / f"out.{kind}")], env=environment(tiny_bundle), check=True)
    return folder


def environment(tiny_bundle: TinyBundle) -> dict[str, str]:
    return os.environ | {"CMOW_BUNDLE": str(tiny_bundle.path)}


def records(state: Path) -> int:
    """How far a run is; 0 before its first block."""
    return int(json.loads(state.read_text())["position"]["records"]) if state.exists() else 0


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet", "jsonl.gz"])
def test_kill_9(tmp_path: Path, pairs: Path, whole: Path, tiny_bundle: TinyBundle, kind: str) -> None:
    out = tmp_path / f"out.{kind}"
    state = tmp_path / f"out.{kind}.partial.json"
    for goal in (1, ROWS // 2):
        process = subprocess.Popen([*COMMAND, *flags(pairs, out)], env=environment(tiny_bundle))
        while records(state) < goal and process.poll() is None:
            time.sleep(0.002)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        assert not out.exists()
    done = subprocess.run(
        [*COMMAND, *flags(pairs, out)], env=environment(tiny_bundle), stderr=subprocess.PIPE, text=True
    )
    assert done.returncode == 0
    assert "going on after record" in done.stderr
    assert "7 bad rows skipped" in done.stderr
    if kind.startswith("jsonl"):
        found = gzip.decompress(out.read_bytes()) if kind.endswith(".gz") else out.read_bytes()
        assert found == (whole / "out.jsonl").read_bytes()
    elif kind == "parquet":
        assert pq.read_table(out).equals(pq.read_table(whole / "out.parquet"))
    else:
        ids = [line.split(",")[0] for line in out.read_text().splitlines()]
        assert ids == ["id", *(str(row) for row in range(ROWS) if row % 331 != 5)]
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_standard_input_goes_on_with_the_same_stream(
    tmp_path: Path, pairs: Path, whole: Path, tiny_bundle: TinyBundle
) -> None:
    out, state = tmp_path / "out.jsonl", tmp_path / "out.jsonl.partial.json"
    command, lines = [*COMMAND, *flags("-", out)], pairs.read_bytes().splitlines(keepends=True)
    with subprocess.Popen(command, env=environment(tiny_bundle), stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(b"".join(lines[:500]))
        process.stdin.flush()
        while records(state) < 200 and process.poll() is None:
            time.sleep(0.002)
        process.kill()
    subprocess.run(command, env=environment(tiny_bundle), input=pairs.read_bytes(), check=True)
    assert out.read_bytes() == (whole / "out.jsonl").read_bytes()


IDENTITY = {"input": "a", "task": "similarity"}


def test_what_is_behind_the_state_is_cut_off(tmp_path: Path) -> None:
    with PartialFile(tmp_path / "out", IDENTITY, restart=False) as sink:
        sink.append(b"one", Position(records=1, bytes=3))
    with (tmp_path / "out.partial").open("ab") as torn:
        torn.write(b"tw")
    with PartialFile(tmp_path / "out", IDENTITY, restart=False) as sink:
        assert sink.position.records == 1
        sink.append(b"two", Position(records=2, bytes=6))
    assert (tmp_path / "out.partial").read_bytes() == b"onetwo"


def test_restart_forgets(tmp_path: Path) -> None:
    with PartialFile(tmp_path / "out", IDENTITY, restart=False) as sink:
        sink.append(b"one", Position(records=1, bytes=3))
    with PartialFile(tmp_path / "out", {"input": "b"}, restart=True) as sink:
        assert sink.position == Position()
    assert (tmp_path / "out.partial").read_bytes() == b""


@pytest.mark.parametrize(
    ("identity", "state", "partial", "says"),
    [
        ({"input": "b", "task": "similarity"}, None, None, "go on with input a, got b; --restart starts over"),
        (IDENTITY | {"new": "x"}, None, None, "go on with new None, got x"),
        ({"input": "a"}, None, None, "go on with task similarity, got None"),
        (IDENTITY, b"{", None, "expected the state of a run, found something else"),
        (IDENTITY, b"\xff", None, "expected the state of a run"),
        (IDENTITY, b'{"identity": {}, "position": {"records": -1}}', None, "expected the state of a run"),
        (IDENTITY, None, b"on", "expected at least 3 bytes, found fewer"),
    ],
)
def test_what_cannot_be_gone_on_with(
    tmp_path: Path, identity: dict[str, str], state: bytes | None, partial: bytes | None, says: str
) -> None:
    with PartialFile(tmp_path / "out", IDENTITY, restart=False) as sink:
        sink.append(b"one", Position(records=1, bytes=3))
    for name, content in (("out.partial.json", state), ("out.partial", partial)):
        if content is not None:
            (tmp_path / name).write_bytes(content)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(UsageError, match=says):
        PartialFile(tmp_path / "out", identity, restart=False)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_two_processes_never_write_one_file(tmp_path: Path) -> None:
    with (
        PartialFile(tmp_path / "out", IDENTITY, restart=False),
        pytest.raises(UsageError, match="another process is writing it"),
    ):
        PartialFile(tmp_path / "out", IDENTITY, restart=True)


def test_another_input_is_no_continuation(tmp_path: Path, score: Score, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "pairs.jsonl", tmp_path / "out.jsonl"
    good = json.dumps({"sentence1": "a", "sentence2": "b"}) + "\n"
    arguments: list[Any] = [path, "-o", out, "--task", "similarity", "--block-rows", "1"]
    path.write_text(good + "{\n")
    assert score(*arguments) == 3
    path.write_text(good + good)
    assert score(*arguments) == 2
    assert "--restart starts over" in capsys.readouterr().err
    assert score(*arguments, "--restart") == 0
    assert len(out.read_text().splitlines()) == 2
    assert score(*arguments) == 2
    assert f"{out}: expected no such file yet (see --overwrite)" in capsys.readouterr().err
    assert score(*arguments, "--overwrite") == 0


def test_a_row_that_stopped_a_run_can_be_skipped_when_it_goes_on(
    tmp_path: Path, score: Score, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "pairs.jsonl", tmp_path / "out.jsonl"
    good = json.dumps({"sentence1": "a", "sentence2": "b"}) + "\n"
    path.write_text(good * 3 + "{\n" + good)
    arguments: list[Any] = [path, "-o", out, "--task", "similarity", "--block-rows", "2"]
    assert score(*arguments) == 3
    assert score(*arguments, "--on-bad-row", "skip") == 0
    assert "going on after record 2, of which 2 pairs are written" in capsys.readouterr().err
    assert len(out.read_text().splitlines()) == 4


def test_a_header_without_rows_is_written_once(tmp_path: Path) -> None:
    with PartialFile(tmp_path / "out", IDENTITY, restart=False) as sink:
        for _ in range(2):  # as where a run is killed between its last block and its end
            encoder = CsvEncoder(sink.position.memory, ["a", "b"])
            source = SimpleNamespace(unit="B", total=0, scored=lambda skip: iter(()))
            sink.finish = lambda _: None  # type: ignore[method-assign]
            BulkRun("cmow-score", "pairs", "none", source, encoder, sink, "stop", progress=False).run()
    assert (tmp_path / "out.partial").read_text() == "a,b\n"
