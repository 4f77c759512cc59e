"""Short real runs of locust against the tiny bundle: they pass, and they fail where they should."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.locust.runs import NO_LIMITS, Run, load, read_stats
from tests.tiny_bundle import TinyBundle

PACE = ("--steps", "1", "--step-users", "2", "--step-seconds", "5", "--user-rate", "10", "--batch", "3")


@pytest.mark.parametrize(
    ("limits", "status"), [(NO_LIMITS, 0), ((*NO_LIMITS, "--max-p95-ms", "0.001"), 1)], ids=["kept", "exceeded"]
)
def test_limits_decide_the_exit_status(
    tiny_bundle: TinyBundle, tmp_path: Path, limits: tuple[str, ...], status: int
) -> None:
    pytest.importorskip("geventhttpclient", reason="locust is not installed")
    run = Run("tiny", "cmow.service.serve.cli", ["--bundle", str(tiny_bundle.path), "--threads", "1"], [*PACE, *limits])
    assert load(run, tmp_path, processes=1) == status, (tmp_path / "tiny.log").read_text()
    stats = read_stats(tmp_path / "tiny_stats.csv")
    assert int(stats["Aggregated"]["Request Count"]) > 0
    assert int(stats["Aggregated"]["Failure Count"]) == 0
    assert (tmp_path / "tiny.html").stat().st_size > 0
