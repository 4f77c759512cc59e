"""A Parquet file scored by the workers of a Ray cluster, through Ray Data. It needs ray, the extra ``ray``.

Ray Data hands out spans of rows instead of the rows: each worker reads its own from the file, so that nothing but
scored blocks goes through the object store. Ray starts a dead worker again and repeats its span; a span's result counts
once, and the results come in the order of the spans.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import ray
import ray.data
from ray.exceptions import RayError

from cmow.service.bulk.ray_cluster import cluster
from cmow.service.bulk.ray_worker import SCORED, SpanScorer, Work
from cmow.service.errors import BulkError, CmowError, UsageError
from cmow.service.files.blocks import ScoredBlock

ROUND_SPANS = 4096  # that Ray Data plans at once, so that memory does not grow with the file
RETRIES = 3  # of a span whose worker dies: more deaths than that are the span's fault


class RaySource:
    """A ``Source``: the ``rows`` rows of a Parquet file, as ``work`` says, by ``workers`` workers (0: as many as fit).

    ``RAY_ADDRESS`` names the cluster; without it one is started on this machine and stopped at the end.
    """

    unit = "rows"

    def __init__(self, work: Work, rows: int, workers: int) -> None:
        self.total: int | None = rows
        self._rows = rows
        self._work = work
        self._workers = workers

    def scored(self, skip: int) -> Iterator[ScoredBlock]:
        """See ``Source``; raises ``UsageError`` where the cluster has no room for the workers."""
        size = self._work.reading.block_rows
        spans = [(start, min(size, self._rows - start)) for start in range(skip, self._rows, size)]
        with cluster(self._workers * self._work.engine.threads), _our_errors():
            workers = _fitting(self._workers, self._work.engine.threads)
            for first in range(0, len(spans), ROUND_SPANS):
                yield from self._round(spans[first : first + ROUND_SPANS], workers)

    def _round(self, spans: list[tuple[int, int]], workers: int) -> Iterator[ScoredBlock]:
        items = [{"start": start, "rows": rows} for start, rows in spans]
        dataset = ray.data.from_items(items, override_num_blocks=len(items))
        dataset.context.execution_options.preserve_order = True
        dataset.context.enable_progress_bars = False
        with warnings.catch_warnings():
            # They will have names of their own; in this version nothing else bounds how often a span is tried.
            warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated")
            scored = dataset.map_batches(
                SpanScorer,
                fn_constructor_args=(self._work,),
                batch_size=1,
                compute=ray.data.ActorPoolStrategy(size=min(workers, len(items))),
                num_cpus=self._work.engine.threads,
                max_restarts=-1,
                max_task_retries=RETRIES,
            )
        for row in scored.iter_rows():
            yield pickle.loads(row[SCORED])


def _fitting(workers: int, threads: int) -> int:
    """``workers``, or for 0 as many as the cluster has room for."""
    room = int(ray.cluster_resources().get("CPU", 0)) // threads
    if not 0 < max(workers, 1) <= room:
        raise UsageError(f"--workers: expected at most {room}, for which the cluster has CPUs, got {workers or 1}")
    return workers or room


@contextmanager
def _our_errors() -> Iterator[None]:
    """A worker's own error, as if it had come up here."""
    try:
        yield
    except RayError as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, CmowError):
            cause = getattr(cause, "cause", None) or cause.__cause__
        raise cause or BulkError(f"Ray: {error}") from error
