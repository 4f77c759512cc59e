"""What the commands over files are asked alike, and which formats follow. Plain Python, so that help is quick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from cmow.service.errors import UsageError
from cmow.service.files.streams import Compression, require_zstd

Format = Literal["jsonl", "csv", "tsv", "parquet"]
OnBadRow = Literal["stop", "skip"]

STANDARD = "-"
UTF_8 = "utf-8"
FORMATS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
COMPRESSIONS: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd"}
TABLES: dict[Format, str] = {"csv": ",", "tsv": "\t"}  # with the delimiter of each


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """Flags of a run over a file that are no settings of the service; ``None`` is found from the others."""

    input: str
    output: str
    input_format: Format | None
    delimiter: str | None
    header: bool
    encoding: str
    output_format: Format | None
    prefix: str
    on_bad_row: OnBadRow
    block_rows: int
    max_line_bytes: int
    restart: bool
    overwrite: bool
    progress: bool

    @property
    def input_name(self) -> str:
        """The input in messages."""
        return "standard input" if self.input == STANDARD else self.input

    @property
    def read_as(self) -> Format:
        """The input's format, as asked or as its name ends; raises ``UsageError``."""
        kind = self.input_format or _format(self.input)
        if kind is None and self.input != STANDARD:
            expected = f"{', '.join(FORMATS)}, or one of these and {' or '.join(COMPRESSIONS)}"
            raise UsageError(f"{self.input}: expected a name that ends in {expected} (see --input-format)")
        kind = kind or "jsonl"
        if kind == "parquet":
            _check_uncompressed(self.input)
        return kind

    @property
    def write_as(self) -> Format:
        """The output's format: as asked, as its name ends, or as the input unless that cannot be written as a stream.

        Raises ``UsageError``.
        """
        if self.output == STANDARD:
            kind = self.output_format or (self.read_as if self.read_as in TABLES else "jsonl")
            if kind == "parquet":
                raise UsageError("Parquet cannot be written as a stream: expected a file, got standard output")
            return kind
        kind = self.output_format or _format(self.output) or self.read_as
        if kind == "parquet":
            _check_uncompressed(self.output)
            require_pyarrow()
        return kind

    def inputs(self) -> Sequence[FileOptions]:
        """These options for each file that is read."""
        return [self]

    def outputs(self) -> Sequence[FileOptions]:
        """These options for each file that is written."""
        return [self]

    def check(self) -> None:
        """Raise ``UsageError`` where a flag means nothing for any input's format, or a format cannot be taken."""
        kinds = [each.read_as for each in self.inputs()]
        for each in self.outputs():
            _ = each.write_as
        if all(kind not in TABLES for kind in kinds) and (self.delimiter is not None or not self.header):
            flag = "--no-header" if self.delimiter is None else "--delimiter"
            raise UsageError(f"{flag}: expected CSV or TSV (see --input-format), got {', '.join(kinds)}")
        if all(kind == "parquet" for kind in kinds) and self.encoding != UTF_8:
            raise UsageError(f"--encoding {self.encoding}: expected text, got Parquet")
        names = [each.input for each in self.inputs()] + [each.output for each in self.outputs()]
        if "zstd" in map(compression_of, names):
            require_zstd()


def compression_of(name: str) -> Compression | None:
    """How the file ``name`` is compressed, as its name ends."""
    return COMPRESSIONS.get(Path(name).suffix.lower())


def _format(name: str) -> Format | None:
    """The format of the file ``name``, as its name ends, compressed or not."""
    path = Path(name)
    return FORMATS.get((path if compression_of(name) is None else path.with_suffix("")).suffix.lower())


def _check_uncompressed(name: str) -> None:
    if compression_of(name) is not None:
        raise UsageError(f"{name}: expected Parquet as it is, which compresses its own columns")


def require_pyarrow() -> None:
    """Raise ``UsageError`` where Parquet cannot be read or written."""
    if find_spec("pyarrow") is None:
        raise UsageError('Parquet needs pyarrow, which is not installed: pip install "cmow[parquet]"')
