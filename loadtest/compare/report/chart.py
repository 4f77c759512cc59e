"""Charts as inline SVG, coloured by the page's style sheet, so that they follow its dark mode.

Marks carry numbers, and a list below says what they are: names beside marks would cover one another.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 560, 380
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 16, 46
RADIUS = 10


@dataclass(frozen=True)
class Axis:
    """A range of values, on a logarithmic scale or not."""

    title: str
    low: float
    high: float
    log: bool = False
    step: float = 0.1  # between ticks, unless logarithmic

    def share(self, value: float) -> float:
        """Where ``value`` lies: 0 at ``low``, 1 at ``high``."""
        scale = math.log10 if self.log else float
        return (scale(value) - scale(self.low)) / (scale(self.high) - scale(self.low))

    def ticks(self) -> list[float]:
        """Powers of ten, or multiples of ``step``."""
        if self.log:
            return [10.0**power for power in range(round(math.log10(self.low)), round(math.log10(self.high)) + 1)]
        first, last = math.ceil(self.low / self.step - 0.01), math.floor(self.high / self.step + 0.01)
        return [self.step * number for number in range(first, last + 1)]


@dataclass(frozen=True)
class Series:
    """One name: its class in the style sheet, and its corners; a single one is a mark without a line."""

    name: str
    kind: str
    corners: Sequence[tuple[float, float]]


def log_axis(title: str, values: Iterable[float]) -> Axis:
    """Whole powers of ten around ``values``."""
    powers = [math.log10(value) for value in values]
    low, high = math.floor(min(powers)), math.ceil(max(powers))
    return Axis(title, 10.0**low, 10.0 ** max(high, low + 1), log=True)


def chart(series: Sequence[Series], across: Axis, up: Axis, rules: Sequence[tuple[float, str]] = ()) -> str:
    """Lines, a numbered mark at the end of each, and the list of their names.

    ``rules`` are heights with a dashed line, and what it stands for.
    """
    content = [dashed(up, height, note) for height, note in rules]
    content += [polyline(across, up, one) for one in series]
    content += [mark(across, up, one, number) for number, one in enumerate(series, 1)]
    names = "".join(f'<li class="{one.kind}">{escape(one.name)}</li>' for one in series)
    return frame(across, up, content) + f'<ol class="legend">{names}</ol>'


def dashed(up: Axis, height: float, note: str) -> str:
    """One of the rules."""
    y = top(up, height)
    return (
        f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="note" x="{LEFT + 6}" y="{y - 5:.1f}">{escape(note)}</text>'
    )


def polyline(across: Axis, up: Axis, series: Series) -> str:
    """The line of one name."""
    points = " ".join(f"{left(across, x):.1f},{top(up, y):.1f}" for x, y in series.corners)
    return f'<polyline class="{series.kind}" points="{points}"/>'


def mark(across: Axis, up: Axis, series: Series, number: int) -> str:
    """The numbered end of one name."""
    x, y = left(across, series.corners[-1][0]), top(up, series.corners[-1][1])
    return (
        f'<g class="{series.kind}"><title>{escape(series.name)}</title><circle cx="{x:.1f}" cy="{y:.1f}" r="{RADIUS}"/>'
        f'<text class="number" x="{x:.1f}" y="{y + 4:.1f}">{number}</text></g>'
    )


def left(axis: Axis, value: float) -> float:
    """Distance from the left edge."""
    return LEFT + axis.share(value) * (WIDTH - LEFT - RIGHT)


def top(axis: Axis, value: float) -> float:
    """Distance from the upper edge."""
    return HEIGHT - BOTTOM - axis.share(value) * (HEIGHT - TOP - BOTTOM)


def frame(across: Axis, up: Axis, content: Sequence[str]) -> str:
    """Grid, numbers and titles around ``content``."""
    grid = []
    for value in across.ticks():
        x = left(across, value)
        grid.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        grid.append(f'<text class="tick middle" x="{x:.1f}" y="{HEIGHT - BOTTOM + 17}">{short(value)}</text>')
    for value in up.ticks():
        y = top(up, value)
        grid.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        grid.append(f'<text class="tick end" x="{LEFT - 6}" y="{y + 4:.1f}">{short(value)}</text>')
    titles = (
        f'<text class="tick middle" x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 8}">{escape(across.title)}</text>'
        f'<text class="tick middle" transform="translate(14 {HEIGHT / 2}) rotate(-90)">{escape(up.title)}</text>'
    )
    name = escape(f"{up.title} against {across.title}")
    body = "".join([*grid, titles, *content])
    return f'<div class="wide"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}">{body}</svg></div>'


def short(value: float) -> str:
    """As short as a tick needs it."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:.3g}"
