"""What Prometheus sees.

All series exist from the start, and all labels are bounded: route templates, statuses, error types, tasks. With several
workers (``PROMETHEUS_MULTIPROC_DIR`` is set) each process writes files there, and any of them answers for all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import chain
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from cmow.service.errors import (
    FRAMEWORK_ERRORS,
    OTHER_FRAMEWORK_ERROR,
    ClientGoneError,
    DeadlineError,
    OverloadedError,
    error_types,
)

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
UNMATCHED = "unmatched"  # the route label of requests for unknown paths
TASKS = ("similarity", "paraphrase", "relatedness", "entailment", "embed")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
ERRORS = (*FRAMEWORK_ERRORS.values(), OTHER_FRAMEWORK_ERROR, ClientGoneError.type)  # beside those of ``error_types``
DROPPED = {DeadlineError.type: "deadline", ClientGoneError.type: "disconnect"}
INFO = ("model", "kernel", "provider", "version")

# From 20 microseconds to 30 seconds: three steps a decade where the work is, fewer above.
SECONDS = (2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0, 5.0, 30.0)
PAIRS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
TOKENS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384, 65_536)


class Metrics:
    """Every metric of one application, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = self._counter("requests", "Requests answered.", "method", "route", "status")
        self._request_seconds = self._histogram("request_seconds", "From head to reply.", SECONDS, "route")
        errors = self._counter("errors", "Error replies by type.", "type")
        dropped = self._counter("dropped", "Requests given up before their answer, by reason.", "reason")
        by_task = {
            "tokenise": self._histogram("tokenise_seconds", "Tokenising a request.", SECONDS, "task"),
            "queue": self._histogram("queue_seconds", "From tokens to the start of a run.", SECONDS, "task"),
            "inference": self._histogram("inference_seconds", "One run of the model.", SECONDS, "task"),
            "pairs": self._histogram("batch_pairs", "Pairs, or texts to embed, in a run.", PAIRS, "task"),
            "tokens": self._histogram("batch_tokens", "Tokens in a run.", TOKENS, "task"),
        }
        self.rejected = self._counter("rejected", "Requests refused for load.")
        self.truncated = self._counter("truncated", "Pairs, or texts to embed, that were cut.")
        self.queue_depth = self._gauge("queue_depth", "Requests queued for the worker thread.", "livesum")
        self.degraded = self._gauge("degraded", "Reasons for which the service is slower than it should be.", "max")
        self._info = self._gauge("info", "Always 1; the labels say what serves.", "max", *INFO)
        # Children looked up once: a lookup costs as much as what it is for.
        self._errors = {name: errors.labels(name) for name in (*ERRORS, *chain(*error_types().values()))}
        self._dropped = {name: dropped.labels(reason) for name, reason in DROPPED.items()}
        self._stages = {(stage, task): by_task[stage].labels(task) for stage in by_task for task in TASKS}
        self._replies: dict[tuple[str, str, int], Counter] = {}
        self._durations: dict[str, Histogram] = {}

    def expect(self, routes: Iterable[tuple[str, str, Sequence[int]]]) -> None:
        """Start the series of ``routes`` (method, template, statuses) at 0, and of what is not a route."""
        for method, route, statuses in [*routes, ("GET", UNMATCHED, (404,))]:
            for status in statuses:
                self._reply(method, route, status)
            self._duration(route)

    def serves(self, model: str, kernel: str, provider: str, version: str, degraded: int) -> None:
        """Say what serves."""
        self._info.labels(model, kernel, provider, version).set(1)
        self.degraded.set(degraded)

    def replied(self, method: str, route: str, status: int, seconds: float, error: str | None) -> None:
        """One request has its reply; ``error`` is its type if it is one."""
        self._reply(method if method in METHODS else "other", route, status).inc()
        self._duration(route).observe(seconds)
        if error is not None:
            self._failed(error)

    def _failed(self, error: str) -> None:
        self._errors[error].inc()
        if error == OverloadedError.type:
            self.rejected.inc()
        elif error in self._dropped:
            self._dropped[error].inc()

    def tokenised(self, task: str, seconds: float) -> None:
        """One request has its tokens."""
        self._stages["tokenise", task].observe(seconds)

    def waited(self, task: str, seconds: float) -> None:
        """One request begins to run."""
        self._stages["queue", task].observe(seconds)

    def ran(self, task: str, seconds: float, pairs: int, tokens: int) -> None:
        """The model has run once, for one request or several."""
        self._stages["inference", task].observe(seconds)
        self._stages["pairs", task].observe(pairs)
        self._stages["tokens", task].observe(tokens)

    def exposition(self) -> bytes:
        """All series in Prometheus' text format, of all workers if there are several."""
        if DIRECTORY not in os.environ:
            return generate_latest(self._registry)
        every_worker = CollectorRegistry()
        MultiProcessCollector(every_worker)  # type: ignore[no-untyped-call]
        return generate_latest(every_worker)

    def _reply(self, method: str, route: str, status: int) -> Counter:
        key = method, route, status
        child = self._replies.get(key)
        if child is None:
            child = self._replies[key] = self._requests.labels(method, route, str(status))
        return child

    def _duration(self, route: str) -> Histogram:
        child = self._durations.get(route)
        if child is None:
            child = self._durations[route] = self._request_seconds.labels(route)
        return child

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(f"cmow_{name}", help_text, labels, registry=self._registry)

    def _histogram(self, name: str, help_text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(f"cmow_{name}", help_text, labels, registry=self._registry, buckets=buckets)

    def _gauge(self, name: str, help_text: str, over_workers: Literal["livesum", "max"], *labels: str) -> Gauge:
        return Gauge(f"cmow_{name}", help_text, labels, registry=self._registry, multiprocess_mode=over_workers)


def forget_worker(pid: int) -> None:
    """Take a dead worker's gauges out of the sums; its counts stay."""
    with suppress(FileNotFoundError):  # none where the worker died before its first metric
        mark_process_dead(pid)  # type: ignore[no-untyped-call]
