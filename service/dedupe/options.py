"""What the command line of ``cmow-dedupe`` asks for beyond its files. Plain Python, so that help is quick."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from os.path import realpath
from typing import Literal

from cmow.service.errors import UsageError
from cmow.service.files.options import STANDARD, FileOptions

Keep = Literal["first", "longest"]

THRESHOLD = 0.8  # above 0.5, where a paraphrase is fitted to begin: a row that is left out is lost
CANDIDATES = 10


@dataclass(frozen=True, kw_only=True)
class DedupeOptions(FileOptions):
    """The flags of ``cmow-dedupe`` that are no settings of the service; ``None`` is found from the others."""

    known: str | None
    field: str
    known_field: str | None
    duplicates: str | None
    threshold: float
    keep: Keep
    candidates: int

    def check(self) -> None:
        """Raise ``UsageError`` where the files do not fit one another, or as ``FileOptions`` says."""
        for name in (self.input, self.known, self.output, self.duplicates):
            if name == STANDARD:
                raise UsageError("expected files, of which the input is read twice, got - (a standard stream)")
        if self.known_field is not None and self.known is None:
            raise UsageError(f"--known-field {self.known_field}: expected a second file, got none")
        if self.duplicates is not None and realpath(self.duplicates) == realpath(self.output):
            raise UsageError(f"--duplicates {self.duplicates}: expected another file than --output")
        super().check()

    @property
    def flag(self) -> str:
        """The flag that names the column of the text."""
        return "--known-field" if self.input == self.known else "--field"

    def inputs(self) -> list[DedupeOptions]:
        """These options for each file that is read: the second one first, where there is one."""
        if self.known is None:
            return [self]
        return [replace(self, input=self.known, field=self.known_field or self.field), self]

    def outputs(self) -> list[DedupeOptions]:
        """These options for each file that is written: the rows kept, and where asked for those left out."""
        return [self] if self.duplicates is None else [self, replace(self, output=self.duplicates)]


def require_faiss() -> None:
    """Raise ``UsageError`` where nearest texts cannot be searched for."""
    if find_spec("faiss") is None:
        raise UsageError('near duplicates need faiss, which is not installed: pip install "cmow[dedupe]"')
