"""Blocks to scored blocks with the engine in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from cmow.service.bulk.options import Task
from cmow.service.files.blocks import Block, Columns, ColumnTypes, ScoredBlock, Scorer
from cmow.service.files.readers import Reader
from cmow.service.model.model import Model
from cmow.service.model.work import Scored
from cmow.service.text.pairs import SentencePairs
from cmow.service.text.tokenizer import Part


@dataclass(frozen=True)
class Scoring:
    """What is added to each row: ``task``'s columns, and with a ``threshold`` whether the score reaches it."""

    task: Task
    prefix: str
    threshold: float | None = None

    def columns(self, labels: list[str]) -> ColumnTypes:
        """The new columns, in their order."""
        scores: ColumnTypes = dict.fromkeys(labels if self.task == "entailment" else [self.task], float)
        label: ColumnTypes = {"label": str} if self.task == "entailment" else {}
        same: ColumnTypes = {} if self.threshold is None else {"same": bool}
        return {self.prefix + name: kind for name, kind in (label | scores | same | {"truncated": bool}).items()}

    def values(self, scored: Scored, labels: list[str]) -> Columns:
        """What ``scored`` puts into each of them."""
        values = [*np.atleast_2d(scored.values.T).tolist(), scored.truncated]
        if self.task == "entailment":
            values.insert(0, [labels[column] for column in scored.values.argmax(axis=1)])
        if self.threshold is not None:
            values.insert(1, (scored.values >= self.threshold).tolist())
        return dict(zip(self.columns(labels), values, strict=True))


@dataclass(frozen=True)
class ModelScorer:
    """A ``Scorer``: one block after the other through ``model``, which uses all its threads on each."""

    model: Model
    scoring: Scoring

    def __call__(self, blocks: Iterable[Block]) -> Iterator[ScoredBlock]:
        """Score ``blocks``, in order; raises ``InferenceError``."""
        return map(self._score, blocks)

    def _score(self, block: Block) -> ScoredBlock:
        sentences = SentencePairs.of(block.texts)
        packed = self.model.engine.tokenizer.encode(sentences.texts)
        empty = packed.lengths[sentences.index] == 0
        good = ~empty.any(axis=1)
        block = block.without([(int(row), _empty_message(empty[row])) for row in np.flatnonzero(~good)])
        work = self.model.work(self.scoring.task, sentences.texts, sentences.index[good])
        scored = self.model.score(work, Part(packed, 0, len(packed)))
        return ScoredBlock(
            rows=block.rows.with_columns(self.scoring.values(scored, self.model.manifest.labels)),
            lines=block.lines,
            bad=block.bad,
            records=block.records,
            size=block.size,
            truncated=sum(scored.truncated),
            unread=sum(scored.unread),
        )


class LocalSource:
    """A ``Source``: what ``reader`` reads, scored in this process."""

    def __init__(self, reader: Reader, scorer: Scorer) -> None:
        self.unit, self.total = reader.unit, reader.total
        self._reader = reader
        self._scorer = scorer

    def scored(self, skip: int) -> Iterator[ScoredBlock]:
        """See ``Source``; raises ``InferenceError`` too."""
        return self._scorer(self._reader.blocks(skip))


def _empty_message(empty: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> str:
    side = "the first" if empty[0] else "the second"
    return f"{side} text: expected at least one token, got none"
