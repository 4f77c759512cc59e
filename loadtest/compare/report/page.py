"""The comparison as one HTML file that asks no other host, light and dark, down to the width of a phone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

from loadtest.compare.catalogue import STUDENT
from loadtest.compare.report.chart import Axis, Series, chart, log_axis
from loadtest.compare.report.tables import Record, latency, measured, score, verdict, wanted
from loadtest.compare.workloads import ANY_LENGTH, EMBEDDING, SIMILARITY, WORDS

STYLE = Path(__file__).with_name("page.css")
STSB = "similarity/stsb/dev"
# Galke et al., arXiv 2109.08449: DistilBERT, fine-tuned on STS-B alone, Spearman on its dev split.
PUBLISHED = 0.869, "DistilBERT, fine-tuned, as the paper reports it"
SHORTEST_BAR = 0.02  # of the width: the slowest side is still to be seen
STRIP = 0.2  # of the scores' axis, for those without


def page(record: Record) -> str:
    """The whole report."""
    threads = record["cells"][0]["threads"] if record["cells"] else 1
    body = "\n".join(
        [
            "<h1>Pair scoring, side by side</h1>",
            introduction(record),
            section("Bars", bars_table(record)),
            section("Quality against speed", quality_chart(record, threads)),
            section("Time by length", length_chart(record, threads), cost_table(record, threads)),
            section("Speed", *speed_blocks(record)),
            section("What every side takes, and its scores", sides_table(record)),
            section("Machine and settings", machine_table(record)),
        ]
    )
    style = STYLE.read_text(encoding="utf-8")
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><style>{style}</style>'
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<title>Comparison</title></head>\n<body>{body}</body></html>\n'
    )


def introduction(record: Record) -> str:
    """What was compared, and who is missing."""
    machine, head = record["machine"], record["distilbert"]
    told = f"DistilBERT: {head['source']}" + ("." if head["task"] else ", so it has a speed and no scores.")
    paragraphs = [
        f"{machine['cpu']}, {machine['cores']} cores. All sides took turns on the same real text with equal threads, "
        f"each in a process of its own; numbers are medians. {told}",
        *(f"Absent: {record['titles'][name]}: {reason}" for name, reason in record["absent"].items()),
    ]
    return "".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs)


def bars_table(record: Record) -> str:
    """Measured, wanted, met."""
    rows = [
        [
            f"{escape(bar['name'])}<small>{escape(wanted(bar))}</small>",
            "-" if bar["value"] is None else escape(measured(bar)),
            chip(verdict(bar)),
        ]
        for bar in record["bars"]
    ]
    return table(["one thread", "measured", ""], rows)


def quality_chart(record: Record, threads: int) -> str:
    """Every side by its speed and its score on STS-B; those without a score stand at the bottom."""
    speeds = {cell["side"]: cell["per_second"] for cell in found(record, SIMILARITY.name, threads)}
    splits = dict.fromkeys(split for scores in record["quality"].values() for split in scores)
    split = next((name for name in splits if name.startswith(STSB)), None)
    scores = {side: score(record["quality"].get(side, {}).get(split, {"spearman": math.nan})) for side in speeds}
    if not speeds:
        return "<p>No side was measured.</p>"
    known = [value for value in [*scores.values(), PUBLISHED[0]] if not math.isnan(value)]
    floor, ceiling = math.floor(10 * min(known)) / 10, math.ceil(10 * max(known)) / 10
    unknown = [side for side in speeds if math.isnan(scores[side])]
    heights = scores | {side: floor - STRIP * (row + 1) / (len(unknown) + 1) for row, side in enumerate(unknown)}
    marks = [Series(record["titles"][side], kind(side), [(speed, heights[side])]) for side, speed in speeds.items()]
    across = log_axis(f"pairs a second, {SIMILARITY.name} words, {threads} thread", speeds.values())
    up = Axis(f"Spearman, {split or STSB}", floor - STRIP, ceiling)
    return chart(marks, across, up, [PUBLISHED, (floor, "below: no scores here, speed only")])


def length_chart(record: Record, threads: int) -> str:
    """Milliseconds a text of each side, by its words."""
    corners: dict[str, list[tuple[float, float]]] = {}
    for words in WORDS.values():
        for cell in found(record, replace(EMBEDDING, words=words).name, threads):
            corners.setdefault(cell["side"], []).append((words, 1000 / cell["per_second"]))
    lines = [Series(record["titles"][side], kind(side), ends) for side, ends in corners.items() if len(ends) > 1]
    if not lines:
        return ""
    heights = log_axis("ms a text, text to embedding", (y for line in lines for _, y in line.corners))
    return chart(lines, Axis("words in a text", 10, 1000, log=True), heights)


def cost_table(record: Record, threads: int) -> str:
    """Nanoseconds a token of the student's encoder, by length."""
    rows = []
    for workload in ANY_LENGTH:
        for cell in found(record, workload.name, threads):
            if cell["side"] == STUDENT:
                nanoseconds = 1e9 / (cell["per_second"] * workload.words)
                rows.append(
                    [f"{workload.count:,} texts of {workload.words:,} tokens", f"{nanoseconds:,.0f} ns a token"]
                )
    return table(["encoder alone, fused op", f"{threads} thread"], rows)


def speed_blocks(record: Record) -> Iterable[str]:
    """Every workload as a list of bars; the first of each kind stands open."""
    seen: set[tuple[str, int]] = set()
    for cell in record["cells"]:
        key = cell["workload"], cell["threads"]
        if key in seen:
            continue
        opened = " open" if not any(cell["workload"].split(",")[0] == name.split(",")[0] for name, _ in seen) else ""
        seen.add(key)
        title = f"{cell['workload']} {unit(cell)}, {cell['threads']} thread{'s' * (cell['threads'] > 1)}"
        rows = "".join(speed_rows(record, found(record, *key)))
        yield f"<details{opened}><summary>{escape(title)}</summary><ol>{rows}</ol></details>"


def speed_rows(record: Record, cells: Sequence[Record]) -> Iterable[str]:
    """Bars on a logarithmic scale, the fastest first."""
    speeds = [cell["per_second"] for cell in cells]
    span = math.log(max(speeds) / min(speeds)) or 1
    for cell in sorted(cells, key=lambda cell: -cell["per_second"]):
        width = SHORTEST_BAR + (1 - SHORTEST_BAR) * math.log(cell["per_second"] / min(speeds)) / span
        percentiles = " / ".join(latency(cell[name]) for name in ("p50_ms", "p95_ms", "p99_ms"))
        cut = f" (calls of {cell['items']})" if cell["items"] < cell["count"] else ""
        yield (
            f'<li class="{kind(cell["side"])}"><span>{escape(record["titles"][cell["side"]])}</span>'
            f'<span>{cell["per_second"]:,.0f}/s</span><i><b style="width:{width:.1%}"></b></i>'
            f"<small>p50 / p95 / p99 {percentiles} ms{cut}</small></li>"
        )


def sides_table(record: Record) -> str:
    """Load time, memory, size and scores."""
    splits = list(dict.fromkeys(split for scores in record["quality"].values() for split in scores))
    rows = []
    for side in record["sides"]:
        scores = record["quality"].get(side["side"], {})
        rows.append(
            [
                escape(record["titles"][side["side"]]),
                str(side["threads"]),
                f"{side['load_seconds']:.2f}",
                f"{side['peak_rss'] / 1e6:,.0f}",
                f"{side['model_bytes'] / 1e6:,.1f}" if side["model_bytes"] else "-",
                *(f"{score(scores[split]):.3f}" if split in scores else "-" for split in splits),
            ]
        )
    return table(["side", "threads", "load s", "peak MB", "model MB", *map(escape, splits)], rows)


def machine_table(record: Record) -> str:
    """Whatever the numbers depend on."""
    rows = [[escape(str(key)), escape(show(value))] for key, value in record["machine"].items()]
    rows += [[escape(key), escape(value)] for key, value in record["settings"].items()]
    return table(["", ""], rows)


def show(value: Any) -> str:
    """A value of the machine's description."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {version}" for name, version in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def found(record: Record, workload: str, threads: int) -> list[Record]:
    """The cells of one workload."""
    return [cell for cell in record["cells"] if cell["workload"] == workload and cell["threads"] == threads]


def unit(cell: Record) -> str:
    """What a workload's last number counts."""
    return "tokens" if cell["kind"] in (ANY_LENGTH[0].kind, "tokens to embedding") else "words"


def kind(side: str) -> str:
    """The class of a side's marks."""
    return side.partition("-")[0]


def chip(text: str) -> str:
    """A verdict that can be seen from afar."""
    return f'<span class="chip {text.replace(" ", "-")}">{escape(text)}</span>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already; nothing where there is no row."""
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    top = "".join(f"<th>{cell}</th>" for cell in head)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>' if body else ""


def section(title: str, *content: str) -> str:
    """A heading and what stands below it."""
    return f"<section><h2>{escape(title)}</h2>{''.join(content)}</section>"
