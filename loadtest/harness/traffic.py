"""Requests with known answers."""

from __future__ import annotations

import random
from dataclasses import dataclass

from loadtest.harness.client import Connection, post
from loadtest.harness.processes import Running

WORDS = "a the man woman dog is was not playing eating running guitar music food in on park rain red big two".split()  # noqa: SIM905
SIDES = (("/similarity", "sentence1", "sentence2"), ("/entailment", "premise", "hypothesis"))


@dataclass(frozen=True)
class Question:
    """A request, and the body of its one right answer, to the bit."""

    request: bytes
    pairs: int
    answer: bytes


async def questions(server: Running, count: int, sizes: tuple[int, ...], seed: int = 1) -> list[Question]:
    """``count`` different requests of as many pairs as ``sizes`` say in turn, each answered while nobody else asks.

    Raises ``RuntimeError`` where one is not answered.
    """
    choose = random.Random(seed)
    made = []
    connection = await Connection.open(server.host, server.port)
    for number in range(count):
        pairs = sizes[number % len(sizes)]
        path, left, right = SIDES[number % 2]
        request = post(path, {side: [_sentence(choose) for _ in range(pairs)] for side in (left, right)})
        reply = await connection.send(request)
        if reply.status != 200:
            raise RuntimeError(f"expected 200, got {reply.status}: {reply.body[:200]!r}")
        made.append(Question(request, pairs, reply.body))
    await connection.close()
    return made


def _sentence(choose: random.Random) -> str:
    return " ".join(choose.choices(WORDS, k=choose.randint(3, 20)))


def percentile(seconds: list[float], share: float) -> float:
    """The nearest-rank percentile, in milliseconds; not a number where there are none."""
    ordered = sorted(seconds)
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
