"""How a folder came to be: commands and sources, kept in its ``recipe.json`` so that a model carries them along."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from msgspec import field

from cmow.service.model.bundle import Source
from cmow.service.model.record import Record, read_record, write_record

FILE = "recipe.json"


class Recipe(Record, frozen=True):
    """Commands, oldest first, and what they learned from."""

    commands: list[str] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)

    def then(self, command: str, sources: list[Source]) -> Recipe:
        """This recipe with one more stage; what it names already is not named twice."""
        return Recipe(
            commands=list(dict.fromkeys([*self.commands, command])),
            sources=list(dict.fromkeys([*self.sources, *sources])),
        )

    def after(self, other: Recipe) -> Recipe:
        """``other`` first, then this one."""
        return Recipe(
            commands=list(dict.fromkeys([*other.commands, *self.commands])),
            sources=list(dict.fromkeys([*other.sources, *self.sources])),
        )

    def write(self, folder: Path) -> None:
        """Record it in ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        write_record(folder / FILE, self)

    @staticmethod
    def read(folder: Path) -> Recipe:
        """The recipe in ``folder``, empty where none was recorded; raises ``BundleError`` where the file is none."""
        path = folder / FILE
        return read_record(path, Recipe) if path.exists() else Recipe()


def command_line(module: str, config: Any) -> str:
    """``python -m module`` with the options that are not at their default, but for threads, which change no result.

    Paths without a default are upper-case words.
    """
    words = ["python", "-m", module]
    for option in fields(config):
        value = getattr(config, option.name)
        if isinstance(value, Path):
            value = option.default if isinstance(option.default, Path) else option.name.upper()
        if value != option.default and option.name != "threads":
            words += ["--" + option.name.replace("_", "-"), str(value)]
    return " ".join(words)
