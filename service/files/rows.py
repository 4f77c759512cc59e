"""One row of an input: its texts, checked."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from cmow.service.errors import InvalidTextError, SchemaError, UsageError
from cmow.service.files.blocks import Row, RowTexts
from cmow.service.text.texts import check_characters

MOST_DEPTH = 500  # of a row; half of what Python's recursion allows, of which the callers need some
SHOWN = 60  # characters of a wrong value that a message repeats
TAKEN = "expected no column {}, since a new one takes its name (see --prefix)"


@dataclass(frozen=True)
class RowCheck:
    """What every row must have: one or two texts under ``fields``, and no column that a new one will replace."""

    fields: tuple[str, ...]
    max_text_chars: int
    taken: Collection[str]
    flag: str = "--fields"  # that names them

    def header(self, where: str, names: Sequence[str]) -> None:
        """Check the columns of a whole file; raises ``UsageError``."""
        for field in self.fields:
            if field not in names:
                hint = self._hint(names)
                raise UsageError(f"{where}: expected a column {field} ({hint}), got {', '.join(names)[:200]}")
        for name in names:
            if names.count(name) > 1:
                raise UsageError(f"{where}: expected columns of different names, got {name[:SHOWN]} twice")
        if taken := [name for name in names if name in self.taken]:
            raise UsageError(f"{where}: {TAKEN.format(taken[0])}")

    def _hint(self, names: Sequence[str]) -> str:
        """What helps where ``names`` lack a field: those that are the same but for case, or other cells."""
        folded = {name.strip().casefold(): name for name in names}
        if all(field.casefold() in folded for field in self.fields):
            spelled = (json.dumps(folded[field.casefold()], ensure_ascii=False)[1:-1] for field in self.fields)
            return f"use {self.flag} {' '.join(spelled)}"
        one = len(names) == 1 and any(character in names[0] for character in ";\t|")
        return f"see {'--delimiter' if one else self.flag}"

    def texts(self, row: Row) -> RowTexts:
        """The texts of ``row``; raises ``InvalidInputError``."""
        if taken := [name for name in self.taken if name in row]:
            raise SchemaError(TAKEN.format(taken[0]))
        return (*[self.text(row, field) for field in self.fields],)  # of a list: of a generator, more stays allocated

    def text(self, row: Row, field: str) -> str:
        """The text of ``row`` under ``field``; raises ``InvalidInputError``."""
        if field not in row:
            raise SchemaError(f"{field}: expected a text, got no such column (see {self.flag})")
        value = row[field]
        if not isinstance(value, str):
            raise SchemaError(f"{field}: expected a text, got {json.dumps(value, default=repr)[:SHOWN]}")
        check_characters([(field, value)], self.max_text_chars)
        return value


def check_unicode(row: Row) -> None:
    """Raise ``InvalidTextError`` where some text in ``row``, however deep, is no Unicode and could not be written."""
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InvalidTextError(
            f"expected Unicode text, got a lone surrogate U+{ord(error.object[error.start]):04X}"
        ) from None


def check_depth(row: Row) -> None:
    """Raise ``SchemaError`` where ``row`` is nested more than ``MOST_DEPTH`` deep: what reads it might not write it."""
    level: list[Any] = [row]
    for _ in range(MOST_DEPTH):
        inner = chain.from_iterable(value.values() if isinstance(value, dict) else value for value in level)
        level = [value for value in inner if isinstance(value, dict | list)]
        if not level:
            return
    raise SchemaError(f"expected JSON nested at most {MOST_DEPTH} deep, got it deeper")
