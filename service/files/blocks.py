"""What flows through a bulk run: blocks of rows, first without scores and then with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Row = dict[str, Any]
RowTexts = tuple[str, ...]  # the one or two texts of a row
Columns = dict[str, list[Any]]
ColumnTypes = dict[str, Any]  # a type of Python, or a ``pyarrow.Field`` where the input has these


class Rows(Protocol):
    """The columns of a block, in the form that its reader found them in."""

    def __len__(self) -> int: ...

    def take(self, positions: Sequence[int]) -> Rows:
        """The rows at ``positions``, in that order."""
        ...

    def with_columns(self, columns: Columns) -> Rows:
        """These rows with ``columns``, each as long as there are rows, added after their own."""
        ...

    def dicts(self) -> list[Row]:
        """Each row as a dictionary."""
        ...


@dataclass(frozen=True)
class DictRows:
    """Rows as dictionaries, whose keys may differ from row to row."""

    rows: list[Row]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, positions: Sequence[int]) -> DictRows:
        """The rows at ``positions``, in that order."""
        return DictRows([self.rows[position] for position in positions])

    def with_columns(self, columns: Columns) -> DictRows:
        """These rows with ``columns`` added after their own."""
        added = (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
        return DictRows([row | more for row, more in zip(self.rows, added, strict=True)])

    def dicts(self) -> list[Row]:
        """The rows themselves."""
        return self.rows


@dataclass(frozen=True, order=True)
class BadRow:
    """A row that cannot be scored: its line in the input (in Parquet its number, from 1), and why."""

    line: int
    message: str


@dataclass(frozen=True)
class Block:
    """Consecutive records of the input. ``rows``, ``texts`` and ``lines`` are its P good ones.

    ``records`` counts good and bad; ``size`` is what the block took of the input, in the reader's unit.
    """

    rows: Rows
    texts: list[RowTexts]
    lines: list[int]
    bad: list[BadRow]
    records: int
    size: int

    def without(self, bad: Sequence[tuple[int, str]]) -> Block:
        """This block less the rows at some positions, each with the reason."""
        if not bad:
            return self
        left_out = {position for position, _ in bad}
        kept = [position for position in range(len(self.texts)) if position not in left_out]
        return Block(
            self.rows.take(kept),
            [self.texts[position] for position in kept],
            [self.lines[position] for position in kept],
            sorted([*self.bad, *(BadRow(self.lines[position], message) for position, message in bad)]),
            self.records,
            self.size,
        )


@dataclass(frozen=True)
class ScoredBlock:
    """What became of a block: its good ``rows`` with the scores after their own columns, and the ``lines`` of these.

    ``records`` and ``size`` are the block's; ``truncated`` counts the pairs that were cut, ``unread`` those of
    which the model knows no token of one text.
    """

    rows: Rows
    lines: list[int]
    bad: list[BadRow]
    records: int
    size: int
    truncated: int
    unread: int


Scorer = Callable[[Iterable[Block]], Iterator[ScoredBlock]]


class Source(Protocol):
    """An input with its scores. ``total`` is its size in ``unit``, ``None`` where nobody knows."""

    unit: str
    total: int | None

    def scored(self, skip: int) -> Iterator[ScoredBlock]:
        """All blocks after the first ``skip`` records, in the order of the input; raises ``BulkError``."""
        ...
