"""Command-line options from the fields of a configuration dataclass, and what range a number has.

Without an annotation a whole number is at least 1, or 0 where that is its default; any other number is at least 0.
"""

from __future__ import annotations

from argparse import Action
from collections.abc import Mapping
from dataclasses import fields
from math import inf, isfinite
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar, cast, get_type_hints

from transformers import HfArgumentParser

T = TypeVar("T")


class Range(NamedTuple):
    """What an annotated number may be, both ends included."""

    least: float
    most: float = inf

    def __str__(self) -> str:
        return f"of at least {self.least}" if self.most == inf else f"from {self.least} to {self.most}"


Natural = Annotated[int, Range(0)]
Count = Annotated[int | None, Range(0)]
AtLeastTwo = Annotated[int, Range(2)]
Share = Annotated[float, Range(0, 1)]
Temperature = Annotated[float, Range(0.01)]


class Parser(HfArgumentParser):
    """Options from a dataclass, whose lists may say how many values they take: ``count`` in a field's metadata."""

    def add_argument(self, *names: Any, count: int | None = None, **known: Any) -> Action:
        """As of ``argparse``."""
        return super().add_argument(*names, **(known | ({"nargs": count} if count else {})))


def parse_options(kind: type[T], arguments: list[str] | None = None, defaults: Mapping[str, object] | None = None) -> T:
    """An instance of the dataclass ``kind`` from ``arguments`` (by default the process's own); exits on a wrong one.

    ``defaults`` take the place of the dataclass's own.
    """
    parser = Parser(cast(Any, kind))
    parser.set_defaults(**(defaults or {}))
    options, rest = parser.parse_args_into_dataclasses(arguments, return_remaining_strings=True)
    return _checked(parser, cast(T, options), rest)


def parse_options_and_files(kind: type[T], what: str, arguments: list[str] | None = None) -> tuple[T, list[Path]]:
    """The same, and the files that are named beside the options; help says ``what`` they are."""
    parser = Parser(cast(Any, kind))
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help=what)
    options, named, rest = parser.parse_args_into_dataclasses(arguments, return_remaining_strings=True)
    between = [text for text in rest if not text.startswith("-")]  # argparse takes those of one place alone
    unknown = [text for text in rest if text.startswith("-")]
    return _checked(parser, cast(T, options), unknown), [*named.files, *map(Path, between)]


def _checked(parser: Parser, options: T, unknown: list[str]) -> T:
    """``options``, whose numbers are in their ranges, and nothing ``unknown``; exits otherwise."""
    if unknown:
        parser.error(f"expected only the options that --help lists, got {' '.join(unknown)}")
    for name, allowed in ranges(type(options)).items():
        value = getattr(options, name)
        if value is not None and not (isfinite(value) and allowed.least <= value <= allowed.most):
            parser.error(f"argument --{name.replace('_', '-')}: expected a number {allowed}, got {value}")
    return options


def ranges(kind: type) -> dict[str, Range]:
    """What each number among the fields of the dataclass ``kind`` may be; one that may be left out is annotated."""
    hints = get_type_hints(kind, include_extras=True)
    found = {}
    for known in fields(kind):
        annotated = next(iter(getattr(hints[known.name], "__metadata__", ())), None)
        if isinstance(known.default, int | float) and not isinstance(known.default, bool):
            usual = Range(min(1, known.default) if isinstance(known.default, int) else 0)
            found[known.name] = annotated or usual
        elif annotated:
            found[known.name] = annotated
    return found
