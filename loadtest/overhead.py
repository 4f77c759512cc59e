"""Requests a second of single-pair ``/similarity`` against a route of the same schema that returns a constant.

    python -m loadtest.overhead

One worker each, the same client, both servers up at once, rounds in turn, medians.
"""

from __future__ import annotations

import argparse
import asyncio
from statistics import median
from time import perf_counter

import uvloop

from loadtest.client import Connection, post
from loadtest.processes import Running, machine, serving

PAIR = {"sentence1": "A man is eating food.", "sentence2": "A man is eating a piece of bread."}


async def rate(server: Running, connections: int, seconds: float) -> float:
    """Requests a second over ``connections``, each of which sends the next request once it has its reply."""
    request = post("/similarity", PAIR)
    opened = [await Connection.open(server.host, server.port) for _ in range(connections)]
    start = perf_counter()

    async def ask(connection: Connection) -> int:
        count = 0
        while perf_counter() - start < seconds:
            reply = await connection.send(request)
            if reply.status != 200:
                raise RuntimeError(f"expected 200, got {reply.status}: {reply.body[:200]!r}")
            count += 1
        return count

    counts = await asyncio.gather(*map(ask, opened))
    elapsed = perf_counter() - start
    for connection in opened:
        connection.close()
    return sum(counts) / elapsed


def main() -> None:
    """Print each round and the ratio of the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--connections", type=int, default=32)
    options = parser.parse_args()
    print(machine())
    found: dict[str, list[float]] = {"constant": [], "similarity": []}
    with (
        serving("loadtest.constant", []) as constant,
        serving("service.cli", []) as service,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        servers = {"constant": constant, "similarity": service}
        for server in servers.values():
            runner.run(rate(server, options.connections, min(1.0, options.seconds)))  # warm
        for _ in range(options.rounds):
            for name, server in servers.items():
                found[name].append(runner.run(rate(server, options.connections, options.seconds)))
            print("  ".join(f"{name} {rates[-1]:7.0f}/s" for name, rates in found.items()))
    constant_rate, similarity_rate = median(found["constant"]), median(found["similarity"])
    print(
        f"medians: constant {constant_rate:.0f}/s, similarity {similarity_rate:.0f}/s, "
        f"{100 * similarity_rate / constant_rate:.0f} % over {options.connections} connections"
    )


if __name__ == "__main__":
    main()
