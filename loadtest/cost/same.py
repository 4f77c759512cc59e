"""Latency of ``POST /same``: one query, a hundred candidates, one thread, one connection.

    python -m loadtest.cost.same

Twice: candidates of ten domains, as a whole cache, of which a few are near; and one sentence about the query's own
matter in a hundred versions, as a vector index brings the nearest, so that all of them have to be read beside it. The
CPU time of a request, in all threads of the server, hardly notices what else the machine does; its latency does.
"""

from __future__ import annotations

import argparse
import asyncio
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import uvloop

from cmow.service.options.arguments import count
from loadtest.harness.client import Connection, post
from loadtest.harness.processes import Running, machine, serving
from training.verdicts.commands import read_commands

QUERY = "turn on the lights in the kitchen"
ROOMS = ("kitchen", "hall", "garden", "attic", "bathroom", "office", "bedroom", "garage", "cellar", "living room")
ACTS = ("turn on", "turn off", "switch on", "switch off", "dim", "brighten", "check", "replace", "clean", "test")


class Latency(NamedTuple):
    """Milliseconds of requests, and of the server's CPU time for each."""

    p50: float
    p95: float
    cpu: float


def caches() -> dict[str, list[str]]:
    """A hundred candidates of each kind."""
    return {
        "a whole cache": [command.request for command in read_commands()],
        "all of them near": [f"{act} the lights in the {room}" for act in ACTS for room in ROOMS],
    }


async def ask(server: Running, candidates: list[str], requests: int) -> tuple[Latency, int]:
    """``requests`` one after the other, and how many ``candidates`` were near enough to be read beside the query."""
    body: dict[str, Any] = {"query": QUERY, "candidates": candidates}
    request, times = post("/same", body), []
    connection = await Connection.open(server.host, server.port)
    try:
        cpu = server.cpu_seconds()
        for _ in range(requests):
            start = perf_counter()
            reply = await connection.send(request)
            times.append(1e3 * (perf_counter() - start))
            if reply.status != 200:
                raise RuntimeError(f"expected 200, got {reply.status}: {reply.body[:200]!r}")
        used = 1e3 * (server.cpu_seconds() - cpu) / requests
    finally:
        await connection.close()
    near = len(candidates) - reply.body.count(b"low similarity")
    p50, p95 = np.percentile(times, [50, 95]).tolist()
    return Latency(p50, p95, used), near


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=count, default=200)
    parser.add_argument("serve", nargs="*", help="options of the service, after --")
    options = parser.parse_args()
    print(machine())
    with (
        serving("cmow.service.serve.cli", ["--threads", "1", *options.serve]) as server,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        for name, candidates in caches().items():
            runner.run(ask(server, candidates, 20))  # warm
            latency, near = runner.run(ask(server, candidates, options.requests))
            print(
                f"{name}: {near} of {len(candidates)} near; p50 {latency.p50:.2f} ms, p95 {latency.p95:.2f} ms, "
                f"CPU {latency.cpu:.2f} ms"
            )


if __name__ == "__main__":
    main()
