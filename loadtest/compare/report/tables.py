"""The comparison for reading in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Record = Mapping[str, Any]

UNMEASURED = "not measured"


def print_machine(record: Record) -> None:
    """What the numbers depend on, and who is missing."""
    for key, value in record["machine"].items():
        print(f"{key}: {value}")
    head = record["distilbert"]
    print(f"DistilBERT: {head['source']}" + ("" if head["task"] else "; speed only, it has no scores"))
    for name, reason in record["absent"].items():
        print(f"absent: {record['titles'][name]}: {reason}")


def print_speeds(record: Record, threads: int) -> None:
    """Every workload, its sides from the fastest to the slowest."""
    cells = [cell for cell in record["cells"] if cell["threads"] == threads]
    for workload in dict.fromkeys(cell["workload"] for cell in cells):
        print(f"\n{workload}, {threads} thread{'s' * (threads > 1)}")
        print(f"  {'':42}{'1/s':>12}{'p50 ms':>10}{'p95':>10}{'p99':>10}  calls of")
        found = (cell for cell in cells if cell["workload"] == workload)
        for cell in sorted(found, key=lambda cell: -cell["per_second"]):
            latencies = "".join(f"{latency(cell[name]):>10}" for name in ("p50_ms", "p95_ms", "p99_ms"))
            title = record["titles"][cell["side"]]
            print(f"  {title:42}{cell['per_second']:12,.0f}{latencies}  {cell['calls']} of {cell['items']}")


def print_sides(record: Record) -> None:
    """What every side weighs."""
    print(f"\n  {'':42}{'threads':>8}{'load s':>8}{'peak MB':>9}{'model MB':>9}")
    for side in record["sides"]:
        size = f"{side['peak_rss'] / 1e6:9.0f}{side['model_bytes'] / 1e6:9.1f}"
        title = record["titles"][side["side"]]
        print(f"  {title:42}{side['threads']:8}{side['load_seconds']:8.2f}{size}")


def print_scores(record: Record) -> None:
    """Spearman, or accuracy, of every side on every split."""
    for split in dict.fromkeys(split for scores in record["quality"].values() for split in scores):
        print(f"\n{split}")
        for side, scores in record["quality"].items():
            if split in scores:
                print(f"  {record['titles'][side]:42}{score(scores[split]):8.3f}")


def print_bars(record: Record) -> None:
    """Measured, wanted, and whether it is met."""
    print(f"\n  {'one thread':62}{'measured':>14}{'wanted':>20}")
    for bar in record["bars"]:
        print(f"  {bar['name']:62}{measured(bar):>14}{wanted(bar):>20}  {verdict(bar)}")


def score(metrics: Mapping[str, float]) -> float:
    """The metric by which a split is known."""
    return metrics["spearman"] if "spearman" in metrics else metrics["accuracy"]


def latency(milliseconds: float | None) -> str:
    """Three digits that mean something; a dash where there were too few calls."""
    return "-" if milliseconds is None else f"{milliseconds:,.3g}" if milliseconds < 1000 else f"{milliseconds:,.0f}"


def measured(bar: Record) -> str:
    """As in ``1,234 x``."""
    return UNMEASURED if bar["value"] is None else amount(bar["value"], bar["unit"])


def wanted(bar: Record) -> str:
    """As in ``at least 1,000 x``."""
    return f"{'below' if bar['below'] else 'at least'} {amount(bar['wanted'], bar['unit'])}"


def verdict(bar: Record) -> str:
    """Met or not."""
    return {None: UNMEASURED, True: "met", False: "not met"}[bar["met"]]


def amount(value: float, unit: str) -> str:
    """A number with its unit; shares in percent."""
    if unit == "share":
        return f"{value:.0%}"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:,.3g} {unit}"
