"""How somebody's own labelled files are to be read: options of the commands that take them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cmow.service.bulk.options import Task
from training.data.files import DataError
from training.data.labelled import GOLD_FOLDERS, LabelledPairs, as_labelled, read_labelled
from training.data.labels import Gold, guess_task
from training.data.rows import Columns, read_rows


@dataclass(frozen=True, kw_only=True)
class Spelling:
    """What a file does not say itself, or not by a usual name."""

    fields: list[str] = field(
        default_factory=list,
        metadata={"help": "columns of both texts and of the label or score", "count": 3, "metavar": "COLUMN"},
    )
    labels: list[str] = field(
        default_factory=list,
        metadata={
            "help": "labels as the files spell them, and what they mean, as yes=paraphrase",
            "metavar": "YOURS=OURS",
        },
    )
    scale: list[float] = field(
        default_factory=list, metadata={"help": "lowest and highest score", "count": 2, "metavar": "SCORE"}
    )

    @property
    def columns(self) -> Columns | None:
        """The columns that are named."""
        return Columns(*self.fields) if self.fields else None

    @property
    def spellings(self) -> dict[str, str]:
        """Our labels by those of the files."""
        return dict(map(_mapped, self.labels))

    @property
    def range(self) -> tuple[float, float] | None:
        """Lowest and highest score."""
        return (self.scale[0], self.scale[1]) if self.scale else None

    def read_for(self, task: Task, path: Path) -> LabelledPairs:
        """The pairs of ``path``, labelled for ``task``; raises ``DataError``."""
        return read_labelled(path, task, self.columns, self.spellings, self.range)


@dataclass(frozen=True, kw_only=True)
class Reading(Spelling):
    """The same, of files for any task."""

    task: Gold | None = field(
        default=None, metadata={"help": "what the labels or scores are for; unless given as their names or folder say"}
    )

    def read(self, path: Path) -> tuple[Gold, LabelledPairs]:
        """The pairs of ``path``, and what for; raises ``DataError``."""
        if task := self.task or _folder_task(path):
            return task, self.read_for(task, path)
        rows = read_rows(path, self.columns)
        task = guess_task(rows, path, self.spellings)
        return task, as_labelled(rows, path, task, self.spellings, self.range)


def _mapped(text: str) -> tuple[str, str]:
    theirs, equals, ours = text.rpartition("=")
    if not equals or not theirs:
        raise DataError(f"--labels: expected YOURS=OURS, as yes=paraphrase, found {text!r}")
    return theirs, ours


def _folder_task(path: Path) -> Gold | None:
    """What the folder of a data folder that ``path`` lies in is for."""
    return next((task for task, folder in GOLD_FOLDERS.items() if folder in path.absolute().parts[-3:-1]), None)
