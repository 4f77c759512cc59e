"""A bulk run: every block read, scored, encoded and written, with a progress bar."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tqdm import tqdm

from cmow.service.errors import BadRowError
from cmow.service.files.blocks import BadRow, ScoredBlock, Source
from cmow.service.files.encoders import Encoder
from cmow.service.files.sinks import Position, Sink


@dataclass(frozen=True)
class BulkRun:
    """The parts of a run; ``name`` is the input in messages."""

    name: str
    source: Source
    encoder: Encoder
    sink: Sink
    on_bad_row: Literal["stop", "skip"]
    progress: bool

    def run(self) -> None:
        """Score what is left of the input; raises ``BulkError``, ``InferenceError`` or ``OSError``."""
        start, before = time.perf_counter(), self.sink.position
        if before.records:
            self._say(f"going on after record {before.records:,}, of which {before.scored:,} are scored")
        with self._bar() as bar:
            for scored in self.source.scored(before.records):
                self._report(scored.bad)
                data = self.encoder.encode(scored)
                self.sink.append(data, _after(self.sink.position, scored, len(data), self.encoder.memory))
                bar.set_postfix(pairs=f"{self.sink.position.scored:,}", refresh=False)
                bar.update(scored.size)
            self._append_end()
        self.sink.finish(self.encoder)
        self._summarise(self.sink.position, before, time.perf_counter() - start)

    def _append_end(self) -> None:
        if data := self.encoder.end():
            now = self.sink.position
            more = {"bytes": now.bytes + len(data), "memory": self.encoder.memory}
            self.sink.append(data, now.model_copy(update=more))

    def _bar(self) -> tqdm[None]:
        return tqdm(
            total=self.source.total,
            initial=self.sink.position.size,
            unit=self.source.unit,
            unit_scale=True,
            file=sys.stderr,
            disable=not self.progress,
        )

    def _report(self, bad: Iterable[BadRow]) -> None:
        for row in bad:
            message = f"{self.name}:{row.line}: {row.message}"
            if self.on_bad_row == "stop":
                raise BadRowError(f"{message} (--on-bad-row skip leaves such rows out)")
            self._say(f"skipped {message}")

    def _summarise(self, now: Position, before: Position, seconds: float) -> None:
        pairs = now.scored - before.scored
        more = [f"{now.skipped:,} bad rows skipped"] * bool(now.skipped)
        more += [f"{now.truncated:,} pairs cut to the model's limit"] * bool(now.truncated)
        more += [f"{now.unread:,} pairs with a text of which the model knows no token"] * bool(now.unread)
        rate = f"{pairs:,} pairs in {seconds:.2f} s, {pairs / seconds:,.0f} pairs/second"
        self._say("; ".join([rate, *more]))

    def _say(self, message: str) -> None:
        tqdm.write(f"cmow-score: {message}", file=sys.stderr)


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
