"""One side in a process of its own: loads it, and then does what comes on standard input, a JSON object a line.

``{"do": "time", "workload": name, "seconds": s, "limit": l}`` times calls for ``s`` seconds; where a call of the whole
batch would take longer than ``l`` seconds, it is made of fewer texts. ``{"do": "score", "task": t, "pairs": [...]}``
gives scores, ``{"do": "memory"}`` the peak of resident bytes so far.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmow.service.options.arguments import count
from export.bench.timing import WARM_UP, timed, warm_up
from loadtest.compare.catalogue import by_name as side_by_name
from loadtest.compare.side import Context, Side
from loadtest.compare.texts import Corpus
from loadtest.compare.workloads import WORKLOADS, Ready, Workload
from loadtest.compare.workloads import by_name as workload_by_name
from loadtest.harness.processes import peak_rss

PROBE = 2  # texts or pairs that tell how long a batch will take


@dataclass(frozen=True)
class Prepared:
    """A call on ``items`` texts or pairs; ``quick`` ones are worth a warm-up."""

    call: Ready
    items: int
    quick: bool


def prepare(side: Side, workload: Workload, corpus: Corpus, limit: float | None) -> Prepared:
    """The whole workload, or as much of it as a call of ``limit`` seconds does."""
    probed = min(PROBE, workload.count)
    probe = workload.ready(side, corpus, probed)
    first = timed(probe)  # the better of two, unless one has said enough
    each = (first if limit is not None and first > limit else min(first, timed(probe))) / probed
    items = workload.count if limit is None else max(probed, min(workload.count, int(limit / each)))
    return Prepared(workload.ready(side, corpus, items), items, each * items < WARM_UP)


def time_calls(prepared: Prepared, seconds: float) -> dict[str, Any]:
    """Seconds of each call, and how many cores the process kept busy in them."""
    if prepared.quick:
        warm_up(prepared.call)
    taken: list[float] = []
    start, start_cpu = time.perf_counter(), time.process_time()
    while not taken or time.perf_counter() - start < seconds:
        taken.append(timed(prepared.call))
    cores = (time.process_time() - start_cpu) / (time.perf_counter() - start)
    return {"seconds": taken, "items": prepared.items, "cores": cores}


class Worker:
    """Answers requests for one side."""

    def __init__(self, side: Side, corpus: Corpus) -> None:
        self._side = side
        self._corpus = corpus
        self._prepared: dict[str, Prepared] = {}

    def about(self) -> dict[str, Any]:
        """What the side can do."""
        return {
            "workloads": [workload.name for workload in WORKLOADS if workload.fits(self._side)],
            "trained": sorted(self._side.trained),
            "bytes": self._side.bytes,
        }

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to one request."""
        if request["do"] == "time":
            return self._time(workload_by_name(request["workload"]), request["seconds"], request["limit"])
        if request["do"] == "score":
            score = self._side.score(request["task"])
            if score is None:
                raise ValueError(f"expected a task that this side scores, got {request['task']}")
            return {"scores": score([tuple(pair) for pair in request["pairs"]]).tolist()}
        return {"peak": sum(map(peak_rss, self._side.processes()))}

    def _time(self, workload: Workload, seconds: float, limit: float | None) -> dict[str, Any]:
        if workload.name not in self._prepared:
            self._prepared = {workload.name: prepare(self._side, workload, self._corpus, limit)}
        return time_calls(self._prepared[workload.name], seconds)


def first_answer(side: Side) -> None:
    """A side has not loaded before it answers."""
    if side.embed is not None:
        side.embed(["A man is playing a guitar."])
    elif side.similarity is not None:
        side.similarity([("A man is playing a guitar.", "Somebody makes music.")])


def main() -> None:
    """Load, say so, and answer until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("side")
    parser.add_argument("--threads", type=count, required=True)
    for path in ("bundle", "models", "text"):
        parser.add_argument(f"--{path}", type=Path, required=True)
    options = parser.parse_args()
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print must not come between
    side = side_by_name(options.side).open(Context(options.threads, options.bundle, options.models))
    try:
        first_answer(side)
        worker = Worker(side, Corpus(options.text))
        print(json.dumps(worker.about()), file=channel)
        for line in sys.stdin:
            print(json.dumps(worker.answer(json.loads(line))), file=channel)
    finally:
        side.close()


if __name__ == "__main__":
    main()
