"""Ratios, bars, and the page that shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loadtest.compare.__main__ import shown
from loadtest.compare.catalogue import BEHIND_HTTP, CATALOGUE, INT8, SERVICE, STUDENT
from loadtest.compare.report.bars import Bar, Results, bars
from loadtest.compare.report.page import page
from loadtest.compare.report.tables import measured, verdict, wanted
from loadtest.compare.rounds import Cell
from loadtest.compare.workloads import ANY_LENGTH, ENTAILMENT, ONE_SIMILARITY, RELATEDNESS, SIMILARITY, STATE, Workload
from loadtest.locust.limits import Limits, breaches


def cell(side: str, workload: Workload, seconds: float, items: int | None = None) -> Cell:
    return Cell(side, 1, workload, [seconds] * 3, items or workload.count, [1.0])


CELLS = [
    cell(STUDENT, SIMILARITY, 0.01),
    cell(SERVICE, SIMILARITY, 0.016),
    cell(STUDENT, ENTAILMENT, 0.05),
    cell(STUDENT, RELATEDNESS, 0.02),
    cell(INT8, SIMILARITY, 0.1, items=8),
    cell(SERVICE, ONE_SIMILARITY, 0.001),
    cell(BEHIND_HTTP, ONE_SIMILARITY, 0.02),
    cell(STUDENT, STATE, 0.002),
    *(cell(STUDENT, workload, 0.1 + 0.01 * row) for row, workload in enumerate(ANY_LENGTH)),
]


def found(cells: list[Cell] = CELLS) -> dict[str, Bar]:
    return {
        bar.name: bar for bar in bars(Results(cells, 1), {"ready_seconds": 1.5, "rss_bytes": 2e8, "pss_bytes": 4e8})
    }


def value(part: str) -> float | None:
    return next(bar.value for name, bar in found().items() if part in name)


def test_ratios_are_of_the_time_for_one_pair_whatever_the_batch() -> None:
    # 0.1 s for 8 pairs are 3.2 s for 256.
    assert value("text to similarity") == pytest.approx(320)
    assert value("text to entailment") == pytest.approx(64)
    assert value("text to relatedness") == pytest.approx(160)


def test_shares_rates_and_spread() -> None:
    assert value("share of in-process") == pytest.approx(0.625)
    assert value("one pair, similarity") == pytest.approx(20)
    assert value("text to the encoder's embedding, 256") == pytest.approx(128_000)
    assert value("worst over best") == pytest.approx(1.3)
    assert value("RSS of one worker") == pytest.approx(200)


def test_a_bar_is_met_not_met_or_not_measured() -> None:
    verdicts = {name: bar.met for name, bar in found().items()}
    assert verdicts["text to similarity, 256 x 14 words, times DistilBERT int8"] is True
    assert verdicts["text to entailment, 256 x 14 words, times DistilBERT int8"] is False
    assert verdicts["tokens to embedding, 256 x 64, times DistilBERT fp32"] is None
    assert verdicts["service, start to ready"] is False
    assert verdicts["service, PSS of four workers"] is True


def test_nothing_measured_is_nothing_met() -> None:
    assert {bar.met for bar in bars(Results([], 1), None)} == {None}


def test_percentiles_need_enough_calls() -> None:
    few, many = cell(STUDENT, SIMILARITY, 0.01), Cell(STUDENT, 1, SIMILARITY, [0.01] * 99 + [1.0], 256, [1.0])
    assert few.record()["p95_ms"] is None
    assert many.record()["p95_ms"] == pytest.approx(10)
    assert many.record()["p99_ms"] == pytest.approx(1000)


def record() -> dict[str, Any]:
    sides = dict.fromkeys(cell.side for cell in CELLS)
    return {
        "machine": {"cpu": "a <b>chip</b>", "cores": 2, "versions": {"numpy": "2"}},
        "settings": {"quick": "True"},
        "distilbert": {"source": "random weights", "task": None},
        "titles": {spec.name: spec.title for spec in CATALOGUE},
        "absent": {"wordllama": "not installed: wordllama"},
        "sides": [
            {"side": side, "threads": 1, "load_seconds": 1.0, "model_bytes": 10**7, "peak_rss": 10**8} for side in sides
        ],
        "cells": [cell.record() for cell in CELLS],
        "quality": {STUDENT: {"similarity/stsb/dev": {"spearman": 0.87, "pearson": 0.86}}},
        "bars": [bar.record() for bar in found().values()],
    }


def test_the_page_names_every_side_and_bar_and_asks_no_other_host() -> None:
    shown = record()
    html = page(shown)
    for side in shown["sides"]:
        assert shown["titles"][side["side"]] in html
    for bar in shown["bars"]:
        assert measured(bar) in html
        assert wanted(bar) in html
        assert verdict(bar) in html
    assert "not installed: wordllama" in html
    assert "a &lt;b&gt;chip&lt;/b&gt;" in html
    assert "://" not in html
    assert "src=" not in html


def test_limits_name_what_is_beyond_them() -> None:
    limits = Limits(error_ratio=0, p95_ms=10, p99_ms=20)
    assert breaches(5, {"error_ratio": 0, "p95_ms": 10, "p99_ms": 20}, limits) == []
    assert len(breaches(5, {"error_ratio": 0.1, "p95_ms": 11, "p99_ms": 20}, limits)) == 2
    assert breaches(5, {"error_ratio": 0, "p95_ms": float("nan"), "p99_ms": 1}, limits)
    assert breaches(0, {"error_ratio": 0, "p95_ms": 0, "p99_ms": 0}, limits) == ["no request was made"]


def test_reports_hold_no_path_of_the_machine() -> None:
    assert shown(Path("/home/me/data")) == "data"
    assert shown([1, 2]) == "[1, 2]"
