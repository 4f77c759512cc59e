"""The texts of a file, numbered by its rows, and the rows of a file by what was decided on its texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmow.service.errors import BulkError
from cmow.service.files.blocks import BadRow, Block, Columns, ScoredBlock
from cmow.service.files.readers import Reader
from cmow.service.model.engine import Ints
from cmow.service.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class TextColumn:
    """The good texts [T] of a file ``name``, and int64 [T] the ascending numbers of their rows, from 0.

    ``skipped`` counts the bad ones.
    """

    name: str
    texts: list[str]
    rows: Ints
    skipped: int


def read_texts(
    name: str,
    reader: Reader,
    tokenizer: Tokenizer,
    report: Callable[[Sequence[BadRow]], None],
    done: Callable[[int], object],
) -> TextColumn:
    """All texts of ``reader``; ``report`` takes the bad rows of each block, ``done`` what it took of the input."""
    texts, rows, start, skipped = list[str](), [np.empty(0, np.int64)], 0, 0
    for block in reader.blocks(0):
        numbers = start + row_numbers(block)
        lengths = tokenizer.encode([text for (text,) in block.texts]).lengths
        empty = [(int(place), EMPTY) for place in np.flatnonzero(lengths == 0)]
        good = block.without(empty)
        report(good.bad)
        texts += [text for (text,) in good.texts]
        rows.append(numbers[lengths > 0])
        start += block.records
        skipped += len(good.bad)
        done(block.size)
    return TextColumn(name, texts, np.concatenate(rows), skipped)


def row_numbers(block: Block) -> Ints:
    """Numbers int64 [P] of the good rows of ``block`` within it, from 0."""
    lines = np.sort(np.array([*block.lines, *(row.line for row in block.bad)], np.int64))
    return np.searchsorted(lines, np.array(block.lines, np.int64))


def named(prefix: str, columns: dict[str, Any]) -> dict[str, Any]:
    """``columns``, each with ``prefix`` before its name."""
    return {prefix + name: values for name, values in columns.items()}


class ChosenRows:
    """A ``Source``: the rows of ``reader`` whose texts are ``chosen``, with ``columns`` of these added.

    ``chosen`` are texts of ``column``, ascending; ``columns`` gives the values for some of them, by names that get
    ``prefix``.
    """

    def __init__(
        self, reader: Reader, column: TextColumn, chosen: Ints, prefix: str, columns: Callable[[Ints], Columns]
    ) -> None:
        self.unit, self.total = reader.unit, reader.total
        self._reader, self._column, self._chosen = reader, column, chosen
        self._prefix, self._columns = prefix, columns

    def scored(self, skip: int) -> Iterator[ScoredBlock]:
        """See ``Source``; raises ``BulkError`` where the file is no longer what it was."""
        start = skip
        for block in self._reader.blocks(skip):
            yield self._choose(block, start)
            start += block.records

    def _choose(self, block: Block, start: int) -> ScoredBlock:
        rows = start + row_numbers(block)
        first, last = np.searchsorted(self._column.rows, [start, start + block.records])
        places = np.searchsorted(rows, self._column.rows[first:last])
        self._check(block, rows, places, int(first))
        low, high = np.searchsorted(self._chosen, [first, last])
        chosen = self._chosen[low:high]
        taken = places[chosen - first].tolist()
        return ScoredBlock(
            rows=block.rows.take(taken).with_columns(named(self._prefix, self._columns(chosen))),
            lines=[block.lines[place] for place in taken],
            bad=[],
            records=block.records,
            size=block.size,
            truncated=0,
            unread=0,
        )

    def _check(self, block: Block, rows: Ints, places: Ints, first: int) -> None:
        """Raise ``BulkError`` unless the texts are those that were read before."""
        there = [block.texts[place][0] if place < len(rows) else None for place in places.tolist()]
        if there != self._column.texts[first : first + len(places)]:
            raise BulkError(f"{self._column.name}: expected the rows that were read before, found others")


EMPTY = "expected a text with at least one token, got none"
