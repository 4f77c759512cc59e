"""A run over a file: every block read, scored, encoded and written, with a progress bar."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass

from tqdm import tqdm

from cmow.service.errors import BadRowError
from cmow.service.files.blocks import BadRow, ScoredBlock, Source
from cmow.service.files.encoders import Encoder
from cmow.service.files.options import OnBadRow
from cmow.service.files.sinks import Position, Sink


@dataclass(frozen=True)
class BulkRun:
    """The parts of a run of ``command``; ``noun`` is what it scores and ``name`` the input, in messages."""

    command: str
    noun: str
    name: str
    source: Source
    encoder: Encoder
    sink: Sink
    on_bad_row: OnBadRow
    progress: bool

    def run(self) -> None:
        """Score what is left of the input, and let the output appear; raises as ``write``."""
        start, before = time.perf_counter(), self.sink.position
        self.write()
        self.sink.finish(self.encoder)
        self._summarise(self.sink.position, before, time.perf_counter() - start)

    def write(self) -> None:
        """Score what is left of the input; raises ``BulkError``, ``InferenceError`` or ``OSError``."""
        before = self.sink.position
        if before.records:
            self._say(f"going on after record {before.records:,}, of which {before.scored:,} {self.noun} are written")
        with progress_bar(self.progress, self.source.unit, self.source.total, self.sink.position.size) as bar:
            for scored in self.source.scored(before.records):
                self._report(scored.bad)
                data = self.encoder.encode(scored)
                self.sink.append(data, _after(self.sink.position, scored, len(data), self.encoder.memory))
                bar.set_postfix({self.noun: f"{self.sink.position.scored:,}"}, refresh=False)
                bar.update(scored.size)
            self._append_end()

    def _append_end(self) -> None:
        if data := self.encoder.end():
            now = self.sink.position
            more = {"bytes": now.bytes + len(data), "memory": self.encoder.memory}
            self.sink.append(data, now.model_copy(update=more))

    def _report(self, bad: Iterable[BadRow]) -> None:
        report(bad, self.name, self.on_bad_row, self.command)

    def _summarise(self, now: Position, before: Position, seconds: float) -> None:
        scored, noun = now.scored - before.scored, self.noun
        more = [f"{now.skipped:,} bad rows skipped"] * bool(now.skipped)
        more += [f"{now.truncated:,} {noun} cut to the model's limit"] * bool(now.truncated)
        more += [f"{now.unread:,} {noun} with a text of which the model knows no token"] * bool(now.unread)
        rate = f"{scored:,} {noun} in {seconds:.2f} s, {scored / seconds:,.0f} {noun}/second"
        self._say("; ".join([rate, *more]))

    def _say(self, message: str) -> None:
        say(self.command, message)


def progress_bar(shown: bool, unit: str, total: int | None, initial: int = 0) -> tqdm[None]:
    """A progress bar on standard error, where it is to be ``shown``; ``total`` is ``None`` where nobody knows it."""
    return tqdm(total=total, initial=initial, unit=unit, unit_scale=True, file=sys.stderr, disable=not shown)


def report(bad: Iterable[BadRow], name: str, on_bad_row: OnBadRow, command: str) -> None:
    """Say which rows of the input ``name`` are left out, or raise ``BadRowError`` at the first."""
    for row in bad:
        message = f"{name}:{row.line}: {row.message}"
        if on_bad_row == "stop":
            raise BadRowError(f"{message} (--on-bad-row skip leaves such rows out)")
        say(command, f"skipped {message}")


def say(command: str, message: str) -> None:
    """A line on standard error, above whatever progress bar is there."""
    tqdm.write(f"{command}: {message}", file=sys.stderr)


def _after(before: Position, scored: ScoredBlock, size: int, memory: str) -> Position:
    """The position after a block that took ``size`` bytes."""
    return Position(
        records=before.records + scored.records,
        size=before.size + scored.size,
        scored=before.scored + len(scored.rows),
        skipped=before.skipped + len(scored.bad),
        truncated=before.truncated + scored.truncated,
        unread=before.unread + scored.unread,
        bytes=before.bytes + size,
        memory=memory,
    )
