"""Lines of a binary stream, however long they are, in constant memory."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

CHUNK = 1 << 16
MAX_LINE_BYTES = 4 * 2**20  # of a line or a CSV cell, unless something else is asked for


class Line(NamedTuple):
    """A line with its end; ``content`` is ``None`` where it has more bytes than the limit. Numbers start at 1."""

    number: int
    content: bytes | None
    size: int


def read_lines(source: BinaryIO, max_bytes: int) -> Iterator[Line]:
    """Every line of ``source``. A byte order mark, which spreadsheets write, is left out."""
    number = 0
    while content := source.readline(max_bytes + 1):
        number += 1
        size = len(content)
        if size > max_bytes and not content.endswith(b"\n"):
            yield Line(number, None, size + _drain(source))
            continue
        yield Line(number, content.removeprefix(codecs.BOM_UTF8) if number == 1 else content, size)


def _drain(source: BinaryIO) -> int:
    """Read to the end of the line; gives the bytes that this took."""
    size = 0
    while chunk := source.readline(CHUNK):
        size += len(chunk)
        if chunk.endswith(b"\n"):
            break
    return size
