"""Texts as Python programs hold them: a string, a list, or a column of NumPy, pandas, Polars or Arrow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cmow.service.errors import SchemaError
from cmow.service.text.texts import Texts


def as_texts(value: Any, name: str) -> Texts:
    """A string as it is, anything else as a list of strings.

    Raises ``SchemaError`` at the first entry of the argument ``name`` that is no string, as a missing value is.
    """
    if isinstance(value, str):
        return value
    texts = _entries(value, name)
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            where = f"{name}[{row}]"
            raise SchemaError(f"{where}: expected a string, got {type(text).__name__}", where)
    return texts


def _entries(value: Any, name: str) -> list[Any]:
    """The entries of a column; the libraries themselves are not needed to read theirs."""
    for method in ("to_pylist", "tolist", "to_list"):  # Arrow; NumPy and pandas; Polars
        if callable(convert := getattr(value, method, None)):
            value = convert()
            break
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | dict):
        return list(value)
    raise SchemaError(f"{name}: expected a string or a list of strings, got {type(value).__name__}", name)
