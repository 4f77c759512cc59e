"""Labelled files in every format, from the same rows."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Rows = Sequence[dict[str, Any]]


def as_text(rows: Rows, suffix: str) -> str:
    """``rows`` as JSON lines, CSV or TSV."""
    if suffix in (".jsonl", ".ndjson"):
        return "".join(json.dumps(row) + "\n" for row in rows)
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]), delimiter="\t" if suffix == ".tsv" else ",")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def compressed(content: bytes, packing: str) -> bytes:
    """``content`` as the ending ``packing`` has it."""
    if packing == ".gz":
        return gzip.compress(content)
    return pa.compress(content, "zstd", asbytes=True) if packing == ".zst" else content


def write_labelled(folder: Path, suffix: str, rows: Rows) -> Path:
    """``rows`` in a file of the format ``suffix``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"pairs{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
        return path
    kind, _, packing = suffix[1:].partition(".")
    path.write_bytes(compressed(as_text(rows, f".{kind}").encode(), f".{packing}" if packing else ""))
    return path
