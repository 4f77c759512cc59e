"""Files that are there whole or not at all, whenever the process or the machine dies."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from training.errors import OutputError


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of ``path`` once it is on the disk; ``OutputError`` where it cannot."""
    new = path.with_name(f".{path.name}.new")
    try:
        with new.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise OutputError(f"{path}: expected to write this file: {error.strerror or error}") from error


def replace_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` in one piece; ``OutputError`` where it cannot."""
    with replacing(path) as file:
        file.write(content)


def write_json(path: Path, value: object) -> None:
    """Write ``value``, without NaN, to ``path``, whose folder is made; ``OutputError`` where it cannot."""
    make_folder(path.parent)
    replace_bytes(path, json.dumps(value, indent=2, allow_nan=False).encode() + b"\n")


def make_folder(folder: Path) -> None:
    """Make ``folder`` where it is not there; ``OutputError`` where it cannot be made or written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: expected a folder to write to: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{folder}: expected a folder to write to, found one that is read-only here")
