"""Reading of the training and evaluation files.

One format, gzip-compressed JSON lines, in a folder laid out as ``nli/``, ``similarity/``, ``paraphrase/``, ``single/``
and ``text/``: ``{"sentence1": str, "sentence2": str, "label": str}`` or ``{"sentence1", "sentence2", "score": float}``;
rows below ``single/`` have no ``sentence2``. Plain text under ``text/`` holds a sentence a line (``*.txt.gz``) or
several tab-separated sentences a line (``*.tsv.gz``). File names that start with ``train`` are for training, with
``dev`` for evaluation.
"""

from __future__ import annotations

import fnmatch
import gzip
import json
import math
import os
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from training.errors import TrainingError

T = TypeVar("T")

NLI_LABELS = ("entailment", "neutral", "contradiction")
NOT_ENTAILMENT = "not_entailment"
PARAPHRASE_LABELS = ("not_paraphrase", "paraphrase")
FOLDERS = ("nli", "similarity", "paraphrase", "single", "text")


class DataError(TrainingError, ValueError):
    """A data file is missing, unreadable or not in the documented format."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One row: two texts with a class label or a similarity score (the other one is ``None``)."""

    sentence1: str
    sentence2: str
    label: str | None = None
    score: float | None = None


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end) of a gzip-compressed UTF-8 file; ``DataError`` if damaged."""
    number = 0
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
            for number, line in enumerate(file, start=1):
                yield number, line.rstrip("\n")
    except FileNotFoundError as error:
        raise DataError(f"{path}: expected a gzip-compressed file, found none") from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not readable as gzip-compressed UTF-8 after line {number}: {error}") from error


def read_records(path: Path) -> Iterator[dict[str, object]]:
    """Yield the JSON objects of ``path``; ``DataError`` names the file and line of anything else."""
    for number, line in read_lines(path):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}:{number}: expected a JSON object, found {line[:80]!r}") from error
        if not isinstance(record, dict):
            raise DataError(f"{path}:{number}: expected a JSON object, found {type(record).__name__}")
        yield record


def _field(record: dict[str, object], name: str, kind: type[T], where: str) -> T:
    value = record.get(name)
    if kind is float and type(value) is int and abs(value) < 2**53:
        value = float(value)
    if not isinstance(value, kind):
        raise DataError(f"{where}: expected {name!r} to be a {kind.__name__}, found {value!r:.80}")
    if isinstance(value, float) and not math.isfinite(value):
        raise DataError(f"{where}: expected {name!r} to be finite, found {value}")
    if isinstance(value, str) and not _is_unicode(value):
        raise DataError(f"{where}: expected {name!r} to be Unicode, found half a character in {value[:80]!r}")
    return value


def _is_unicode(text: str) -> bool:
    """Whether ``text`` has no lone surrogate, as JSON can escape one."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_pairs(path: Path, labels: tuple[str, ...] | None = None) -> list[Pair]:
    """All sentence pairs of ``path``: with ``labels`` given the label of each, otherwise its score where it has one.

    Raises ``DataError`` where a row has neither, or a label outside ``labels``.
    """
    pairs = []
    for number, record in enumerate(read_records(path), start=1):
        where = f"{path}:{number}"
        texts = _field(record, "sentence1", str, where), _field(record, "sentence2", str, where)
        if "score" in record and not labels:
            pairs.append(Pair(*texts, score=_field(record, "score", float, where)))
            continue
        label = _field(record, "label", str, where)
        if labels and label not in labels:
            raise DataError(f"{where}: expected a label of {labels}, found {label!r}")
        pairs.append(Pair(*texts, label=label))
    if not pairs:
        raise DataError(f"{path}: expected at least one row, found none")
    return pairs


def read_sentences(path: Path, labels: tuple[str, ...]) -> list[tuple[str, str]]:
    """(sentence, label) of every row of ``path``, below ``single/``; a label outside ``labels`` is a ``DataError``."""
    rows = []
    for number, record in enumerate(read_records(path), start=1):
        where = f"{path}:{number}"
        label = _field(record, "label", str, where)
        if label not in labels:
            raise DataError(f"{where}: expected a label of {labels}, found {label!r}")
        rows.append((_field(record, "sentence1", str, where), label))
    if not rows:
        raise DataError(f"{path}: expected at least one row, found none")
    return rows


def by_name(paths: Iterable[Path]) -> dict[str, Path]:
    """``paths`` of splits by the name of their folder, and of the file where a folder has several."""
    paths = list(paths)
    folders = Counter(path.parent for path in paths)
    return {
        path.parent.name if folders[path.parent] == 1 else f"{path.parent.name}/{path.name.split('.')[0]}": path
        for path in paths
    }


def files_below(folder: Path, pattern: str) -> list[Path]:
    """Sorted files below ``folder`` whose name fits ``pattern``, through links to folders as well, each folder once."""
    found: list[Path] = []
    seen = {os.path.realpath(folder)}  # a link may lead back to a folder that it lies in
    for parent, folders, names in os.walk(folder, followlinks=True):
        found += [Path(parent, name) for name in fnmatch.filter(names, pattern)]
        fresh = []
        for name in sorted(folders):
            if (place := os.path.realpath(os.path.join(parent, name))) not in seen:
                seen.add(place)
                fresh.append(name)
        folders[:] = fresh
    return sorted(found)


def split_files(data: Path, split: str, kinds: tuple[str, ...]) -> list[Path]:
    """Sorted ``*.jsonl.gz`` files below ``data/<kind>/`` whose name starts with ``split`` (``train`` or ``dev``)."""
    if not data.is_dir():
        raise DataError(f"{data}: expected a data folder, found none")
    return sorted(path for kind in kinds for path in files_below(data / kind, f"{split}*.jsonl.gz"))


def task_sentences(data: Path) -> Iterator[str]:
    """Every sentence of the training splits and every caption: the text nearest to what pairs are made of."""
    for path in split_files(data, "train", ("nli", "paraphrase", "similarity", "single")):
        for record in read_records(path):
            for name in ("sentence1", "sentence2"):
                if isinstance(text := record.get(name), str):
                    yield text
    for path in sorted((data / "text").glob("*.tsv.gz")):
        for _, line in read_lines(path):
            yield from line.split("\t")


def plain_sentences(data: Path) -> Iterator[str]:
    """The unlabelled running text."""
    for path in sorted((data / "text").glob("*.txt.gz")):
        for _, line in read_lines(path):
            yield line
