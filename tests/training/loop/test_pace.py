"""How long a run will take, as it is said."""

from __future__ import annotations

import pytest

from training.loop import pace as paces
from training.loop.pace import Pace, spoken


def said(monkeypatch: pytest.MonkeyPatch, total: int, counts: list[int], seconds: float) -> list[str]:
    """What is said of ``total`` when each of ``counts`` takes ``seconds``."""
    now, messages = [0.0], list[str]()
    monkeypatch.setattr(paces.time, "perf_counter", lambda: now[0])
    pace = Pace(total, "pairs", messages.append)
    for count in counts:
        now[0] += seconds
        pace.add(count)
    return messages


def test_a_long_run_is_announced_once_after_the_first_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    found = said(monkeypatch, 1_000_000, [512, 512, 8192, 8192], seconds=15)
    assert found == ["998,976 pairs are left, 34 a second: about 8 h 08 min"]


def test_a_slow_one_is_in_seconds_each(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(monkeypatch, 1000, [1, 1, 1, 1], seconds=10) == ["998 pairs are left, 10 s each: about 2 h 46 min"]


def test_a_short_one_is_not_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(monkeypatch, 50_000, [512, 8192, 8192], seconds=15) == []


def test_durations() -> None:
    assert [spoken(seconds) for seconds in (5, 660, 7200, 172_800)] == ["1 min", "11 min", "2 h 00 min", "2 days 0 h"]
