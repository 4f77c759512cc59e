"""What the running service takes: time until it is ready, and memory."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import uvloop

from loadtest.compare.texts import Corpus, Pair
from loadtest.harness.client import Connection, post
from loadtest.harness.processes import Running, serving

WORKERS = 4
STARTS = 3
READY = b"GET /health/ready HTTP/1.1\r\nhost: test\r\n\r\n"
ASKED = 64  # pairs in each request before memory is measured, so that all tasks have run in all workers
ROUNDS = 8


def footprint(bundle: Path, text: Path) -> dict[str, float]:
    """Median seconds from start to ready, RSS of one worker and PSS of ``WORKERS``, both after some work."""
    arguments, pairs = ["--bundle", str(bundle)], Corpus(text).pairs(ASKED, 14)
    starts, rss = [], []
    for _ in range(STARTS):
        start = perf_counter()
        with serving("cmow.service.serve.cli", arguments) as server:
            uvloop.run(_send(server, [READY]))
            starts.append(perf_counter() - start)
            uvloop.run(_work(server, pairs))
            rss.append(server.rss())
    with serving("cmow.service.serve.cli", [*arguments, "--workers", str(WORKERS)], WORKERS) as server:
        uvloop.run(_work(server, pairs))
        pss = server.pss()
    return {"ready_seconds": statistics.median(starts), "rss_bytes": statistics.median(rss), "pss_bytes": pss}


async def _work(server: Running, pairs: Sequence[Pair]) -> None:
    """Every task, over several connections: the kernel spreads these over the workers."""
    left, right = map(list, zip(*pairs, strict=True))
    requests = [
        post("/similarity", {"sentence1": left, "sentence2": right}),
        post("/entailment", {"premise": left, "hypothesis": right}),
    ]
    await asyncio.gather(*(_send(server, requests) for _ in range(ROUNDS * WORKERS)))


async def _send(server: Running, requests: Sequence[bytes]) -> None:
    connection = await Connection.open(server.host, server.port)
    for request in requests:
        reply = await connection.send(request)
        if reply.status != 200:
            raise RuntimeError(f"expected 200, got {reply.status}: {reply.body[:200]!r}")
    await connection.close()
