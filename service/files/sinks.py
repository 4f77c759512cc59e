"""Where encoded blocks go: a file that a killed run leaves ready to go on with, or standard output.

While a run writes ``OUTPUT`` there are ``OUTPUT.partial``, which grows by a block at a time, and
``OUTPUT.partial.json``, which says how many bytes of it count and how far in the input they reach. A block counts once
the state that includes it has replaced the one before; what a killed run wrote after that is cut off by the next. The
state is there before the first byte, so that a partial file without one is somebody else's, and left alone.
"""

from __future__ import annotations

import fcntl
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from cmow.service.errors import UsageError
from cmow.service.files.encoders import Encoder


class Position(BaseModel):
    """How far a run is. ``size`` is in the reader's unit, ``bytes`` counts the output, ``memory`` is the encoder's."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    records: NonNegativeInt = 0
    size: NonNegativeInt = 0
    scored: NonNegativeInt = 0
    skipped: NonNegativeInt = 0
    truncated: NonNegativeInt = 0
    unread: NonNegativeInt = 0
    bytes: NonNegativeInt = 0
    memory: str = ""


class State(BaseModel):
    """Content of ``OUTPUT.partial.json``; ``identity`` is what must be the same for a run to go on."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    identity: dict[str, str]
    position: Position


class Sink(Protocol):
    """Takes blocks in order. ``position`` is where the run starts."""

    position: Position

    def append(self, data: bytes, position: Position) -> None:
        """Write a block, after which the run is at ``position``."""
        ...

    def finish(self, encoder: Encoder) -> None:
        """All blocks are there."""
        ...


class StandardOutput:
    """Standard output; a run that was killed starts over."""

    def __init__(self) -> None:
        self.position = Position()

    def append(self, data: bytes, position: Position) -> None:
        """See ``Sink``; raises ``BrokenPipeError`` where nobody reads any more."""
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        self.position = position

    def finish(self, encoder: Encoder) -> None:
        """See ``Sink``."""


def working_files(output: Path) -> tuple[Path, Path]:
    """The partial file of ``output``, and its state."""
    return output.with_name(f"{output.name}.partial"), output.with_name(f"{output.name}.partial.json")


class PartialFile:
    """The file ``output``, which appears when it is complete. Use as a context manager.

    Raises ``UsageError`` where a partial file cannot be gone on with, or another process writes it.
    """

    def __init__(self, output: Path, identity: dict[str, str], restart: bool) -> None:
        self._output = output
        self._identity = identity
        self._partial, self._state = working_files(output)
        with ExitStack() as on_error:
            self._file = on_error.enter_context(self._partial.open("ab"))
            self._lock()
            self.position = Position() if restart else self._read_position()
            self._write_state(self.position)
            self._file.truncate(self.position.bytes)
            on_error.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, data: bytes, position: Position) -> None:
        """See ``Sink``."""
        self._file.write(data)
        self._file.flush()
        os.fsync(self._file.fileno())  # or a power cut might keep the state and lose the block
        self._write_state(position)
        self.position = position

    def content(self) -> bytes:
        """All that counts so far."""
        return self._partial.read_bytes()[: self.position.bytes]

    def discard(self) -> None:
        """Remove what was written: ``output`` never appears."""
        self._partial.unlink()
        self._state.unlink(missing_ok=True)

    def finish(self, encoder: Encoder) -> None:
        """See ``Sink``."""
        encoder.finish(self._partial, self._output)
        self._state.unlink(missing_ok=True)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{self._partial}: another process is writing it") from None

    def _read_position(self) -> Position:
        size = os.fstat(self._file.fileno()).st_size
        if not self._state.exists():
            if size:
                raise UsageError(f"{self._partial}: expected {self._state.name} beside it, found none{START_OVER}")
            return Position()
        state = self._read_state()
        if not state.position.records:
            return Position()  # nothing to go on with, so that what is asked for now may be something else
        for name in {**self._identity, **state.identity}:
            now, then = self._identity.get(name), state.identity.get(name)
            if now != then:
                raise UsageError(f"{self._state}: expected the run to go on with {name} {then}, got {now}{START_OVER}")
        if size < state.position.bytes:
            raise UsageError(
                f"{self._partial}: expected at least {state.position.bytes} bytes, found fewer{START_OVER}"
            )
        return state.position

    def _read_state(self) -> State:
        try:
            return State.model_validate_json(self._state.read_bytes())
        except ValidationError:
            raise UsageError(f"{self._state}: expected the state of a run, found something else{START_OVER}") from None

    def _write_state(self, position: Position) -> None:
        written = self._state.with_name(f"{self._state.name}.new")
        written.write_text(State(identity=self._identity, position=position).model_dump_json(), encoding="utf-8")
        os.replace(written, self._state)


START_OVER = "; --restart starts over"
