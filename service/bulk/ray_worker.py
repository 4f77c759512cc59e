"""What a Ray worker of ``cmow-score`` does: it reads a span of rows from a Parquet file and scores them."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmow.service.bulk.scoring import ModelScorer, Scoring
from cmow.service.bulk.spans import SpanReader
from cmow.service.errors import BundleError
from cmow.service.files.blocks import Block
from cmow.service.files.parquet import to_block
from cmow.service.files.readers import ReadOptions
from cmow.service.machine.cpu import limit_tokenizer_threads
from cmow.service.model.bundle import Bundle, load_bundle
from cmow.service.model.engine import Engine, EngineOptions
from cmow.service.model.model import UNBOUNDED, Model

SCORED = "scored"  # the one column of a worker's replies: a pickled ``ScoredBlock`` a row


@dataclass(frozen=True)
class Work:
    """What all workers are told. ``path`` and ``bundle.path`` must be the same files wherever a worker runs."""

    path: Path
    reading: ReadOptions
    bundle: Bundle
    engine: EngineOptions
    scoring: Scoring


class SpanScorer:
    """A worker with an engine of its own; raises ``BundleError`` where its bundle is not the driver's."""

    def __init__(self, work: Work) -> None:
        limit_tokenizer_threads(work.engine.threads)
        bundle = load_bundle(work.bundle.path)
        if bundle.manifest != work.bundle.manifest:
            raise BundleError(f"{bundle.path}: expected the bundle of the machine that started the run, found another")
        self._reading = work.reading
        self._reader = SpanReader(work.path, work.reading.block_rows)
        self._score = ModelScorer(Model(Engine(bundle, work.engine), UNBOUNDED), work.scoring)

    def __call__(self, spans: dict[str, NDArray[np.int64]]) -> dict[str, list[Any]]:
        """Score ``spans``, columns ``start`` and ``rows`` [S]; raises ``InferenceError`` or ``BulkError``."""
        blocks = map(self._block, spans["start"].tolist(), spans["rows"].tolist())
        return {SCORED: [pickle.dumps(scored) for scored in self._score(blocks)]}

    def _block(self, start: int, rows: int) -> Block:
        return to_block(self._reader.read(start, rows), start, self._reading.check)
