"""How long a run will take, said once at its beginning where that is long."""

from __future__ import annotations

import time
from collections.abc import Callable

from tqdm import tqdm

SETTLED = 20.0  # seconds after which a rate is believed
LONG = 600.0  # seconds worth a warning


class Pace:
    """Counts what is done of ``total`` and tells ``say`` about how long the rest takes, once that is known."""

    def __init__(self, total: int, unit: str, say: Callable[[str], object] = tqdm.write) -> None:
        self.left, self.unit, self.say = total, unit, say
        self.start, self.done, self.said = time.perf_counter(), 0, False

    def add(self, count: int) -> None:
        """``count`` more are done."""
        self.done, self.left = self.done + count, self.left - count
        seconds = time.perf_counter() - self.start
        if self.said or seconds < SETTLED:
            return
        self.said = True
        rate = self.done / seconds
        if self.left / rate > LONG:
            rounded = f"{rate:,.0f} a second" if rate >= 10 else f"{1 / rate:.2g} s each"
            self.say(f"{self.left:,} {self.unit} are left, {rounded}: about {spoken(self.left / rate)}")


def spoken(seconds: float) -> str:
    """``seconds`` to two figures: days and hours, hours and minutes, or minutes."""
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{max(1, minutes)} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes // 1440} days {minutes % 1440 // 60} h"
