"""What stands between a file and its lines: compression, and an encoding other than UTF-8."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Callable
from types import ModuleType
from typing import Any, BinaryIO, Literal, Protocol

from cmow.service.errors import BulkError, UsageError

Compression = Literal["gzip", "zstd"]

CHUNK = 1 << 16


class Readable(Protocol):
    """What gives bytes until there are none."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes."""
        ...


def inflated(stream: BinaryIO, compression: Compression, name: str) -> BinaryIO:
    """What ``stream``, the file ``name``, holds compressed; reading raises ``BulkError`` where it is damaged."""
    if compression == "gzip":
        source, broken = gzip.GzipFile(fileobj=stream), (gzip.BadGzipFile, EOFError, zlib.error)
        return _buffered(lambda: _read(source, broken, f"{name}: expected gzip"))
    zstd = require_zstd()
    frames = zstd.ZstdFile(stream)
    return _buffered(lambda: _read(frames, (zstd.ZstdError, EOFError), f"{name}: expected zstd"))


def recoded(stream: BinaryIO, encoding: str, name: str) -> BinaryIO:
    """The text of ``stream``, the file ``name``, in UTF-8; reading raises ``BulkError`` where it is no ``encoding``."""
    decoder = codecs.getincrementaldecoder(encoding)()

    def read() -> bytes:
        """The next bytes; none at the end alone, though a chunk may hold but the half of a character."""
        while chunk := stream.read(CHUNK):
            if text := decoder.decode(chunk):
                return text.encode()
        return decoder.decode(b"", final=True).encode()

    def checked() -> bytes:
        try:
            return read()
        except UnicodeError as error:
            raise BulkError(f"{name}: expected {encoding} (see --encoding): {error}") from None

    return _buffered(checked)


def compress(data: bytes, compression: Compression) -> bytes:
    """``data`` as a whole gzip member or zstd frame, of which a file may hold many."""
    compressed: bytes = gzip.compress(data) if compression == "gzip" else require_zstd().compress(data)
    return compressed


def require_zstd() -> ModuleType:
    """The module of zstd; raises ``UsageError`` where it is not installed."""
    try:
        from backports import zstd
    except ImportError:
        raise UsageError('.zst needs backports.zstd, which is not installed: pip install "cmow[zstd]"') from None
    module: ModuleType = zstd
    return module


def _read(source: Readable, broken: tuple[type[Exception], ...], expected: str) -> bytes:
    try:
        return source.read(CHUNK)
    except broken as error:
        raise BulkError(f"{expected}: {error}") from None


class _Chunks(io.RawIOBase):
    """A raw stream of the chunks that ``read`` gives, the last of which is empty."""

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._next = read
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer)
        self._rest = self._rest or self._next()
        size = min(len(view), len(self._rest))
        view[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def _buffered(read: Callable[[], bytes]) -> BinaryIO:
    return io.BufferedReader(_Chunks(read), CHUNK)
