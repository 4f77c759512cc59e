"""Ten million pairs or half an hour, whichever is first: memory must stay.

    python -m loadtest.endurance.soak --minutes 30 --pairs 10000000

Exits with 1 where RSS grows by ``--growth`` or more after the warm-up, or an answer is not the right one.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from time import perf_counter

import uvloop

from cmow.service.options.arguments import count, positive
from loadtest.endurance.overload import Outcome
from loadtest.harness.client import Connection
from loadtest.harness.processes import Running, machine, serving
from loadtest.harness.traffic import questions

SIZES = (1, 2, 7, 40, 128, 300)  # inline, in shared runs, and cut into several


async def soak(server: Running, options: argparse.Namespace) -> list[str]:
    """What is not as it should be."""
    asked = await questions(server, 60, SIZES)
    outcome, pairs, start = Outcome(), 0, perf_counter()

    def over() -> bool:
        return pairs >= int(options.pairs) or perf_counter() - start >= 60 * float(options.minutes)

    async def loop(number: int) -> None:
        nonlocal pairs
        connection = await Connection.open(server.host, server.port)
        while not over():
            question = asked[number % len(asked)]
            await outcome.ask(connection, question, perf_counter())
            outcome.accepted.clear()
            pairs += question.pairs
            number += 7
        await connection.close()

    sizes: list[int] = []

    async def watch() -> None:
        await asyncio.sleep(60 * options.warm_up)
        while not over():
            sizes.append(server.rss())
            print(f"{perf_counter() - start:6.0f} s  {pairs:9d} pairs  RSS {sizes[-1] / 2**20:.1f} MiB", flush=True)
            await asyncio.sleep(min(60.0, 6 * options.minutes))

    await asyncio.gather(watch(), *(loop(number) for number in range(options.connections)))
    growth = server.rss() / sizes[0] - 1 if sizes else float("inf")
    print(f"{pairs} pairs in {perf_counter() - start:.0f} s, {dict(outcome.statuses)}")
    faults = [f"{status}: {count}" for status, count in outcome.statuses.items() if status != "200"]
    return faults + ([f"RSS grew by {100 * growth:.2f} %"] if growth >= options.growth else [])


def main() -> None:
    """Run it against a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=positive, default=30)
    parser.add_argument("--pairs", type=count, default=10_000_000)
    parser.add_argument("--warm-up", type=float, default=3, help="minutes")
    parser.add_argument("--growth", type=positive, default=0.02)
    parser.add_argument("--connections", type=count, default=4)
    options = parser.parse_args()
    print(machine())
    with serving("cmow.service.serve.cli", []) as server:
        faults = uvloop.run(soak(server, options))
    print("\n".join(["not as it should be:", *faults]) if faults else "all as it should be")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
