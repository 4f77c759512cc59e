"""Sides take turns: in every round each does the same for a moment, so that a busy moment of the machine hits all."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loadtest.compare.contestant import Contestant, SideError
from loadtest.compare.workloads import Workload
from loadtest.harness.traffic import percentile

LEAST_CALLS = {"p95_ms": 20, "p99_ms": 100}  # below, a percentile would be the worst call by another name
SHARES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


@dataclass(frozen=True)
class Pace:
    """How long things take."""

    rounds: int
    seconds: float  # of calls in a round
    call_limit: float  # a longer call is made of fewer texts, unless a bar rests on the batch
    whole: bool  # whether batches that a bar rests on are never cut


@dataclass
class Cell:
    """One side at one workload."""

    side: str
    threads: int
    workload: Workload
    seconds: list[float] = field(default_factory=list)
    items: int = 0
    cores: list[float] = field(default_factory=list)

    @property
    def each(self) -> float:
        """Median seconds of a call for each text or pair."""
        return statistics.median(self.seconds) / self.items

    def add(self, answer: Mapping[str, Any]) -> None:
        """What came of one round."""
        self.seconds += answer["seconds"]
        self.items = answer["items"]
        self.cores.append(answer["cores"])

    def record(self) -> dict[str, Any]:
        """For JSON: calls of ``items`` texts or pairs; where that is less than ``count`` the rate is of the smaller."""
        latencies = {
            name: percentile(self.seconds, share) if len(self.seconds) >= LEAST_CALLS.get(name, 1) else None
            for name, share in SHARES.items()
        }
        return {
            "side": self.side,
            "threads": self.threads,
            "workload": self.workload.name,
            "kind": self.workload.kind,
            "count": self.workload.count,
            "words": self.workload.words,
            "items": self.items,
            "calls": len(self.seconds),
            "per_second": 1 / self.each,
            "cores": statistics.median(self.cores),
            **latencies,
        }


def measure(
    contestants: list[Contestant], workloads: Sequence[Workload], pace: Pace, say: Callable[[str], None]
) -> Iterable[list[Cell]]:
    """Cells of one workload after the other. A side that dies is named and takes no further part."""
    for workload in workloads:
        cells = {c.spec.name: Cell(c.spec.name, c.threads, workload) for c in contestants}
        for _ in range(pace.rounds):
            for contestant in list(contestants):
                try:
                    _take_turn(contestant, cells[contestant.spec.name], pace)
                except SideError as error:
                    contestants.remove(contestant)
                    say(f"{contestant.spec.title} died at {workload.name}:\n{error}")
        yield [cell for cell in cells.values() if cell.seconds]


def _take_turn(contestant: Contestant, cell: Cell, pace: Pace) -> None:
    """One round, unless the side cannot do it or has spent the time of all rounds already."""
    if cell.workload.name not in contestant.workloads or sum(cell.seconds) > pace.rounds * pace.seconds:
        return
    limit = None if cell.workload.whole and pace.whole else pace.call_limit
    cell.add(contestant.time(cell.workload, pace.seconds, limit))
