"""The files of a data folder: which there are, and the bytes and lines in them.

A data folder holds labelled pairs below ``nli/``, ``similarity/`` and ``paraphrase/``, single sentences below
``single/``, in folders of any name, and running text in ``text/``. File names that start with ``train`` are for
training, with ``dev`` for evaluation; `training.data.rows` says what is in them. Plain text under ``text/`` holds a
sentence a line (``*.txt.gz``) or several tab-separated sentences a line (``*.tsv.gz``).
"""

from __future__ import annotations

import os
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from cmow.service.errors import BulkError
from cmow.service.files.lines import MAX_LINE_BYTES
from cmow.service.files.lines import read_lines as read_byte_lines
from cmow.service.files.options import COMPRESSIONS
from cmow.service.files.streams import inflated
from training.errors import TrainingError

NLI_LABELS = ("entailment", "neutral", "contradiction")
NOT_ENTAILMENT = "not_entailment"
PARAPHRASE_LABELS = ("not_paraphrase", "paraphrase")
LABELLED_FOLDERS = ("nli", "paraphrase", "similarity", "single")
FOLDERS = (*LABELLED_FOLDERS, "text")

TEXT_FORMATS = (".jsonl", ".ndjson", ".csv", ".tsv")
SUFFIXES = (*TEXT_FORMATS, *(kind + packed for kind in TEXT_FORMATS for packed in COMPRESSIONS), ".parquet")
FORMATS = f"{', '.join(TEXT_FORMATS)} (or these and {' or '.join(COMPRESSIONS)}) or .parquet"  # in messages


class DataError(TrainingError, ValueError):
    """A data file is missing, unreadable or not in the documented format."""


def warn(message: str) -> None:
    """Say in a line of standard error what was left out or looks wrong."""
    tqdm.write(f"warning: {message}", file=sys.stderr)


@contextmanager
def data_errors(path: Path) -> Iterator[None]:
    """What goes wrong here in reading ``path`` is a ``DataError``."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{path}: expected a file, found none") from error
    except BulkError as error:
        raise DataError(error.message) from error
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise DataError(f"{path}: expected UTF-8, found byte 0x{byte:02x} at {error.start} of a text") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: expected a sound file, found one that cannot be read: {error}") from error


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """The content of ``path``, decompressed where its name says so; raises ``OSError`` and ``BulkError``."""
    compression = COMPRESSIONS.get(path.suffix.lower())
    with path.open("rb") as source:
        yield inflated(source, compression, str(path)) if compression else source


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number from 1, line without its end) of a UTF-8 file, compressed or not; ``DataError`` if damaged."""
    with data_errors(path), open_bytes(path) as source:
        for number, content, size in read_byte_lines(source, MAX_LINE_BYTES):
            where = f"{path}:{number}"
            if content is None:
                raise DataError(f"{where}: expected a line of at most {MAX_LINE_BYTES} bytes, found {size}")
            try:
                yield number, content.decode().rstrip("\n")
            except UnicodeDecodeError as error:
                raise DataError(f"{where}: expected UTF-8, found byte 0x{content[error.start]:02x}") from error


def suffix_of(path: Path) -> str:
    """How the name of ``path`` says format and compression, as ``.csv.gz``; nothing where it is of none we read."""
    return next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), "")


NAMINGS: tuple[Callable[[Path], str], ...] = (
    lambda path: path.parent.name,
    lambda path: f"{path.parent.name}/{path.name.split('.')[0]}",
    lambda path: f"{path.parent.name}/{path.name}",
    str,
)


def by_name(paths: Iterable[Path]) -> dict[str, Path]:
    """``paths`` by the name of their folder, or by the shortest name that says of which of several files it is."""
    paths = list(paths)
    counts = [Counter(map(naming, paths)) for naming in NAMINGS]
    names = [[naming(path) for naming in NAMINGS] for path in paths]
    unique = (next(name for name, count in zip(known, counts, strict=True) if count[name] == 1) for known in names)
    return dict(zip(unique, paths, strict=True))


def files_below(folder: Path, prefix: str = "") -> list[Path]:
    """Sorted labelled files below ``folder`` whose name starts with ``prefix``, through links to folders as well.

    Each folder counts once.
    """
    found: list[Path] = []
    seen = {os.path.realpath(folder)}  # a link may lead back to a folder that it lies in
    for parent, folders, names in os.walk(folder, followlinks=True):
        paths = (Path(parent, name) for name in names if name.startswith(prefix))
        found += [path for path in paths if suffix_of(path)]
        fresh = []
        for name in sorted(folders):
            if (place := os.path.realpath(os.path.join(parent, name))) not in seen:
                seen.add(place)
                fresh.append(name)
        folders[:] = fresh
    return sorted(found)


def split_files(data: Path, split: str, kinds: tuple[str, ...]) -> list[Path]:
    """Sorted labelled files below ``data/<kind>/`` whose name starts with ``split`` (``train`` or ``dev``)."""
    if not data.is_dir():
        raise DataError(f"{data}: expected a data folder, found none")
    return sorted(path for kind in kinds for path in files_below(data / kind, split))


def plain_sentences(data: Path) -> Iterator[str]:
    """The unlabelled running text."""
    for path in sorted((data / "text").glob("*.txt.gz")):
        for _, line in read_lines(path):
            yield line
