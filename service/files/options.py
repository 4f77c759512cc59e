"""What the commands over files are asked alike, and which formats follow. Plain Python, so that help is quick."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from cmow.service.errors import UsageError

Format = Literal["jsonl", "csv", "parquet"]
OnBadRow = Literal["stop", "skip"]

STANDARD = "-"
FORMATS: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """Flags of a run over a file that are no settings of the service; ``None`` is found from the others."""

    input: str
    output: str
    input_format: Format | None
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
        kind = self.input_format or FORMATS.get(Path(self.input).suffix.lower())
        if kind is None and self.input != STANDARD:
            raise UsageError(f"{self.input}: expected a name that ends in {', '.join(FORMATS)} (see --input-format)")
        return kind or "jsonl"

    @property
    def write_as(self) -> Format:
        """The output's format: as asked, as its name ends, or as the input unless that cannot be written as a stream.

        Raises ``UsageError``.
        """
        if self.output == STANDARD:
            kind = self.output_format or ("csv" if self.read_as == "csv" else "jsonl")
            if kind == "parquet":
                raise UsageError("Parquet cannot be written as a stream: expected a file, got standard output")
            return kind
        kind = self.output_format or FORMATS.get(Path(self.output).suffix.lower()) or self.read_as
        if kind == "parquet":
            require_pyarrow()
        return kind


def require_pyarrow() -> None:
    """Raise ``UsageError`` where Parquet cannot be read or written."""
    if find_spec("pyarrow") is None:
        raise UsageError('Parquet needs pyarrow, which is not installed: pip install "cmow[parquet]"')
