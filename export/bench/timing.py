"""Timed calls, and contestants that take turns: a busy moment of the machine then hits all of them.

Before its timed calls a quick contestant runs uncounted for the same time as every other: it finds the caches as its
own calls leave them, as in a server, and not as the contestant before it did.
"""

from __future__ import annotations

import time
from collections.abc import Callable

CALLS = 5  # of a contestant in a round
WARM_UP = 0.1  # seconds of uncounted calls before them

Contestants = dict[str, Callable[[], object]]


def timed(function: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def warm_up(function: Callable[[], object]) -> None:
    """Call ``function`` for ``WARM_UP`` seconds, at least once."""
    seconds = 0.0
    while seconds < WARM_UP:
        seconds += timed(function)


def interleave(quick: Contestants, slow: Contestants, rounds: int, slow_rounds: int) -> dict[str, list[float]]:
    """Seconds of each contestant's calls, round after round; ``slow`` ones take part in the first ``slow_rounds``."""
    seconds: dict[str, list[float]] = {name: [] for name in quick | slow}
    for number in range(rounds):
        for name, function in quick.items():
            warm_up(function)
            seconds[name] += [timed(function) for _ in range(CALLS)]
        if number < slow_rounds:
            for name, function in slow.items():
                seconds[name].append(timed(function))
    return seconds
