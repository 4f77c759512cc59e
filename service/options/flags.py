"""Command-line flags from settings, whose values ``Settings`` checks: flags and environment obey one rule."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from cmow.service.options.defaults import Option


def add_flags(parser: argparse._ActionsContainer, options: Iterable[Option]) -> None:
    """A flag for each of ``options``; what is not given stays out of the parsed arguments."""
    for option in options:
        flag, variables = f"--{option.name.replace('_', '-')}", ", ".join(option.environment)
        text = f"{option.help} [{variables}; default: {option.default}]"
        parser.add_argument(flag, dest=option.name, default=argparse.SUPPRESS, help=text, **_kind(option))


def _kind(option: Option) -> dict[str, Any]:
    return {"action": argparse.BooleanOptionalAction} if isinstance(option.default, bool) else {"metavar": "VALUE"}
