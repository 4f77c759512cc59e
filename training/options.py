"""Command-line options from the fields of a configuration dataclass, and what their values may be.

Without an annotation a whole number is at least 1, or 0 where that is its default; any other number is at least 0.
"""

from __future__ import annotations

import os
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser, ArgumentTypeError
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from math import inf, isfinite
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

SHORTEST_DOCUMENT = 100  # tokens; a text of fewer is a sentence or two
SWITCH = {"true": True, "false": False}


class Range(NamedTuple):
    """What an annotated number may be, both ends included."""

    least: float
    most: float = inf

    def __str__(self) -> str:
        return f"of at least {self.least}" if self.most == inf else f"from {self.least} to {self.most}"


class Output(NamedTuple):
    """What a command writes to the annotated path."""

    kind: Literal["file", "folder"]


Natural = Annotated[int, Range(0)]
Count = Annotated[int | None, Range(0)]
AtLeastTwo = Annotated[int, Range(2)]
Share = Annotated[float, Range(0, 1)]
Temperature = Annotated[float, Range(0.01)]
DocumentTokens = Annotated[int, Range(SHORTEST_DOCUMENT)]
OutputFolder = Annotated[Path, Output("folder")]
OutputFile = Annotated[Path, Output("file")]
Device = Literal["auto", "cpu", "cuda"]
DEVICE = {"help": "where to compute; auto takes a GPU where PyTorch finds one"}


@dataclass(frozen=True, kw_only=True)
class Threaded:
    """What every command takes."""

    threads: Natural = field(default=0, metadata={"help": "threads of every library; 0 leaves each its own choice"})


def parse_options(kind: type[T], arguments: list[str] | None = None, defaults: Mapping[str, object] | None = None) -> T:
    """An instance of the dataclass ``kind`` from ``arguments`` (by default the process's own); exits on a wrong one.

    ``defaults`` take the place of the dataclass's own. Dashes in the name of an option may be underscores.
    """
    parser = _parser(kind)
    parser.set_defaults(**(defaults or {}))
    # Files may stand anywhere between options.
    return _checked(parser, kind(**vars(parser.parse_intermixed_args(arguments))))


def _parser(kind: type) -> ArgumentParser:
    parser = ArgumentParser(formatter_class=ArgumentDefaultsHelpFormatter, allow_abbrev=False)
    hints = get_type_hints(kind)
    for known in fields(kind):
        _add_option(parser, known, hints[known.name])
    return parser


def _checked(parser: ArgumentParser, options: T) -> T:
    """``options``, whose values are what they may be; exits otherwise."""
    kind = type(options)
    for name, allowed in ranges(kind).items():
        value = getattr(options, name)
        if value is not None and not (isfinite(value) and allowed.least <= value <= allowed.most):
            parser.error(f"argument {_flag(name)}: expected a number {allowed}, got {value}")
    for name, output in _annotated(kind, Output).items():
        if (path := getattr(options, name)) is not None and (wrong := _unwritable(path, output)):
            parser.error(f"argument {_flag(name)}: expected a {output.kind} that can be written, got {path}: {wrong}")
    return options


def ranges(kind: type) -> dict[str, Range]:
    """What each number among the fields of the dataclass ``kind`` may be; one that may be left out is annotated."""
    found = {}
    for known in fields(kind):
        if isinstance(known.default, int | float) and not isinstance(known.default, bool):
            found[known.name] = Range(min(1, known.default) if isinstance(known.default, int) else 0)
    return found | _annotated(kind, Range)


def _annotated(kind: type, mark: type[T]) -> dict[str, T]:
    """The ``mark`` of each field of ``kind`` that is annotated with one."""
    hints = get_type_hints(kind, include_extras=True).items()
    parts = ((name, part) for name, hint in hints for part in (hint, *get_args(hint)))  # also of one that may be None
    marks = ((name, one) for name, part in parts for one in getattr(part, "__metadata__", ()))
    return {name: one for name, one in marks if isinstance(one, mark)}


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _add_option(parser: ArgumentParser, known: Field[Any], hint: Any) -> None:
    """A flag for the field ``known`` of type ``hint``; that of a switch that is on has another one to turn it off."""
    if known.metadata.get("positional"):
        parser.add_argument(known.name, help=known.metadata.get("help"), **(_values(hint) | _optional(known)))
        return
    flags = dict.fromkeys([_flag(known.name), f"--{known.name}"])
    given: dict[str, Any] = {"help": known.metadata.get("help"), "dest": known.name}
    if known.default_factory is not MISSING:
        given["default"] = known.default_factory()
    else:
        given |= {"required": True} if known.default is MISSING else {"default": known.default}
    parser.add_argument(*flags, **given, **(_values(hint) | _shape(known)))
    if known.default is True:
        off = dict.fromkeys([f"--no-{known.name.replace('_', '-')}", f"--no_{known.name}"])
        parser.add_argument(*off, dest=known.name, action="store_false", help=f"turn {_flag(known.name)} off")


def _optional(known: Field[Any]) -> dict[str, Any]:
    """What ``add_argument`` needs for a positional value, or any number of them, that may be left out."""
    if known.default_factory is not MISSING:
        return {"nargs": "*", "default": known.default_factory()}
    return {} if known.default is MISSING else {"nargs": "?", "default": known.default}


def _values(hint: Any) -> dict[str, Any]:
    """What ``add_argument`` needs for values of type ``hint``."""
    if get_origin(hint) in (Union, UnionType):
        (hint,) = (one for one in get_args(hint) if one is not type(None))
    if get_origin(hint) is Literal:
        return {"choices": get_args(hint)}
    if get_origin(hint) is list:
        return {"type": get_args(hint)[0], "nargs": "+"}
    return {"type": _switch, "nargs": "?", "const": True} if hint is bool else {"type": hint}


def _shape(known: Field[Any]) -> dict[str, Any]:
    """How many values the field ``known`` takes and what help calls them, where its metadata say so."""
    names = {"count": "nargs", "metavar": "metavar"}
    return {names[name]: value for name, value in known.metadata.items() if name in names}


def _switch(text: str) -> bool:
    if text.lower() not in SWITCH:
        raise ArgumentTypeError(f"expected true or false, got {text!r}")
    return SWITCH[text.lower()]


def _unwritable(path: Path, output: Output) -> str | None:
    """Why ``path`` cannot be written; what is not there yet can be where the nearest folder above it can."""
    if output.kind == "file" and path.is_dir():
        return "it is a folder"
    if output.kind == "file" and path.exists():
        return None if os.access(path, os.W_OK) else "it is read-only"
    above = next((folder for folder in (path, *path.absolute().parents) if folder.exists()), path)
    if not above.is_dir():
        return f"{above} is no folder"
    return None if os.access(above, os.W_OK | os.X_OK) else f"{above} is read-only"
