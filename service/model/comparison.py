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
    contestants = {None: _student(engine, task, pairs)} | {name: _run(baseline, pairs, name) for name in PRECISIONS}
    first = {name: contestant() for name, contestant in contestants.items()}  # is not timed
    seconds = _take_turns(contestants, runs)
    sides = []
    for name in contestants:
        median = statistics.median(seconds[name])
        sides.append(Side(name, median, len(seconds[name]), _scores(name, first[name], baseline, task)))
    return sides


def _student(engine: Engine, task: Task, pairs: Pairs) -> Contestant:
    return lambda: engine.answer(task, pairs)


def _run(baseline: Baseline, pairs: Pairs, precision: Precision) -> Contestant:
    return lambda: baseline.logits(baseline.encode(pairs), precision)


def _scores(name: Precision | None, result: Floats, baseline: Baseline, task: Task) -> Floats | None:
    """What a contestant's ``result`` says of the pairs, if it was trained for that; the student always was."""
    if name is None:
        return result
    return baseline.scores(result) if baseline.manifest.task == task else None


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
