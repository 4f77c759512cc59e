"""Scored blocks to bytes that can be appended to a file: JSON lines and CSV."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from service.bulk.blocks import ScoredBlock
from service.errors import BadRowError


class Encoder(Protocol):
    """An output format. ``memory`` is what it must be given again to go on behind the bytes that it gave before."""

    memory: str

    def encode(self, scored: ScoredBlock) -> bytes:
        """The bytes of a block; raises ``BulkError`` where the format has no place for a value."""
        ...

    def end(self) -> bytes:
        """The bytes behind all blocks: the columns, where no row has shown them."""
        ...

    def finish(self, partial: Path, output: Path) -> None:
        """Make ``output`` of the file ``partial``, which holds all these bytes."""
        ...


class JsonlEncoder:
    """An object a line."""

    memory = ""

    def encode(self, scored: ScoredBlock) -> bytes:
        """See ``Encoder``."""
        rows = zip(scored.lines, scored.rows.dicts(), strict=True)
        return "".join(to_json(row, line) + "\n" for line, row in rows).encode()

    def end(self) -> bytes:
        """See ``Encoder``."""
        return b""

    def finish(self, partial: Path, output: Path) -> None:
        """See ``Encoder``."""
        os.replace(partial, output)


class CsvEncoder:
    """A header, then a row a line; ``memory`` is the header once it is written. Every row must have its columns.

    ``names`` are the columns where no row comes.
    """

    def __init__(self, memory: str, names: Sequence[str]) -> None:
        self.memory = memory
        self._names = names

    def encode(self, scored: ScoredBlock) -> bytes:
        """See ``Encoder``."""
        text = _Lines()
        writer = csv.writer(text)
        for line, row in zip(scored.lines, scored.rows.dicts(), strict=True):
            header = json.dumps(list(row))
            if not self.memory:
                writer.writerow(row)
                self.memory = header
            if header != self.memory:
                raise BadRowError(
                    f"line {line}: expected the columns {self.memory} as above, got {header}: CSV has one header, "
                    "JSON lines (--output-format jsonl) take any"
                )
            writer.writerow([_cell(value, line) for value in row.values()])
        return "".join(text).encode()

    def end(self) -> bytes:
        """See ``Encoder``."""
        if self.memory:
            return b""
        text = _Lines()
        csv.writer(text).writerow(self._names)
        self.memory = json.dumps(list(self._names))
        return "".join(text).encode()

    def finish(self, partial: Path, output: Path) -> None:
        """See ``Encoder``."""
        os.replace(partial, output)


class _Lines(list[str]):
    """What ``csv.writer`` writes, a row a line: told to end lines so itself, it would leave a bare ``\\r`` unquoted."""

    def write(self, row: str) -> None:
        """For ``csv.writer``, which calls it once a row."""
        self.append(row.removesuffix("\r\n") + "\n")


def to_json(value: Any, line: int) -> str:
    """``value`` as JSON; dates and decimals, which Parquet has, as texts. Raises ``BadRowError`` on what JSON lacks."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
    except (ValueError, RecursionError) as error:
        raise BadRowError(
            f"line {line}: expected values that JSON has, got one that it has not ({error}): write Parquet"
        ) from None


def _cell(value: Any, line: int) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case float():
            return repr(value)
        case _:
            return to_json(value, line)


def _plain(value: Any) -> str:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise ValueError(type(value).__name__)
