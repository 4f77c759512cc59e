"""The Grafana dashboard asks for nothing that the service does not have, and shows all that it has."""

from __future__ import annotations

import json
import re
from pathlib import Path

from cmow.service.observe.metrics import Metrics

DASHBOARD = Path(__file__).parents[2] / "deploy/grafana/dashboard.json"


def queried() -> set[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    expressions = " ".join(target["expr"] for panel in panels for target in panel["targets"])
    return set(re.findall(r"\bcmow_\w+", expressions))


def served() -> dict[str, str]:
    """Every series' name, and the metric that it belongs to."""
    metrics = Metrics()
    metrics.expect([])
    metrics.serves("m", "k", "p", "v", 0)
    names = re.findall(r"^(cmow_\w+)", metrics.exposition().decode(), re.MULTILINE)
    return {name: re.sub("_(bucket|sum|count|created)$", "", name) for name in names}


def test_every_series_that_the_dashboard_queries_exists() -> None:
    assert queried()
    assert queried() <= served().keys()


def test_the_dashboard_shows_every_metric() -> None:
    series = served()
    shown = {series[name] for name in queried()}
    counters = {name for name in series.values() if name.endswith("_total")}
    created = {name.removesuffix("_total") for name in counters}
    assert shown == set(series.values()) - created


def test_panels_do_not_overlap() -> None:
    cells = [
        (x, y)
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
