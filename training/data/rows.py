"""The rows of a labelled file: two texts, or one, and the label or score beside them.

CSV and TSV with a header, JSON lines and Parquet, by the readers of ``cmow-score``; the text formats also compressed
(``.gz``, ``.zst``). Columns are found by their usual names, whatever their case, spaces and hyphens, or are named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from cmow.service.errors import RequestError
from cmow.service.files.blocks import Row, RowTexts
from cmow.service.files.lines import MAX_LINE_BYTES
from cmow.service.files.readers import CsvReader, JsonlReader, Reader, ReadOptions, Table
from cmow.service.files.rows import SHOWN, RowCheck
from cmow.service.options.defaults import MAX_TEXT_CHARS
from training.data.files import FORMATS, DataError, data_errors, open_bytes, suffix_of, warn

PAIRS = (
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("text1", "text2"),
    ("texta", "textb"),
    ("sentencea", "sentenceb"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("query", "document"),
    ("query", "passage"),
    ("first", "second"),
)
ALONE = (("sentence1",), ("sentence",), ("text",))
LABELS = (
    *("goldlabel", "label", "entailmentlabel", "entailmentjudgment", "isduplicate", "isparaphrase"),
    *("duplicate", "paraphrase", "entailment", "gold", "target"),
)
SCORES = (
    *("score", "similarityscore", "similarity", "relatednessscore", "relatedness", "goldscore", "rating"),
    *("label", "gold", "target"),
)


class Columns(NamedTuple):
    """The columns of two texts, and of their label or score."""

    first: str
    second: str
    label: str


@dataclass(frozen=True)
class LabelledRows:
    """P pairs of ``texts``, the label or score beside each as the file spells it, and its line (in Parquet its row)."""

    texts: list[tuple[str, str]]
    values: list[str | float]
    lines: list[int]

    def take(self, rows: Sequence[int]) -> LabelledRows:
        """The pairs ``rows``, in that order."""
        texts, values, lines = self.texts, self.values, self.lines
        return LabelledRows([texts[row] for row in rows], [values[row] for row in rows], [lines[row] for row in rows])


class EveryRow(RowCheck):
    """Takes rows with any columns: which of these hold texts is seen once there is a row."""

    def texts(self, row: Row) -> RowTexts:
        """None yet."""
        return ()


CHECK = EveryRow(fields=(), max_text_chars=MAX_TEXT_CHARS, taken=())
DELIMITERS = {"csv": ",", "tsv": "\t"}
READING = ReadOptions(CHECK, block_rows=1024, max_line_bytes=MAX_LINE_BYTES)


def read_records(path: Path) -> Iterator[tuple[int, Row]]:
    """(line, columns) of every row of ``path``; ``DataError`` names the first that cannot be read."""
    with data_errors(path), _reader(path) as reader:
        for block in reader.blocks(0):
            for bad in block.bad[:1]:
                raise DataError(f"{path}:{bad.line}: {bad.message}")
            yield from zip(block.lines, block.rows.dicts(), strict=True)


def read_rows(path: Path, columns: Columns | None = None, values: Sequence[str] = (*LABELS, *SCORES)) -> LabelledRows:
    """The pairs of ``path``. Unless ``columns`` name them, that of the label is the first of ``values`` in the file.

    Rows with an empty text are left out, with a warning. Raises ``DataError`` where a row, or all of them, cannot be
    taken.
    """
    found, empty = LabelledRows([], [], []), list[int]()
    for line, row in read_records(path):
        where = f"{path}:{line}"
        columns = columns or _find_columns(row, values, where)
        pair = _text(row, columns.first, where), _text(row, columns.second, where)
        if not all(map(str.strip, pair)):
            empty.append(line)
            continue
        found.texts.append(pair)
        found.values.append(_value(row, columns.label, where))
        found.lines.append(line)
    say_left_out(path, empty, "an empty text", len(found.lines))
    return found


def read_texts(path: Path) -> Iterator[tuple[str, ...]]:
    """The one or two texts of every row of ``path``, labelled or not."""
    names: tuple[str, ...] = ()
    for line, row in read_records(path):
        where = f"{path}:{line}"
        names = names or _first_there(row, PAIRS) or _first_there(row, ALONE)
        if not names:
            raise DataError(f"{where}: expected a column of texts, as sentence1, found {_listed(row)}")
        yield tuple(_text(row, name, where) for name in names)


def read_sentences(path: Path, labels: Sequence[str]) -> list[tuple[str, str]]:
    """(sentence, label) of every row of ``path``, below ``single/``; a label outside ``labels`` is a ``DataError``."""
    rows = []
    for line, row in read_records(path):
        where = f"{path}:{line}"
        names, label = _first_there(row, ALONE), _value(row, "label", where)
        if not names:
            raise DataError(f"{where}: expected a column sentence1, sentence or text, found {_listed(row)}")
        if label not in labels:
            raise DataError(f"{where}: expected a label of {', '.join(labels)}, found {label!r}")
        rows.append((_text(row, names[0], where), str(label)))
    say_left_out(path, [], "", len(rows))
    return rows


def say_left_out(path: Path, lines: Sequence[int], with_what: str, kept: int) -> None:
    """Warn of the rows at ``lines`` that were left out; ``DataError`` where none was ``kept``."""
    left_out = f"{len(lines)} with {with_what}, the first in line {lines[0]}" if lines else "none"
    if not kept:
        raise DataError(f"{path}: expected at least one row to use, found {left_out}")
    if lines:
        warn(f"{path}: rows left out: {left_out}")


@contextmanager
def _reader(path: Path) -> Iterator[Reader]:
    kind = suffix_of(path).split(".")[1:2]
    if not kind:
        raise DataError(f"{path}: expected a name that ends in {FORMATS}")
    if kind == ["parquet"]:
        from cmow.service.files.parquet import ParquetReader  # pyarrow is slow to import

        yield ParquetReader(path, READING)
        return
    with open_bytes(path) as source:
        if delimiter := DELIMITERS.get(kind[0]):
            yield CsvReader(source, str(path), None, READING, Table(None, delimiter, header=True))
        else:
            yield JsonlReader(source, None, READING)


def _find_columns(row: Row, values: Sequence[str], where: str) -> Columns:
    pair, value = _first_there(row, PAIRS), _first_there(row, [(name,) for name in values])
    if pair and value:
        return Columns(*pair, *value)
    expected = "expected columns of two texts and a label or score, as sentence1, sentence2 and label"
    raise DataError(f"{where}: {expected}, found {_listed(row)} (see --fields A B LABEL)")


def _first_there(row: Row, choices: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """The first of ``choices`` whose names are all columns of ``row``, as the file spells them; nothing without one."""
    spelled = {re.sub(r"[\W_]", "", name).casefold(): name for name in row}
    for names in choices:
        if all(name in spelled for name in names):
            return tuple(spelled[name] for name in names)
    return ()


def _text(row: Row, column: str, where: str) -> str:
    _check_there(row, column, where)
    try:
        return CHECK.text(row, column)
    except RequestError as error:
        raise DataError(f"{where}: {error.message}") from None


def _value(row: Row, column: str, where: str) -> str | float:
    """The label or number of ``row`` under ``column``; true and false are texts."""
    _check_there(row, column, where)
    value: Any = row[column]
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value.strip():
        return value.strip()
    if isinstance(value, int | float | Decimal) and -(2**53) < value < 2**53:
        return float(value)
    raise DataError(f"{where}: {column}: expected a label or a finite number, found {str(value)[:SHOWN]!r}")


def _check_there(row: Row, column: str, where: str) -> None:
    if column not in row:
        raise DataError(f"{where}: expected a column {column} (see --fields A B LABEL), found {_listed(row)}")


def _listed(row: Row) -> str:
    return ", ".join(row)[:200] or "none"
