"""The student and a baseline on the same pairs, with the same threads: how long each takes, and what it says."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

from cmow.service.model.baseline import Baseline, Floats, Precision, Task
from cmow.service.model.engine import Engine

SECONDS = 10.0  # after which no further run starts; well below the deadline of a request
PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")

Pairs = Sequence[tuple[str, str]]
Contestant = Callable[[], Floats]


@dataclass(frozen=True)
class Side:
    """One contestant. ``seconds`` is the median of ``runs`` runs, texts to scores, after one that is not counted."""

    precision: Precision | None
    seconds: float
    runs: int
    scores: Floats | None


def compare(engine: Engine, baseline: Baseline, task: Task, pairs: Pairs, runs: int) -> list[Side]:
    """The student first, then the baseline in each precision, taking turns: a busy moment of the machine hits them all.

    The baseline has scores only where its head was trained for ``task``.
    """
    student = engine.similarity if task == "similarity" else engine.entailment
    contestants: dict[Precision | None, Contestant] = {None: lambda: student(pairs)}
    contestants |= {precision: _run(baseline, pairs, precision) for precision in PRECISIONS}
    results = {name: contestant() for name, contestant in contestants.items()}
    seconds = _take_turns(contestants, runs)
    trained = PRECISIONS if baseline.manifest.task == task else ()
    scores = {None: results[None]} | {name: baseline.scores(results[name]) for name in trained}
    return [Side(name, statistics.median(seconds[name]), len(seconds[name]), scores.get(name)) for name in contestants]


def _run(baseline: Baseline, pairs: Pairs, precision: Precision) -> Contestant:
    return lambda: baseline.logits(baseline.encode(pairs), precision)


def _take_turns(contestants: dict[Precision | None, Contestant], runs: int) -> dict[Precision | None, list[float]]:
    """Seconds of each contestant's runs: ``runs`` of each, or fewer but one where the time is up."""
    seconds: dict[Precision | None, list[float]] = {name: [] for name in contestants}
    started = perf_counter()
    for done in range(runs):
        if done and perf_counter() - started > SECONDS:
            break
        for name, contestant in contestants.items():
            start = perf_counter()
            contestant()
            seconds[name].append(perf_counter() - start)
    return seconds
