"""Parquet in and out. It needs pyarrow, the extra ``parquet``.

A Parquet file has its index at the end, so it cannot be appended to: until the run is done the output is a series of
Arrow streams, one a block, which ``finish`` makes into row groups.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cmow.service.errors import BulkError, RequestError, UsageError
from cmow.service.files.blocks import BadRow, Block, Columns, ColumnTypes, Row, Rows, RowTexts, ScoredBlock
from cmow.service.files.readers import ReadOptions
from cmow.service.files.rows import RowCheck

GROUP_ROWS = 65_536  # rows of a row group: enough to compress well, few enough to hold

TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


@dataclass(frozen=True)
class TableRows:
    """Rows as an Arrow table, with all its types."""

    table: pa.Table

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def take(self, positions: Sequence[int]) -> TableRows:
        """The rows at ``positions``, in that order."""
        return TableRows(self.table.take(pa.array(positions, pa.int64())))

    def with_columns(self, columns: Columns) -> TableRows:
        """These rows with ``columns`` added after their own."""
        table = self.table
        for name, values in columns.items():
            table = table.append_column(name, pa.array(values))
        return TableRows(table)

    def dicts(self) -> list[Row]:
        """Each row with Python's types."""
        rows: list[Row] = self.table.to_pylist()
        return rows


class ParquetReader:
    """Batches of rows, each read when it is its turn; ``BadRow.line`` is the row's number, from 1."""

    unit = "rows"

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self._file = open_parquet(path)
        self.path = path
        self.options = options
        self.rows = int(self._file.metadata.num_rows)
        self.total: int | None = self.rows
        self.columns: ColumnTypes = {field.name: field for field in self._file.schema_arrow}
        options.check.header(str(path), self._file.schema_arrow.names)

    def blocks(self, skip: int) -> Iterator[Block]:
        """See ``Reader``."""
        start = 0
        for batch in self._batches():
            rest = batch.slice(max(0, skip - start))
            start += batch.num_rows
            if rest.num_rows:
                yield to_block(pa.Table.from_batches([rest]), start - rest.num_rows, self.options.check)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        with reading(self.path):
            yield from self._file.iter_batches(self.options.block_rows)


def open_parquet(path: Path) -> pq.ParquetFile:
    """The file at ``path``; raises ``UsageError`` where it is of another kind, ``OSError`` where it cannot be read."""
    try:
        # Without the buffer a file of one huge row group is read in parts too.
        return pq.ParquetFile(_open(path), pre_buffer=False)
    except pa.ArrowInvalid as error:
        raise UsageError(f"{path}: expected a Parquet file: {error}") from None


def _open(path: Path, mode: str = "rb") -> pa.OSFile:
    """A file with any name that the system allows; by its name as text pyarrow only opens Unicode."""
    return pa.OSFile(os.fsencode(path), mode)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What goes wrong here, once the file's index is read, is a ``BulkError``."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise BulkError(f"{path}: expected a sound Parquet file: {error}") from None


def to_block(table: pa.Table, start: int, check: RowCheck) -> Block:
    """The rows of ``table``, of which the first is number ``start`` + 1."""
    found = table.select(list(check.fields)).to_pylist()
    good, texts, bad = list[int](), list[RowTexts](), list[BadRow]()
    for position, row in enumerate(found):
        try:
            texts.append(check.texts(row))
            good.append(position)
        except RequestError as error:
            bad.append(BadRow(start + position + 1, error.message))
    rows = TableRows(table).take(good) if bad else TableRows(table)
    lines = [start + position + 1 for position in good]
    return Block(rows, texts, lines, bad, table.num_rows, table.num_rows)


class ParquetEncoder:
    """Arrow streams, then a Parquet file; ``memory`` is the schema that fits all blocks so far.

    Where no row comes, ``columns`` are the schema.
    """

    def __init__(self, memory: str, columns: ColumnTypes) -> None:
        self.memory = memory
        self._columns = columns

    def encode(self, scored: ScoredBlock) -> bytes:
        """See ``Encoder``; raises ``BulkError`` where Parquet has no type for a column."""
        if not scored.lines:
            return b""  # its columns may have no types
        table = _table(scored.rows, scored.lines)
        known = self._schema()
        if known is not None:
            table = _fitted(table, known)
        self.memory = base64.b64encode(table.schema.serialize().to_pybytes()).decode()
        sink = pa.BufferOutputStream()
        with _writing(_where(scored.lines)), pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        return bytes(sink.getvalue().to_pybytes())

    def end(self) -> bytes:
        """See ``Encoder``."""
        return b""

    def finish(self, partial: Path, output: Path) -> None:
        """See ``Encoder``; raises ``BulkError`` where Parquet has no type for a column."""
        schema = self._schema() or _empty_schema(self._columns)
        written = partial.with_name(f"{partial.name}.parquet")
        with _writing(str(output)), _open(written, "wb") as file, pq.ParquetWriter(file, schema) as writer:
            for table in _grouped(_streams(partial)):
                writer.write_table(_fitted(table, schema))
        os.replace(written, output)
        partial.unlink()

    def _schema(self) -> pa.Schema | None:
        return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(self.memory))) if self.memory else None


def _table(rows: Rows, lines: list[int]) -> pa.Table:
    if isinstance(rows, TableRows):
        return rows.table
    dicts = rows.dicts()
    names = dict.fromkeys(name for row in dicts for name in row)
    try:
        return pa.table({name: pa.array([row.get(name) for row in dicts]) for name in names})
    except (pa.ArrowException, OverflowError) as error:
        raise BulkError(f"{_where(lines)}: expected one type a column, of those that Parquet has: {error}") from None


def _empty_schema(columns: ColumnTypes) -> pa.Schema:
    fields = (kind if isinstance(kind, pa.Field) else pa.field(name, TYPES[kind]) for name, kind in columns.items())
    return pa.schema(fields)


def _where(lines: list[int]) -> str:
    return f"lines {lines[0]} to {lines[-1]}"


@contextmanager
def _writing(where: str) -> Iterator[None]:
    """What pyarrow refuses here is a ``BulkError``."""
    try:
        yield
    except pa.ArrowException as error:
        raise BulkError(f"{where}: expected values that Parquet has: {error}: write JSON lines") from None


def _fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """``table`` with the columns of ``schema`` first, missing ones null, types widened to fit both."""
    try:
        return pa.concat_tables([schema.empty_table(), table], promote_options="permissive")
    except pa.ArrowException as error:
        raise BulkError(f"expected the types of the rows before, which Parquet needs: {error}") from None


def _streams(path: Path) -> Iterator[pa.Table]:
    """The table of each stream in the file ``path``."""
    with _open(path) as file:
        while file.tell() < file.size():
            with pa.ipc.open_stream(file) as stream:
                yield stream.read_all()


def _grouped(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """``tables`` joined to about ``GROUP_ROWS`` rows."""
    waiting, rows = list[pa.Table](), 0
    for table in tables:
        waiting.append(table)
        rows += table.num_rows
        if rows >= GROUP_ROWS:
            yield pa.concat_tables(waiting, promote_options="permissive")
            waiting, rows = [], 0
    if waiting:
        yield pa.concat_tables(waiting, promote_options="permissive")
