"""Command-line flags from the fields of ``Settings``, which checks the values: flags and environment obey one rule."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from cmow.service.options.settings import ENV_PREFIX, Settings

SECRET = {"api_keys"}  # settings whose value no message shows


def add_setting_flags(parser: argparse._ActionsContainer, names: Iterable[str]) -> None:
    """A flag for each of the settings ``names``; what is not given stays out of the parsed options."""
    for name in names:
        field = Settings.model_fields[name]
        help_text = f"{field.description} [{_env_name(name, field)}; default: {field.default}]"
        flag, extra = f"--{name.replace('_', '-')}", _flag_options(field)
        parser.add_argument(flag, dest=name, default=argparse.SUPPRESS, help=help_text, **extra)


def explain(error: ValidationError) -> str:
    """Each wrong setting in a line, without the values of secret ones."""
    lines = []
    for entry in error.errors(include_url=False):
        name = ".".join(map(str, entry["loc"])).removeprefix(ENV_PREFIX).lower()
        lines.append(f"{name}: {entry['msg']}" + ("" if name.split(".")[0] in SECRET else f", got {entry['input']!r}"))
    return "; ".join(lines)


def _flag_options(field: FieldInfo) -> dict[str, Any]:
    return {"action": argparse.BooleanOptionalAction} if field.annotation is bool else {"metavar": "VALUE"}


def _env_name(name: str, field: FieldInfo) -> str:
    alias = field.validation_alias
    choices = getattr(alias, "choices", [ENV_PREFIX + name.upper()])
    return ", ".join(map(str, choices))
