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

from service.bulk.blocks import BadRow, Block, Columns, Pair, Row, Rows, ScoredBlock
from service.bulk.readers import ReadOptions
from service.bulk.rows import RowCheck
from service.errors import BulkError, RequestError, UsageError

GROUP_ROWS = 65_536  # rows of a row group: enough to compress well, few enough to hold


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
        """These rows with ``columns`` added behind."""
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
        self.names: list[str] = self._file.schema_arrow.names
        options.check.header(str(path), self.names)

    def blocks(self, skip: int) -> Iterator[Block]:
        """See ``Reader``."""
        start = 0
        if self.rows == 0:  # so that the columns are there with their types
            yield to_block(self._file.schema_arrow.empty_table(), 0, self.options.check)
        for batch in self._batches():
            rest = batch.slice(max(0, skip - start))
            start += batch.num_rows
            if rest.num_rows:
                yield to_block(pa.Table.from_batches([rest]), start - rest.num_rows, self.options.check)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        with reading(self.path):
            yield from self._file.iter_batches(self.options.block_rows)


def open_parquet(path: Path) -> pq.ParquetFile:
    """The file at ``path``; raises ``UsageError`` where it is of another kind, ``OSError`` where it cannot be had."""
    try:
        # Without the buffer a file of one huge row group is read in parts too.
        return pq.ParquetFile(path, pre_buffer=False)
    except pa.ArrowInvalid as error:
        raise UsageError(f"{path}: expected a Parquet file: {error}") from None


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What goes wrong here, behind the file's index, is a ``BulkError``."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise BulkError(f"{path}: expected a sound Parquet file: {error}") from None


def to_block(table: pa.Table, start: int, check: RowCheck) -> Block:
    """The rows of ``table``, of which the first is number ``start`` + 1."""
    texts = table.select(list(check.fields)).to_pylist()
    good, pairs, bad = list[int](), list[Pair](), list[BadRow]()
    for position, row in enumerate(texts):
        try:
            pairs.append(check.pair(row))
            good.append(position)
        except RequestError as error:
            bad.append(BadRow(start + position + 1, error.message))
    rows = TableRows(table).take(good) if bad else TableRows(table)
    lines = [start + position + 1 for position in good]
    return Block(rows, pairs, lines, bad, table.num_rows, table.num_rows)


class ParquetEncoder:
    """Arrow streams, then a Parquet file; ``memory`` is the schema that fits all blocks so far.

    ``names`` are the columns where no row comes.
    """

    def __init__(self, memory: str, names: Sequence[str]) -> None:
        self.memory = memory
        self._names = names

    def encode(self, scored: ScoredBlock) -> bytes:
        """See ``Encoder``; raises ``BulkError`` where a column's types in two blocks have nothing in common."""
        table = _table(scored.rows, scored.lines)
        known = self._schema()
        if known is not None:
            table = _fitted(table, known)
        self.memory = base64.b64encode(table.schema.serialize().to_pybytes()).decode()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        return bytes(sink.getvalue().to_pybytes())

    def end(self) -> bytes:
        """See ``Encoder``; the schema is the matter of ``finish``."""
        return b""

    def finish(self, partial: Path, output: Path) -> None:
        """See ``Encoder``."""
        schema = self._schema() or pa.schema([(name, pa.null()) for name in self._names])
        written = partial.with_name(f"{partial.name}.parquet")
        with pq.ParquetWriter(written, schema) as writer:
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
    except pa.ArrowException as error:
        where = f"lines {lines[0]} to {lines[-1]}"
        raise BulkError(f"{where}: expected one type a column, which Parquet needs: {error}") from None


def _fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """``table`` with the columns of ``schema`` first, missing ones null, types widened to fit both."""
    try:
        return pa.concat_tables([schema.empty_table(), table], promote_options="permissive")
    except pa.ArrowException as error:
        raise BulkError(f"expected the types of the rows before, which Parquet needs: {error}") from None


def _streams(path: Path) -> Iterator[pa.Table]:
    """The table of each stream in the file ``path``."""
    with pa.OSFile(str(path)) as file:
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
