"""Any rows of a Parquet file, for readers of which each takes some of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from cmow.service.errors import BulkError
from cmow.service.files.parquet import open_parquet, reading


class SpanReader:
    """Reads ``path`` from any row on. One reader at a time.

    A file can only be decoded from the start of a row group, and one group may be the whole file. So a span that lies
    ahead in the group that was read last is reached by going on there: of spans in ascending order, whoever reads only
    some of them decodes no row twice.
    """

    def __init__(self, path: Path, batch_rows: int) -> None:
        self._path = path
        self._batch_rows = batch_rows
        self._file = open_parquet(path)
        groups = range(self._file.metadata.num_row_groups)
        sizes = [self._file.metadata.row_group(group).num_rows for group in groups]
        self._starts = np.cumsum([0, *sizes])  # of each group, and the end of the file
        self._at = int(self._starts[-1])  # number of the next row
        self._rest: list[pa.RecordBatch] = []  # at most one, cut short
        self._batches: Iterator[pa.RecordBatch] = iter(())

    def read(self, start: int, rows: int) -> pa.Table:
        """``rows`` rows from number ``start``, from 0; raises ``BulkError`` where the file is damaged or too short."""
        if start + rows > self._starts[-1]:
            raise BulkError(f"{self._path}: expected at least {start + rows} rows, found {self._starts[-1]}")
        group = int(np.searchsorted(self._starts, start, side="right")) - 1
        with reading(self._path):
            if not self._starts[group] <= self._at <= start:
                self._open(group)
            for _ in self._take(start - self._at):
                pass
            return pa.Table.from_batches(list(self._take(rows)), self._file.schema_arrow)

    def _open(self, group: int) -> None:
        groups = range(group, self._file.metadata.num_row_groups)
        self._batches = self._file.iter_batches(self._batch_rows, row_groups=list(groups))
        self._rest = []
        self._at = int(self._starts[group])

    def _take(self, rows: int) -> Iterator[pa.RecordBatch]:
        """The next ``rows`` rows."""
        end = self._at + rows
        while self._at < end:
            batch = self._rest.pop() if self._rest else next(self._batches)
            taken = batch.slice(0, end - self._at)
            if taken.num_rows < batch.num_rows:
                self._rest.append(batch.slice(taken.num_rows))
            self._at += taken.num_rows
            yield taken
