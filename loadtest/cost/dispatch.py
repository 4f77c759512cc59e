"""What a request costs inline on the event loop, on a worker thread, and through the scheduler.

    python -m loadtest.cost.dispatch

Prints microseconds (medians) for requests of several sizes, one at a time and eight at once: the numbers that
``INLINE`` in ``service/schedule/batcher.py`` comes from.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from statistics import median
from time import perf_counter

import uvloop

import cmow
from cmow.service.model.engine import TaskName
from cmow.service.model.model import Model
from cmow.service.model.work import Work
from cmow.service.observe.metrics import Metrics
from cmow.service.options.arguments import count
from cmow.service.schedule.admission import Admission
from cmow.service.schedule.caller import Caller
from cmow.service.schedule.scheduler import Scheduler
from cmow.service.text.pairs import SentencePairs
from loadtest.harness.processes import machine

SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
Ask = Callable[[], Awaitable[object]]


async def microseconds(ask: Ask, together: int, rounds: int) -> float:
    """Median time for ``together`` requests at once, divided by their number."""
    times = []
    for _ in range(rounds):
        start = perf_counter()
        await asyncio.gather(*(ask() for _ in range(together)))
        times.append((perf_counter() - start) / together)
    return 1e6 * median(times)


def ways(model: Model, task: TaskName, pairs: SentencePairs) -> dict[str, Ask]:
    """The same request in three ways."""
    scheduler = Scheduler(model, Admission(10**6, 10**9, 10**9), Metrics())
    work = Work(task, pairs.texts, pairs.index)

    def compute() -> object:
        return model.run(work)

    async def inline() -> object:
        return compute()

    return {
        "inline": inline,
        "thread": lambda: asyncio.get_running_loop().run_in_executor(None, compute),
        "scheduler": lambda: scheduler.score(Caller(), work),
    }


async def report(model: Model, rounds: int) -> None:
    """A table for each task."""
    tasks: list[TaskName] = ["similarity", "entailment"]
    for task in tasks:
        print(f"\n{task}: microseconds a request, alone / eight at once")
        for size in SIZES:
            pairs = SentencePairs.of((f"A man is eating food {n}.", f"A man eats bread {n}.") for n in range(size))
            cells = []
            for name, ask in ways(model, task, pairs).items():
                times = [await microseconds(ask, together, rounds) for together in (1, 8)]
                cells.append(f"{name} {times[0]:7.0f} / {times[1]:7.0f}")
            print(f"{size:4d} pairs  " + "   ".join(cells))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=count, default=30)
    options = parser.parse_args()
    print(machine())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(report(cmow.load(provider="cpu"), options.rounds))


if __name__ == "__main__":
    main()
