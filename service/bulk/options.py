"""What the command line of ``cmow-score`` asks for, and which formats follow. Plain Python, so that help is quick."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from cmow.service.errors import UsageError

Task = Literal["similarity", "paraphrase", "relatedness", "entailment"]
Format = Literal["jsonl", "csv", "parquet"]

STANDARD = "-"
FORMATS: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
FIELDS: dict[Task, tuple[str, str]] = {
    "similarity": ("sentence1", "sentence2"),
    "paraphrase": ("sentence1", "sentence2"),
    "relatedness": ("sentence1", "sentence2"),
    "entailment": ("premise", "hypothesis"),
}


@dataclass(frozen=True)
class BulkOptions:
    """The flags of ``cmow-score`` that are no settings of the service; ``None`` is found from the others."""

    input: str
    task: Task
    output: str
    fields: tuple[str, str] | None
    input_format: Format | None
    output_format: Format | None
    prefix: str
    threshold: float | None
    on_bad_row: Literal["stop", "skip"]
    block_rows: int
    engine: Literal["local", "ray"]
    workers: int
    max_line_bytes: int
    restart: bool
    overwrite: bool
    progress: bool

    @property
    def input_name(self) -> str:
        """The input in messages."""
        return "standard input" if self.input == STANDARD else self.input

    @property
    def text_fields(self) -> tuple[str, str]:
        """The columns of the texts."""
        return self.fields or FIELDS[self.task]

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
