"""Command-line options from the fields of a configuration dataclass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from transformers import HfArgumentParser

T = TypeVar("T")


def parse_options(kind: type[T], arguments: list[str] | None = None, defaults: Mapping[str, object] | None = None) -> T:
    """An instance of the dataclass ``kind`` from ``arguments`` (by default the process's own); exits on a wrong one.

    ``defaults`` take the place of the dataclass's own.
    """
    parser = HfArgumentParser(cast(Any, kind))
    parser.set_defaults(**(defaults or {}))
    return cast(T, parser.parse_args_into_dataclasses(arguments)[0])
