"""Rows of Hugging Face ``datasets``, by name on the hub or as a local folder, besides our own data folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cmow.service.model.bundle import Source
from training.data.files import FOLDERS, DataError, plain_sentences


def is_data_folder(data: Path) -> bool:
    """Whether ``data`` is laid out as training/data/files.py describes; anything else is a name for ``datasets``."""
    return any((data / folder).is_dir() for folder in FOLDERS)


def load_split(name: Path, subset: str | None, split: str) -> Any:
    """The rows of one split; ``DataError`` says what was expected where ``datasets`` cannot load it."""
    try:
        import datasets  # slow to import, and of no use with a data folder
    except ImportError as error:
        raise DataError(f"{name}: no data folder, and the package 'datasets' is not installed") from error
    try:
        return datasets.load_dataset(str(name), subset, split=split)
    except (OSError, ValueError, RuntimeError) as error:
        expected = f"a folder with one of {', '.join(FOLDERS)}, or a dataset's name and split"
        raise DataError(f"{name} {subset or ''} {split}: expected {expected}: {error}") from error


def check_columns(rows: Any, columns: tuple[str, ...], where: str) -> None:
    """``DataError`` unless ``rows`` have all ``columns``."""
    if missing := set(columns) - set(rows.column_names):
        raise DataError(f"{where}: expected columns {sorted(missing)}, found {rows.column_names}")


def running_text(data: Path, subset: str) -> Iterator[str]:
    """Texts of a data folder's ``text/*.txt.gz``, or of the column ``text`` of a dataset's training split."""
    if is_data_folder(data):
        yield from plain_sentences(data)
        return
    rows = load_split(data, subset or None, "train")
    check_columns(rows, ("text",), f"{data} {subset}")
    yield from rows["text"]


def dataset_source(name: Path) -> Source:
    """How a recipe records the dataset ``name``."""
    return Source(name=str(name), licence="see the dataset's card", reference="Hugging Face datasets")
