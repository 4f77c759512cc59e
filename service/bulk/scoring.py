"""Blocks to scored blocks with the engine in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from cmow.service.bulk.options import Task
from cmow.service.files.blocks import Block, Columns, ColumnTypes, ScoredBlock, Scorer
from cmow.service.files.readers import Reader
from cmow.service.model.engine import Engine, Floats, Ints
from cmow.service.text.pairs import SentencePairs
from cmow.service.text.tokenizer import PackedTokens


def column_types(task: Task, prefix: str, labels: list[str]) -> ColumnTypes:
    """The columns that ``task`` adds, in their order."""
    scores: ColumnTypes = dict.fromkeys(labels if task == "entailment" else [task], float)
    label: ColumnTypes = {"label": str} if task == "entailment" else {}
    return {prefix + name: kind for name, kind in (label | scores | {"truncated": bool}).items()}


@dataclass(frozen=True)
class EngineScorer:
    """A ``Scorer``: one block after the other through ``engine``, which uses all its threads on each."""

    engine: Engine
    task: Task
    prefix: str

    def __call__(self, blocks: Iterable[Block]) -> Iterator[ScoredBlock]:
        """Score ``blocks``, in order; raises ``InferenceError``."""
        return map(self._score, blocks)

    def _score(self, block: Block) -> ScoredBlock:
        sentences = SentencePairs.of(block.pairs)
        packed = self.engine.tokenizer.encode(sentences.texts)
        empty = packed.lengths[sentences.index] == 0
        good = ~empty.any(axis=1)
        block = block.without([(int(row), _empty_message(empty[row])) for row in np.flatnonzero(~good)])
        columns = self._columns(packed, sentences.index[good])
        return ScoredBlock(
            rows=block.rows.with_columns(columns),
            lines=block.lines,
            bad=block.bad,
            records=block.records,
            size=block.size,
            truncated=sum(columns[f"{self.prefix}truncated"]),
        )

    def _columns(self, packed: PackedTokens, pairs: Ints) -> Columns:
        """Values of each new column for ``pairs`` [P, 2], rows of ``packed``."""
        labels = self.engine.bundle.manifest.labels
        truncated = packed.truncated[pairs].any(axis=1).tolist()
        scores = self._scores(packed, pairs)
        values = [*np.atleast_2d(scores.T).tolist(), truncated]
        if self.task == "entailment":
            values.insert(0, [labels[column] for column in scores.argmax(axis=1)])
        return dict(zip(column_types(self.task, self.prefix, labels), values, strict=True))

    def _scores(self, packed: PackedTokens, pairs: Ints) -> Floats:
        """Scores of ``pairs`` [P, 2], rows of ``packed``: probabilities [P, labels] for entailment, else [P]."""
        return self.engine.score(self.task, packed, pairs)


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
