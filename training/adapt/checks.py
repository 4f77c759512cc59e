"""What is found in somebody's pairs before anything is fitted to them.

Letter: P pairs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmow.service.bulk.options import Task
from cmow.service.text.tokenizer import Tokenizer
from training.adapt.general import mark, marks_of_scored
from training.data.files import PARAPHRASE_LABELS, DataError
from training.data.labelled import LabelledPairs, TextPair, label_names

LEAST_ROWS = 10  # of a file, and of each of its classes two
SHOWN_LINES = 5


@dataclass(frozen=True)
class Findings:
    """Of a file: its ``rows``, their ``classes`` and how many each has, and lines of rows worth a look."""

    rows: int
    classes: dict[str, int]
    doubled: list[int]
    contradicting: list[int]
    cut: list[int]
    unread: list[int]
    scored: list[int]

    def text(self) -> str:
        """A table."""
        shares = ", ".join(f"{name} {count} ({count / self.rows:.0%})" for name, count in self.classes.items())
        lines = {
            "in it twice (taken once)": self.doubled,
            "labelled in two ways": self.contradicting,
            "cut to the longest text": self.cut,
            "without a known word": self.unread,
            "in what the shipped model is scored on": self.scored,
        }
        listed = ((name, _listed(found)) for name, found in lines.items())
        rows = [("rows", str(self.rows)), ("of them", shares), *listed]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"  {name.ljust(width)}  {value}" for name, value in rows)


def check(pairs: LabelledPairs, task: Task, path: Path, tokenizer: Tokenizer) -> tuple[Findings, LabelledPairs]:
    """What is found in the ``pairs`` of a file, and those to take of them; ``DataError`` where there is too little."""
    values = _values(pairs, task)
    _check_enough(values, task, path)
    first, doubled, contradicting = dict[bytes, int](), list[int](), list[int]()
    for row, pair in enumerate(pairs.texts):
        before = first.setdefault(_key(pair, task), row)
        if before != row:
            (doubled if values[before] == values[row] else contradicting).append(row)
    marks, (cut, unread) = marks_of_scored(), _hard_to_read(pairs.texts, tokenizer)
    scored = [row for row, pair in enumerate(pairs.texts) if mark(pair) in marks]
    lines = pairs.lines
    found = (doubled, contradicting, cut, unread, scored)
    taken = np.setdiff1d(np.arange(len(pairs)), doubled)
    return Findings(len(pairs), _classes(values, task), *(lines[rows].tolist() for rows in found)), pairs.take(taken)


def _values(pairs: LabelledPairs, task: Task) -> Sequence[str | float]:
    """The class of each row, or its score from 0 to 1."""
    if task == "entailment":
        return label_names(pairs.entailment)
    if task == "paraphrase":
        return [PARAPHRASE_LABELS[int(same)] for same in pairs.paraphrase]
    return [float(score) for score in pairs.similarity]


def _classes(values: Sequence[str | float], task: Task) -> dict[str, int]:
    """How many rows have each label, the most frequent first; of scores each fifth of their range, from the lowest."""
    if task in ("entailment", "paraphrase"):
        return {str(label): count for label, count in Counter(values).most_common()}
    fifths = Counter(min(4, int(5 * float(value))) for value in values)
    return {f"{fifth / 5:.1f} to {(fifth + 1) / 5:.1f}": fifths[fifth] for fifth in sorted(fifths)}


def _check_enough(values: Sequence[str | float], task: Task, path: Path) -> None:
    if len(values) < LEAST_ROWS:
        raise DataError(f"{path}: expected at least {LEAST_ROWS} labelled rows, found {len(values)}")
    counts = Counter(values)
    if len(counts) < 2:
        raise DataError(f"{path}: expected rows of at least two labels or scores, found {next(iter(counts))} in all")
    label, fewest = min(counts.items(), key=lambda item: item[1])
    if task in ("entailment", "paraphrase") and fewest < 2:
        raise DataError(f"{path}: expected at least two rows of each label, found one with {label}")


def _key(pair: TextPair, task: Task) -> bytes:
    """The same for pairs that should have the same label; the order of the sides counts in entailment."""
    ordered = task == "entailment" and pair[0] > pair[1]
    return mark(pair) + bytes(ordered)


def _hard_to_read(texts: Sequence[TextPair], tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """Rows with a text that is cut, and rows with a text of which no token is known."""
    packed = tokenizer.encode([text for pair in texts for text in pair])
    counts = packed.count(tokenizer.unknown_id)
    unread = np.zeros(len(packed), bool) if counts is None else counts == packed.lengths
    cut, unknown = (np.flatnonzero(flags.reshape(-1, 2).any(axis=1)).tolist() for flags in (packed.truncated, unread))
    return cut, unknown


def _listed(lines: list[int]) -> str:
    """How many, and where the first ones are."""
    if not lines:
        return "none"
    more = ", …" if len(lines) > SHOWN_LINES else ""
    return f"{len(lines)} (lines {', '.join(map(str, lines[:SHOWN_LINES]))}{more})"
