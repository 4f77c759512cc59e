"""Spans of a Parquet file against slices of the whole table."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cmow.service.bulk.spans import SpanReader
from cmow.service.errors import BulkError, UsageError

ROWS = 500


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return pa.table({"id": range(ROWS), "text": [f"row {row}" * (row % 5) or None for row in range(ROWS)]})


@pytest.mark.parametrize("group_rows", [1, 7, 64, 500, 1000])
@pytest.mark.parametrize("batch_rows", [1, 10, 64, 1000])
def test_any_order(tmp_path: Path, table: pa.Table, group_rows: int, batch_rows: int) -> None:
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=group_rows)
    reader, draw = SpanReader(tmp_path / "rows.parquet", batch_rows), random.Random(group_rows)
    starts = sorted(draw.choices(range(ROWS), k=20)) + draw.choices(range(ROWS), k=20) + [0, ROWS - 1]
    for start in starts:
        rows = draw.randint(1, min(100, ROWS - start))
        assert reader.read(start, rows).equals(table.slice(start, rows))


def test_ascending_spans_decode_no_row_twice(tmp_path: Path, table: pa.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(table, tmp_path / "rows.parquet")
    reader, opened = SpanReader(tmp_path / "rows.parquet", 10), list[int]()
    real = pq.ParquetFile.iter_batches
    monkeypatch.setattr(
        pq.ParquetFile, "iter_batches", lambda *given, **named: opened.append(1) or real(*given, **named)
    )
    for start in range(0, ROWS, 20):
        reader.read(start, 10)
    assert len(opened) == 1


def test_a_file_shorter_than_expected(tmp_path: Path, table: pa.Table) -> None:
    pq.write_table(table, tmp_path / "rows.parquet")
    with pytest.raises(BulkError, match="expected at least 501 rows, found 500"):
        SpanReader(tmp_path / "rows.parquet", 10).read(499, 2)


def test_damaged_rows(tmp_path: Path, table: pa.Table) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(table, path, compression="zstd")
    content = bytearray(path.read_bytes())
    content[4:200] = bytes(196)
    path.write_bytes(content)
    with pytest.raises(BulkError, match="expected a sound Parquet file"):
        SpanReader(path, 10).read(0, 100)


def test_another_kind_of_file(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_text("not at all")
    with pytest.raises(UsageError, match="expected a Parquet file"):
        SpanReader(tmp_path / "rows.parquet", 10)
