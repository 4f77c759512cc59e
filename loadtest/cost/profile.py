"""Where the microseconds of a single-pair ``/similarity`` go: CPU time of the event loop, layer by layer.

    python -m loadtest.cost.profile

Each line adds one layer to the line above; the requests go through uvicorn's own protocol, but over no socket. Beside
them stands a FastAPI route of the same schema that returns a constant. CPU time, unlike time, hardly notices what else
the machine does.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
from statistics import median
from time import thread_time
from typing import Any, cast

import numpy as np
import uvicorn
import uvloop
from fastapi import FastAPI, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from cmow.service.model.engine import Engine, Floats, Ints, TaskName
from cmow.service.model.work import Scored, Work
from cmow.service.options.arguments import count
from cmow.service.options.settings import Settings
from cmow.service.schedule.caller import Caller
from cmow.service.serve.app import create_app
from cmow.service.text.tokenizer import PackedTokens
from cmow.service.web.shortcut import ShortCut
from loadtest.cost import constant
from loadtest.cost.overhead import PAIR
from loadtest.harness.client import post
from loadtest.harness.processes import machine


class Memory(asyncio.Transport):
    """A transport to nowhere."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Forget ``data``."""

    def is_closing(self) -> bool:
        """Never."""
        return False

    def resume_reading(self) -> None:
        """For the protocol."""


class Connections:
    """``count`` connections to ``app`` in this process."""

    def __init__(self, app: ASGIApp, count: int) -> None:
        config = uvicorn.Config(app, http="httptools", ws="none", log_config=None, access_log=False)
        config.load()
        self._state = ServerState()
        self._protocols = [HttpToolsProtocol(config, self._state, {}) for _ in range(count)]
        for protocol in self._protocols:
            protocol.connection_made(Memory())

    async def ask(self, request: bytes, rounds: int) -> float:
        """Microseconds of CPU time for a ``request``, sent ``rounds`` times on all connections at once."""
        start = thread_time()
        for _ in range(rounds):
            wanted = self._state.total_requests + len(self._protocols)
            for protocol in self._protocols:
                protocol.data_received(request)
            while self._state.total_requests < wanted:
                await asyncio.sleep(0)
        return 1e6 * (thread_time() - start) / (rounds * len(self._protocols))


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """The least that answers."""
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})


def without_endpoint(app: FastAPI) -> FastAPI:
    """``app`` with an endpoint that neither reads nor computes."""

    async def nothing(_: object) -> Response:
        return Response(b"{}", media_type="application/json")

    options: dict[str, Any] = next(entry.kwargs for entry in app.user_middleware if cast(object, entry.cls) is ShortCut)
    options["routes"] = list(options["routes"])
    for route in options["routes"]:
        route.endpoint = nothing
    return app


def without_scheduler(app: FastAPI) -> FastAPI:
    """``app`` that knows all scores already."""
    values = np.array([constant.ANSWER.scores[0]], np.float32)

    async def score(caller: Caller, work: Work) -> Scored:
        return Scored(values, 15, 0, [False], [False], [False])

    app.state.scheduler.score = score
    return app


class NoModel(Engine):
    """An engine that tokenises and has one score for all pairs."""

    def score(self, task: TaskName, packed: PackedTokens, pairs: Ints) -> Floats:
        """Zeros [P] for similarity."""
        return np.zeros(len(pairs), np.float32) if task == "similarity" else super().score(task, packed, pairs)


def layers(settings: Settings) -> dict[str, ASGIApp]:
    """Applications by what each adds to the one before it, the constant route first."""
    app = create_app(settings)
    engine: Engine = app.state.scheduler.model.engine
    return {
        "FastAPI, constant": constant.make_app(),
        "HTTP server": bare,
        "+ middlewares": without_endpoint(create_app(settings, engine)),
        "+ request and reply": without_scheduler(create_app(settings, engine)),
        "+ tokens, admission, batches": create_app(settings, NoModel(engine.bundle, engine.options)),
        "+ model": app,
    }


async def measure(apps: dict[str, ASGIApp], connections: int, rounds: int) -> dict[str, float]:
    """Median microseconds of each of ``apps``, which take turns."""
    request = post("/similarity", PAIR)
    opened = {name: Connections(app, connections) for name, app in apps.items()}
    found: dict[str, list[float]] = {name: [] for name in apps}
    for connection in opened.values():
        await connection.ask(request, 2)
    gc.collect()
    gc.freeze()  # as the server does
    for _ in range(rounds):
        for name, connection in opened.items():
            found[name].append(await connection.ask(request, max(1, 64 // connections)))
    return {name: median(times) for name, times in found.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=count, default=32)
    parser.add_argument("--rounds", type=count, default=60)
    options = parser.parse_args()
    print(machine())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(measure(layers(Settings()), options.connections, options.rounds))
    before = 0.0
    for name, total in found.items():
        print(f"{name:30} {total - before:7.1f}   in all {total:7.1f}")
        before = 0.0 if name == "FastAPI, constant" else total


if __name__ == "__main__":
    main()
