"""What the command line of ``cmow-score`` asks for beyond its files. Plain Python, so that help is quick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cmow.service.files.options import FileOptions

Task = Literal["similarity", "paraphrase", "relatedness", "entailment"]

FIELDS: dict[Task, tuple[str, str]] = {
    "similarity": ("sentence1", "sentence2"),
    "paraphrase": ("sentence1", "sentence2"),
    "relatedness": ("sentence1", "sentence2"),
    "entailment": ("premise", "hypothesis"),
}


@dataclass(frozen=True, kw_only=True)
class BulkOptions(FileOptions):
    """The flags of ``cmow-score`` that are no settings of the service; ``None`` is found from the others."""

    task: Task
    fields: list[str] | None
    threshold: float | None
    engine: Literal["local", "ray"]
    workers: int

    @property
    def text_fields(self) -> tuple[str, str]:
        """The columns of the texts."""
        first, second = self.fields or FIELDS[self.task]
        return first, second
