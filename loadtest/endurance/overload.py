"""Ten times more requests than the service can answer.

    python -m loadtest.endurance.overload --seconds 60

Measures latency without load and capacity, then sends ``--factor`` times the capacity whether answers come or not.
Exits with 1 unless accepted requests keep p99 under ``--limit`` times the unloaded one, all others get 429, every
answer is the right one, none is lost, and memory goes back to where it was.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import Counter
from dataclasses import dataclass, field
from time import perf_counter

import uvloop

from cmow.service.options.arguments import count, positive
from loadtest.harness.client import Connection, ConnectionLostError
from loadtest.harness.processes import Running, machine, serving
from loadtest.harness.traffic import Question, percentile, questions

MAX_CONNECTIONS = 1000
RSS_GROWTH = 1.05  # allocators keep some of what they once had


@dataclass
class Outcome:
    """What came of many requests."""

    statuses: Counter[str] = field(default_factory=Counter)
    accepted: list[float] = field(default_factory=list)

    async def ask(self, connection: Connection, question: Question, due: float) -> None:
        """Send ``question``; its latency counts from when it was ``due``."""
        try:
            reply = await connection.send(question.request)
        except ConnectionLostError:
            self.statuses["lost"] += 1
            return
        right = reply.status != 200 or reply.body == question.answer
        self.statuses[str(reply.status) if right else "wrong answer"] += 1
        if reply.status == 200:
            self.accepted.append(perf_counter() - due)


async def closed_loop(
    server: Running, asked: list[Question], connections: int, seconds: float
) -> tuple[Outcome, float]:
    """Outcome and requests a second of ``connections`` that each wait for their replies."""
    outcome, start = Outcome(), perf_counter()

    async def loop(first: int) -> None:
        connection = await Connection.open(server.host, server.port)
        number = first
        while perf_counter() - start < seconds:
            await outcome.ask(connection, asked[number % len(asked)], perf_counter())
            number += 1
        await connection.close()

    await asyncio.gather(*(loop(number * 7) for number in range(connections)))
    return outcome, len(outcome.accepted) / (perf_counter() - start)


async def open_loop(server: Running, asked: list[Question], rate: float, seconds: float) -> Outcome:
    """Outcome of ``rate`` requests a second, sent on time whatever comes back."""
    outcome, free, tasks = Outcome(), list[Connection](), set[asyncio.Task[None]]()
    opened, start = 0, perf_counter()

    async def one(question: Question, due: float) -> None:
        nonlocal opened
        if not free and opened >= MAX_CONNECTIONS:
            outcome.statuses["not sent: the client has no connection left"] += 1
            return
        if free:
            connection = free.pop()
        else:
            opened += 1
            connection = await Connection.open(server.host, server.port)
        await outcome.ask(connection, question, due)
        free.append(connection)

    for number in range(int(rate * seconds)):
        due = start + number / rate
        if (early := due - perf_counter()) > 0:
            await asyncio.sleep(early)
        task = asyncio.ensure_future(one(asked[number % len(asked)], due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    for connection in free:
        await connection.close()
    return outcome


async def demonstrate(server: Running, options: argparse.Namespace) -> list[str]:
    """What is not as it should be."""
    asked = await questions(server, 200, (options.pairs,))
    await closed_loop(server, asked, 8, options.warm_up)
    unloaded, _ = await closed_loop(server, asked, 1, options.warm_up)
    # As many connections as are let in at once: refusals, sent again at once, would eat the capacity.
    _, capacity = await closed_loop(server, asked, max(1, options.queue // options.pairs), options.warm_up)
    # What a first overload takes for its connections stays with the allocator; a second must not take more.
    await open_loop(server, asked, options.factor * capacity, options.warm_up)
    await asyncio.sleep(1)
    before = server.rss()
    print(f"unloaded p99 {percentile(unloaded.accepted, 0.99):.2f} ms, capacity {capacity:.0f} requests a second")
    loaded = await open_loop(server, asked, options.factor * capacity, options.seconds)
    await asyncio.sleep(1)
    after = server.rss()
    p99, bound = percentile(loaded.accepted, 0.99), options.limit * percentile(unloaded.accepted, 0.99)
    print(f"sent {sum(loaded.statuses.values())}: {dict(loaded.statuses)}")
    print(f"accepted p50 {percentile(loaded.accepted, 0.5):.2f} ms, p99 {p99:.2f} ms")
    print(f"RSS {before >> 20} -> {after >> 20} MiB")
    faults = [f"{status}: {count}" for status, count in loaded.statuses.items() if status not in ("200", "429")]
    if not p99 < bound:
        faults.append(f"p99 {p99:.2f} ms, expected less than {bound:.2f} ms")
    if after > RSS_GROWTH * before:
        faults.append(f"RSS grew from {before} to {after} bytes")
    if not loaded.statuses["429"]:
        faults.append("nothing was refused: this was no overload")
    return faults


def main() -> None:
    """Run it against a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=positive, default=60)
    parser.add_argument("--warm-up", type=positive, default=5, help="seconds of each measurement before the overload")
    parser.add_argument("--factor", type=positive, default=10)
    parser.add_argument("--limit", type=positive, default=5)
    parser.add_argument("--pairs", type=count, default=64, help="pairs in each request")
    parser.add_argument("--queue", type=count, default=128, help="the server's --max-queue-pairs")
    options = parser.parse_args()
    print(machine())
    with serving("cmow.service.serve.cli", ["--max-queue-pairs", str(options.queue)]) as server:
        faults = uvloop.run(demonstrate(server, options))
    print("\n".join(["not as it should be:", *faults]) if faults else "all as it should be")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
