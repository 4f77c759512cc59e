"""Scored blocks to bytes that can be appended to a file: JSON lines and CSV, compressed or not."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable
from datetime import date, datetime, time
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Any, Protocol

from cmow.service.errors import BadRowError
from cmow.service.files.blocks import ScoredBlock
from cmow.service.files.streams import Compression, compress


class Encoder(Protocol):
    """An output format."""

    @property
    def memory(self) -> str:
        """What it must be given again to go on after the bytes that it gave before."""
        ...

    def encode(self, scored: ScoredBlock) -> bytes:
        """The bytes of a block; raises ``BulkError`` where the format has no place for a value."""
        ...

    def end(self) -> bytes:
        """What belongs after the last block."""
        ...

    def finish(self, partial: Path, output: Path) -> None:
        """Make ``output`` of the file ``partial``, which holds the bytes of all blocks."""
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

    Where no row comes, ``columns`` are the header. ``delimiter`` stands between cells.
    """

    def __init__(self, memory: str, columns: Iterable[str], delimiter: str = ",") -> None:
        self.memory = memory
        self._columns = list(columns)
        self._delimiter = delimiter

    def encode(self, scored: ScoredBlock) -> bytes:
        """See ``Encoder``."""
        text: list[str] = []
        for line, row in zip(scored.lines, scored.rows.dicts(), strict=True):
            header = json.dumps(list(row))
            if not self.memory:
                text.append(self._line(row))
                self.memory = header
            if header != self.memory:
                raise BadRowError(
                    f"line {line}: expected the columns {self.memory} as above, got {header}: CSV has one header, "
                    "JSON lines (--output-format jsonl) take any"
                )
            text.append(self._line(_cell(value, line) for value in row.values()))
        return "".join(text).encode()

    def end(self) -> bytes:
        """See ``Encoder``."""
        if self.memory:
            return b""
        self.memory = json.dumps(self._columns)
        return self._line(self._columns).encode()

    def finish(self, partial: Path, output: Path) -> None:
        """See ``Encoder``."""
        os.replace(partial, output)

    def _line(self, cells: Iterable[str]) -> str:
        """A row. Python before 3.13 only quotes a lone carriage return where it is part of the line's end."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\r\n", delimiter=self._delimiter).writerow(cells)
        return text.getvalue().removesuffix("\r\n") + "\n"


class CompressedEncoder:
    """What another encoder gives, each block compressed on its own, so that a run goes on after any of them."""

    def __init__(self, encoder: Encoder, compression: Compression) -> None:
        self._encoder = encoder
        self._compression = compression

    @property
    def memory(self) -> str:
        """See ``Encoder``."""
        return self._encoder.memory

    def encode(self, scored: ScoredBlock) -> bytes:
        """See ``Encoder``."""
        return compress(self._encoder.encode(scored), self._compression)

    def end(self) -> bytes:
        """See ``Encoder``."""
        return compress(self._encoder.end(), self._compression)

    def finish(self, partial: Path, output: Path) -> None:
        """See ``Encoder``."""
        self._encoder.finish(partial, output)


def to_json(value: Any, line: int) -> str:
    """``value`` as JSON; dates and decimals, which Parquet has, as texts.

    Raises ``BadRowError`` with ``line`` on what JSON lacks.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
    except ValueError as error:
        raise BadRowError(
            f"line {line}: expected values that a text can hold, got one that it cannot ({error}): write Parquet"
        ) from None


def _cell(value: Any, line: int) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    return value if isinstance(value, str) else to_json(value, line)


def _plain(value: Any) -> str:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise ValueError(type(value).__name__)
