"""The bars that the student has to clear, with what one run measured. All are of this run and one thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from loadtest.compare.catalogue import BEHIND_HTTP, FP32, INT8, MODEL2VEC, SERVICE, STUDENT
from loadtest.compare.rounds import Cell
from loadtest.compare.workloads import (
    ANY_LENGTH,
    EMBEDDING,
    ENCODER,
    ENTAILMENT,
    ONE_ENTAILMENT,
    ONE_SIMILARITY,
    RELATEDNESS,
    SIMILARITY,
    STATE,
    Workload,
)

MB = 1e6


@dataclass(frozen=True)
class Bar:
    """``value`` must be at least, or with ``below`` less than, ``wanted``; ``None`` where it was not measured."""

    name: str
    value: float | None
    wanted: float
    unit: str = "x"
    below: bool = False

    @property
    def met(self) -> bool | None:
        """Whether it is; ``None`` where nobody knows."""
        if self.value is None:
            return None
        return self.value < self.wanted if self.below else self.value >= self.wanted

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"met": self.met}


class Results:
    """Cells by side and workload, of one number of threads."""

    def __init__(self, cells: Sequence[Cell], threads: int) -> None:
        self._cells = {(cell.side, cell.workload.name): cell for cell in cells if cell.threads == threads}

    def each(self, side: str, workload: Workload) -> float | None:
        """Median seconds for each text or pair."""
        cell = self._cells.get((side, workload.name))
        return None if cell is None else cell.each

    def times(self, fast: str, workload: Workload, slow: str, of_slow: Workload | None = None) -> float | None:
        """How many times longer ``slow`` takes than ``fast``."""
        return quotient(self.each(slow, of_slow or workload), self.each(fast, workload))

    def per_second(self, side: str, workload: Workload) -> float | None:
        """Texts or pairs a second."""
        return quotient(1, self.each(side, workload))

    def spread(self) -> float | None:
        """Seconds a token at the worst length over those at the best one."""
        found = [(self.each(STUDENT, workload), workload.words) for workload in ANY_LENGTH]
        costs = [each / tokens for each, tokens in found if each is not None]
        return max(costs) / min(costs) if len(costs) == len(ANY_LENGTH) else None


def quotient(top: float | None, bottom: float | None) -> float | None:
    """``top / bottom`` where both are known."""
    return None if top is None or bottom is None else top / bottom


def bars(results: Results, footprint: Mapping[str, float] | None) -> list[Bar]:
    """Every bar. DistilBERT reads a pair in one pass, whatever its head says of it: one time for all tasks."""
    return [*_in_process(results), *_over_http(results), *_footprint(footprint)]


def _in_process(results: Results) -> list[Bar]:
    states, vectors = results.per_second(STUDENT, STATE), results.per_second(STUDENT, EMBEDDING)
    peer = results.per_second(MODEL2VEC, EMBEDDING)
    return [
        Bar("tokens to embedding, 256 x 64, times DistilBERT fp32", results.times(STUDENT, ENCODER, FP32), 1000),
        Bar("tokens to embedding, 256 x 64, times DistilBERT int8", results.times(STUDENT, ENCODER, INT8), 400),
        Bar("text to the encoder's embedding, 256 x 14 words", states, 70_000, "/s"),
        Bar("text to the encoder's embedding, times model2vec", quotient(states, peer), 2.5),
        Bar("text to the served embedding, 256 x 14 words", vectors, 70_000, "/s"),
        Bar("text to the served embedding, times model2vec", quotient(vectors, peer), 2.5),
        Bar("text to similarity, 256 x 14 words, times DistilBERT int8", results.times(STUDENT, SIMILARITY, INT8), 300),
        Bar(
            "text to relatedness, 256 x 14 words, times DistilBERT int8",
            results.times(STUDENT, RELATEDNESS, INT8, SIMILARITY),
            100,
        ),
        Bar(
            "text to entailment, 256 x 14 words, times DistilBERT int8",
            results.times(STUDENT, ENTAILMENT, INT8, SIMILARITY),
            100,
        ),
        Bar("time a token, 16 to 65,536 tokens, worst over best", results.spread(), 1.5, below=True),
    ]


def _over_http(results: Results) -> list[Bar]:
    def share(workload: Workload) -> float | None:
        return quotient(results.per_second(SERVICE, workload), results.per_second(STUDENT, workload))

    def faster(workload: Workload) -> float | None:
        return results.times(SERVICE, workload, BEHIND_HTTP, ONE_SIMILARITY)

    return [
        Bar("HTTP, similarity in batches of 256, share of in-process rate", share(SIMILARITY), 0.5, "share"),
        Bar("HTTP, entailment in batches of 256, share of in-process rate", share(ENTAILMENT), 0.5, "share"),
        Bar("HTTP, one pair, similarity, p50, times lower than DistilBERT int8", faster(ONE_SIMILARITY), 15),
        Bar("HTTP, one pair, entailment, p50, times lower than DistilBERT int8", faster(ONE_ENTAILMENT), 15),
    ]


def _footprint(found: Mapping[str, float] | None) -> list[Bar]:
    def of(name: str, scale: float = 1) -> float | None:
        return None if found is None else found[name] / scale

    return [
        Bar("service, start to ready", of("ready_seconds"), 1, "s", below=True),
        Bar("service, RSS of one worker", of("rss_bytes", MB), 250, "MB", below=True),
        Bar("service, PSS of four workers", of("pss_bytes", MB), 500, "MB", below=True),
    ]
