"""``cmow-score --engine ray`` against the local engine."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cmow.service.bulk import command
from loadtest.endurance.ray_bulk import findings, make_pairs, score
from tests.service.bulk.conftest import Score
from tests.tiny_bundle import TinyBundle

ROWS = 3000


needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason='no ray: pip install ".[ray]", then pytest -m ray'
)


@pytest.fixture
def on_the_tiny_bundle(tiny_bundle: TinyBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMOW_BUNDLE", str(tiny_bundle.path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@needs_ray
@pytest.mark.ray
@pytest.mark.usefixtures("on_the_tiny_bundle")
def test_a_killed_worker_loses_and_repeats_nothing(tmp_path: Path) -> None:
    source = tmp_path / "pairs.parquet"
    make_pairs(source, ROWS)
    local = score(source, tmp_path / "local.parquet", ["--block-rows", "10"])
    flags = ["--block-rows", "10", "--engine", "ray", "--workers", "2"]
    ray = score(source, tmp_path / "ray.parquet", flags, kill_at=ROWS // 3)
    assert ray.killed
    assert findings(local.output, ray.output) == []


@needs_ray
@pytest.mark.ray
@pytest.mark.usefixtures("on_the_tiny_bundle")
def test_a_bad_row_is_the_local_engines_error(tmp_path: Path) -> None:
    source = tmp_path / "pairs.parquet"
    pq.write_table(pa.table({"sentence1": ["a dog"] * 50, "sentence2": [*["music"] * 40, "", *["music"] * 9]}), source)
    command = [sys.executable, "-m", "cmow.service.bulk.cli", str(source), "--task", "similarity", "--block-rows", "7"]
    runs = [
        subprocess.run([*command, "--engine", engine], capture_output=True, text=True) for engine in ("local", "ray")
    ]
    assert [run.returncode for run in runs] == [3, 3]
    assert runs[0].stdout == runs[1].stdout
    assert len(runs[0].stdout.splitlines()) == 35
    said = "cmow-score: error: " + f"{source}:41: the second text: expected at least one token, got none"
    assert all(said in run.stderr for run in runs)
    assert "Traceback" not in runs[1].stderr


def test_only_parquet(score: Score, capsys: pytest.CaptureFixture[str]) -> None:
    assert score("pairs.jsonl", "--task", "similarity", "--engine", "ray") == 2
    assert "--engine ray: expected Parquet, of which workers read their own rows, got jsonl" in capsys.readouterr().err


def test_without_ray(score: Score, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "ray" else real(name))
    assert score("pairs.parquet", "--task", "similarity", "--engine", "ray") == 2
    assert '--engine ray needs ray, which is not installed: pip install "cmow[ray]"' in capsys.readouterr().err
