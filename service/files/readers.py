"""JSON lines and CSV to blocks. Parquet, which needs pyarrow, has a module of its own."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, BinaryIO, NamedTuple, Protocol

from cmow.service.errors import BadRowError, MalformedBodyError, RequestError, SchemaError, UsageError
from cmow.service.files.blocks import BadRow, Block, ColumnTypes, DictRows, Row, RowTexts
from cmow.service.files.lines import Line, read_lines
from cmow.service.files.rows import MOST_DEPTH, RowCheck, check_depth, check_unicode
from cmow.service.text.strict_json import parse_json

SURROGATES = b"\\ud", b"\\uD"  # how JSON spells them: only such lines need the long check
SEPARATOR = re.compile(rb'"?sep=(?P<delimiter>[!-~\t ])"?\r?\n?')  # as Excel writes and reads it
BLOCK_BYTES = 8 * 2**20  # of input: a block of long rows is cut here


@dataclass(frozen=True)
class ReadOptions:
    """How to read: what a row must have, how many rows make a block, and the longest line or CSV cell."""

    check: RowCheck
    block_rows: int
    max_line_bytes: int


class Reader(Protocol):
    """An input. ``total`` is its size in ``unit``, ``None`` where nobody knows; ``columns`` are those of every row."""

    unit: str
    total: int | None
    columns: ColumnTypes

    def blocks(self, skip: int) -> Iterator[Block]:
        """All blocks after the first ``skip`` records; raises ``BadRowError`` where nothing after that can be read."""
        ...


class Record(NamedTuple):
    """One record not parsed yet, and the size that it took of the input."""

    line: int
    content: Any
    size: int


class JsonlReader:
    """JSON lines: an object a line, in UTF-8. Blank lines count for nothing."""

    unit = "B"

    def __init__(self, source: BinaryIO, total: int | None, options: ReadOptions) -> None:
        self.total = total
        self.columns: ColumnTypes = dict.fromkeys(options.check.fields, str)
        self._source = source
        self._options = options

    def blocks(self, skip: int) -> Iterator[Block]:
        """See ``Reader``."""
        lines = read_lines(self._source, self._options.max_line_bytes)
        records = (Record(*line) for line in lines if line.content is None or line.content.strip())
        return _blocks(islice(records, skip, None), self._parse, self._options)

    def _parse(self, content: bytes | None) -> Row:
        if content is None:
            raise SchemaError(f"expected a line of at most {self._options.max_line_bytes} bytes")
        row = parse_json(content)
        if not isinstance(row, dict):
            fields = " and ".join(self._options.check.fields) or "columns"
            raise SchemaError(f"expected an object with {fields}, got another value")
        if content.count(b"[") + content.count(b"{") > MOST_DEPTH:
            check_depth(row)
        if any(spelling in content for spelling in SURROGATES):
            check_unicode(row)
        return row


@dataclass(frozen=True)
class Table:
    """What stands between cells: ``delimiter`` if given, or what a first line ``sep=;`` says, or ``default``.

    Without ``header`` the columns are the texts.
    """

    delimiter: str | None
    default: str
    header: bool


class CsvReader:
    """CSV, in UTF-8, as RFC 4180 and spreadsheets have it. Blank lines count for nothing."""

    unit = "B"

    def __init__(self, source: BinaryIO, name: str, total: int | None, options: ReadOptions, table: Table) -> None:
        self.total = total
        self._name = name
        self._options = options
        self._taken = 0  # bytes read so far
        self._lines_before = 0
        lines = read_lines(source, options.max_line_bytes)
        first = next(lines, None)
        separator = None if first is None or first.content is None else SEPARATOR.fullmatch(first.content)
        if first is not None and separator is None:
            lines = chain([first], lines)
        elif first is not None:
            self._taken, self._lines_before = first.size, 1
        found = separator["delimiter"].decode() if separator else table.default
        self._records = self._read(lines, table.delimiter or found)
        self._header = self._read_header() if table.header else list(options.check.fields)
        self.columns: ColumnTypes = dict.fromkeys(self._header, str)

    def blocks(self, skip: int) -> Iterator[Block]:
        """See ``Reader``."""
        return _blocks(islice(self._records, skip, None), self._parse, self._options)

    def _read(self, lines: Iterable[Line], delimiter: str) -> Iterator[Record]:
        table = csv.reader(self._text(lines), strict=True, delimiter=delimiter)
        line, before = 1 + self._lines_before, 0
        try:
            while (cells := self._next(table)) is not None:
                if cells:
                    yield Record(line, cells, self._taken - before)
                    before = self._taken
                line = table.line_num + 1 + self._lines_before
        except csv.Error as error:
            raise BadRowError(f"{self._name}:{line}: expected CSV: {error}; what follows cannot be read") from None

    def _next(self, table: Iterator[list[str]]) -> list[str] | None:
        """The next cells. The limit of a cell is the process's, so it is put back for whoever else reads CSV."""
        before = csv.field_size_limit(self._options.max_line_bytes)
        try:
            return next(table, None)
        finally:
            csv.field_size_limit(before)

    def _text(self, lines: Iterable[Line]) -> Iterator[str]:
        for number, content, size in lines:
            if content is None:
                limit = self._options.max_line_bytes
                raise BadRowError(f"{self._name}:{number}: expected a line of at most {limit} bytes, got {size}")
            self._taken += size
            # Bytes that are not UTF-8 become lone surrogates, which nothing else can give; _parse finds them.
            yield content.decode("utf-8", "surrogateescape")

    def _read_header(self) -> list[str]:
        first = next(self._records, None)
        if first is None:
            raise UsageError(f"{self._name}: expected a header, got an empty file")
        header: list[str] = first.content
        where = f"{self._name}:{first.line}"
        try:
            check_unicode(dict.fromkeys(header))
        except RequestError:
            raise UsageError(f"{where}: expected a header in UTF-8 (see --encoding)") from None
        self._options.check.header(where, header)
        return header

    def _parse(self, cells: list[str]) -> Row:
        if len(cells) != len(self._header):
            raise SchemaError(f"expected {len(self._header)} cells as in the header, got {len(cells)}")
        for name, cell in zip(self._header, cells, strict=True):
            try:
                cell.encode()
            except UnicodeEncodeError as error:
                byte = ord(cell[error.start]) - 0xDC00
                raise MalformedBodyError(f"{name}: expected UTF-8, got byte 0x{byte:02x}") from None
        return dict(zip(self._header, cells, strict=True))


def _blocks(records: Iterator[Record], parse: Callable[[Any], Row], options: ReadOptions) -> Iterator[Block]:
    while records_of_block := _take(records, options.block_rows):
        yield _block(records_of_block, parse, options.check)


def _take(records: Iterator[Record], rows: int) -> list[Record]:
    """The next ``rows`` records, or fewer where they are long or the last."""
    taken, size = list[Record](), 0
    for record in islice(records, rows):
        taken.append(record)
        size += record.size
        if size >= BLOCK_BYTES:
            break
    return taken


def _block(records: list[Record], parse: Callable[[Any], Row], check: RowCheck) -> Block:
    rows, texts, lines, bad = list[Row](), list[RowTexts](), list[int](), list[BadRow]()
    for record in records:
        try:
            row = parse(record.content)
            texts.append(check.texts(row))
        except RequestError as error:
            bad.append(BadRow(record.line, error.message.removeprefix("body: ")))
        else:
            rows.append(row)
            lines.append(record.line)
    return Block(DictRows(rows), texts, lines, bad, len(records), sum(record.size for record in records))
