"""Command-line options from the fields of a configuration dataclass."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from transformers import HfArgumentParser

T = TypeVar("T")


def parse_options(kind: type[T], arguments: list[str] | None = None) -> T:
    """An instance of the dataclass ``kind`` from ``arguments`` (by default the process's own); exits on a wrong one."""
    return cast(T, HfArgumentParser(cast(Any, kind)).parse_args_into_dataclasses(arguments)[0])
