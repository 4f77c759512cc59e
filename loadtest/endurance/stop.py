"""Signals under load: SIGTERM to the service, SIGKILL to one of its workers.

    python -m loadtest.endurance.stop --workers 2

Exits with 1 where a request that was sent before SIGTERM has no answer or a wrong one, the exit status is not 0, other
workers fail while one is dead, or it is not replaced.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections import Counter
from time import perf_counter

import uvloop

from cmow.service.options.arguments import count, positive
from loadtest.harness.client import Connection, ConnectionLostError
from loadtest.harness.processes import Running, machine, serving
from loadtest.harness.traffic import Question, questions

SIZES = (1, 3, 100)


class Load:
    """Connections that ask without pause, and come back where the server closes them, until ``stop``."""

    def __init__(self, server: Running, asked: list[Question]) -> None:
        self.counts = Counter[str]()
        self.stop = False
        self.stopping = False
        self._server = server
        self._asked = asked

    async def run(self, number: int) -> None:
        """One connection after another."""
        while not self.stop:
            try:
                connection = await Connection.open(self._server.host, self._server.port)
            except OSError:
                self.counts["refused"] += 1
                await asyncio.sleep(0.01)
                continue
            await self._ask(connection, number)
            await connection.close()

    async def _ask(self, connection: Connection, number: int) -> None:
        """Ask until the server closes.

        A connection that the kernel took after SIGTERM, and no worker ever, counts as refused: nobody accepted it.
        """
        late = self.stopping
        try:
            while not self.stop:
                question = self._asked[number % len(self._asked)]
                reply = await connection.send(question.request)
                self.counts["right" if (reply.status, reply.body) == (200, question.answer) else "wrong"] += 1
                number += 7
        except ConnectionLostError as error:
            self.counts["left" if not error.sent else "refused" if late else "lost"] += 1


async def terminate(server: Running, load: Load, options: argparse.Namespace) -> list[str]:
    """SIGTERM under load."""
    tasks = [asyncio.ensure_future(load.run(number)) for number in range(options.connections)]
    await asyncio.sleep(options.seconds)
    start = perf_counter()
    load.stopping = True
    server.process.send_signal(signal.SIGTERM)
    status = await asyncio.to_thread(server.process.wait, options.bound)
    print(f"SIGTERM: exit status {status} after {perf_counter() - start:.2f} s, {dict(load.counts)}")
    load.stop = True
    await asyncio.gather(*tasks)
    wrong = [f"{name}: {load.counts[name]}" for name in ("lost", "wrong") if load.counts[name]]
    return [f"exit status {status}"] * (status != 0) + wrong


async def kill(server: Running, load: Load, options: argparse.Namespace) -> list[str]:
    """SIGKILL to a worker under load: its own requests are lost, nobody else's."""
    before = server.workers
    tasks = [asyncio.ensure_future(load.run(number)) for number in range(options.connections)]
    await asyncio.sleep(options.seconds)
    os.kill(before[0], signal.SIGKILL)
    start, right = perf_counter(), load.counts["right"]
    while len(set(server.workers) - {before[0]}) < len(before) and perf_counter() - start < options.bound:
        await asyncio.sleep(0.05)
    await asyncio.sleep(options.seconds)
    load.stop = True
    await asyncio.gather(*tasks)
    print(f"SIGKILL: workers {before} -> {server.workers}, {dict(load.counts)}")
    faults = [f"wrong: {load.counts['wrong']}"] * bool(load.counts["wrong"])
    faults += ["nobody served on"] * (load.counts["right"] == right)
    faults += ["the worker was not replaced"] * (len(server.workers) < len(before))
    return faults + ["more lost than the dead worker can have had"] * (load.counts["lost"] > options.connections)


async def demonstrate(server: Running, options: argparse.Namespace) -> list[str]:
    """Both, the second on the survivors of the first."""
    asked = await questions(server, 60, SIZES)
    faults = await kill(server, Load(server, asked), options) if options.workers > 1 else []
    return faults + await terminate(server, Load(server, asked), options)


def main() -> None:
    """Run it against a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=count, default=2)
    parser.add_argument("--seconds", type=positive, default=5, help="of load before and after each signal")
    parser.add_argument("--bound", type=positive, default=60, help="seconds for a stop or a new worker")
    parser.add_argument("--connections", type=count, default=16)
    options = parser.parse_args()
    print(machine())
    with serving("cmow.service.serve.cli", ["--workers", str(options.workers)], options.workers) as server:
        faults = uvloop.run(demonstrate(server, options))
    print("\n".join(["not as it should be:", *faults]) if faults else "all as it should be")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
