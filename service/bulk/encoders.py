"""Scored blocks to bytes that can be appended to a file: JSON lines and CSV."""

from __future__ import annotations

import csv
import io
import json
import os
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from service.bulk.blocks import ScoredBlock
from service.errors import BadRowError, BulkError


class Encoder(Protocol):
    """An output format. ``memory`` is what it must be given again to go on behind the bytes that it gave before."""

    memory: str

    def encode(self, scored: ScoredBlock) -> bytes:
        """The bytes of a block; raises ``BulkError`` where the format has no place for a value."""
        ...

    def finish(self, partial: Path, output: Path) -> None:
        """Make ``output`` of the file ``partial``, which holds the bytes of all blocks."""
        ...


class JsonlEncoder:
    """An object a line."""

    memory = ""

    def encode(self, scored: ScoredBlock) -> bytes:
        """See ``Encoder``."""
        return "".join(to_json(row) + "\n" for row in scored.rows.dicts()).encode()

    def finish(self, partial: Path, output: Path) -> None:
        """See ``Encoder``."""
        os.replace(partial, output)


class CsvEncoder:
    """A header, then a row a line; ``memory`` is the header once it is written. Every row must have its columns."""

    def __init__(self, memory: str) -> None:
        self.memory = memory

    def encode(self, scored: ScoredBlock) -> bytes:
        """See ``Encoder``."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
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
            writer.writerow(map(_cell, row.values()))
        return text.getvalue().encode()

    def finish(self, partial: Path, output: Path) -> None:
        """See ``Encoder``."""
        os.replace(partial, output)


def to_json(value: Any) -> str:
    """``value`` as JSON; dates and decimals, which Parquet has, as texts. Raises ``BulkError`` on what JSON lacks."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
    except ValueError as error:
        raise BulkError(f"expected values that JSON has, got one that it has not ({error}): write Parquet") from None


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else to_json(value)


def _plain(value: Any) -> str:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise ValueError(type(value).__name__)
