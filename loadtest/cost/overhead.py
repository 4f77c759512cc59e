"""Requests a second of single-pair ``/similarity`` against a route of the same schema that returns a constant.

    python -m loadtest.cost.overhead

One worker each, the same client, both servers up at once, rounds in turn, medians. The CPU time of a request, in all
threads of the server, hardly notices what else the machine does; requests a second do.
"""

from __future__ import annotations

import argparse
import asyncio
from statistics import median
from time import perf_counter
from typing import NamedTuple

import uvloop

from cmow.service.options.arguments import count, positive
from loadtest.harness.client import Connection, post
from loadtest.harness.processes import Running, machine, serving

PAIR = {"sentence1": "A man is eating food.", "sentence2": "A man is eating a piece of bread."}


class Round(NamedTuple):
    """Requests a second, and microseconds of the server's CPU time for each."""

    rate: float
    cpu: float


async def ask_all(server: Running, connections: int, seconds: float) -> Round:
    """A round over ``connections``, each of which sends the next request once it has its reply."""
    request = post("/similarity", PAIR)
    opened = [await Connection.open(server.host, server.port) for _ in range(connections)]
    start, cpu = perf_counter(), server.cpu_seconds()

    async def ask(connection: Connection) -> int:
        count = 0
        while perf_counter() - start < seconds:
            reply = await connection.send(request)
            if reply.status != 200:
                raise RuntimeError(f"expected 200, got {reply.status}: {reply.body[:200]!r}")
            count += 1
        return count

    try:
        count = sum(await asyncio.gather(*map(ask, opened)))
        elapsed, used = perf_counter() - start, server.cpu_seconds() - cpu
    finally:
        for connection in opened:
            await connection.close()
    return Round(count / elapsed, 1e6 * used / count)


def main() -> None:
    """Print each round and the ratio of the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=count, default=5)
    parser.add_argument("--seconds", type=positive, default=2.0)
    parser.add_argument("--connections", type=count, default=32)
    parser.add_argument("serve", nargs="*", help="options of the service, after --")
    options = parser.parse_args()
    print(machine())
    found: dict[str, list[Round]] = {"constant": [], "similarity": []}
    with (
        serving("loadtest.cost.constant", []) as constant,
        serving("cmow.service.serve.cli", options.serve) as service,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        servers = {"constant": constant, "similarity": service}
        for server in servers.values():
            runner.run(ask_all(server, options.connections, min(1.0, options.seconds)))  # warm
        for _ in range(options.rounds):
            for name, server in servers.items():
                found[name].append(runner.run(ask_all(server, options.connections, options.seconds)))
            print("  ".join(f"{name} {last.rate:7.0f}/s {last.cpu:5.0f} us" for name, (*_, last) in found.items()))
    (rate, cpu), (own_rate, own_cpu) = (Round(*map(median, zip(*rounds, strict=True))) for rounds in found.values())
    print(
        f"medians: constant {rate:.0f}/s {cpu:.0f} us, similarity {own_rate:.0f}/s {own_cpu:.0f} us; "
        f"{100 * own_rate / rate:.0f} % of the requests over {options.connections} connections"
    )


if __name__ == "__main__":
    main()
