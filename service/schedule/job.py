"""Jobs of several requests as one run of the model, and its result cut up again.

Letters: P pairs, N packed tokens.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from time import perf_counter

import numpy as np

from cmow.service.errors import DeadlineError, InferenceError
from cmow.service.model.engine import Floats, Ints, cut
from cmow.service.schedule.caller import Caller
from cmow.service.text.tokenizer import PackedTokens, Part

FIRST_OFFSET: Ints = np.zeros(1, np.int64)

Score = Callable[[PackedTokens, Ints], Floats]


@dataclass(frozen=True)
class Budget:
    """The most that one run takes."""

    tokens: int
    pairs: int

    def holds(self, jobs: Sequence[Job]) -> bool:
        """Whether one run takes all ``jobs``."""
        return sum(job.tokens for job in jobs) <= self.tokens and sum(len(job.pairs) for job in jobs) <= self.pairs


@dataclass(frozen=True)
class Task:
    """One of the things that the model computes; up to ``inline`` it runs on the event loop, beyond on a thread."""

    name: str
    score: Score
    inline: Budget


@dataclass(eq=False, slots=True)
class Job:
    """Pairs [P, 2] of one request, rows of its ``texts`` [B], on their way to ``answer``.

    ``part`` are the texts' tokens, once they are there and ``accept`` has not raised a ``ServiceError`` over them.
    ``placed`` is done once the job has either run or joined the queue.
    """

    task: Task
    texts: Sequence[str]
    pairs: Ints
    caller: Caller
    accept: Callable[[Part], None]
    placed: asyncio.Future[None]
    answer: asyncio.Future[Floats]
    part: Part | None = None
    submitted: float = field(default_factory=perf_counter)
    rest: deque[slice] = field(default_factory=deque)
    results: list[Floats] = field(default_factory=list)

    def read(self, part: Part, seconds: float) -> None:
        """Take the tokens, which took ``seconds``; raises what ``accept`` does."""
        self.caller.timings.tokenise += seconds
        self.accept(part)
        self.part = part
        self.submitted = perf_counter()

    @property
    def tokens(self) -> int:
        """Tokens N; 0 before they are there."""
        return 0 if self.part is None else self.part.tokens

    def fits(self, budget: Budget) -> bool:
        """Whether one run takes the whole job."""
        return len(self.pairs) <= budget.pairs and self.tokens <= budget.tokens

    def wanted(self) -> bool:
        """Whether somebody still waits; what is past its deadline fails here."""
        if self.placed.cancelled() or self.answer.done():
            return False
        try:
            self.caller.check_deadline()
        except DeadlineError as error:
            self.fail(error)
            return False
        return True

    def note_run(self, started: float, ended: float) -> None:
        """Book the time in the queue and in the model on the caller."""
        self.caller.timings.queue += started - self.submitted
        self.caller.timings.inference += ended - started
        self.submitted = ended

    def plan(self, budget: Budget) -> None:
        """Cut into pieces of which each fits, or is one pair."""
        whole = [slice(0, len(self.pairs))]
        lengths = self._read_part.packed.lengths
        self.rest = deque(whole if self.fits(budget) else cut(lengths, self.pairs, budget.tokens, budget.pairs))

    def next_piece(self) -> Piece:
        """The next pairs that have no result yet."""
        rows = self.rest.popleft()
        if rows == slice(0, len(self.pairs)):
            return self.whole_piece()
        used, local = np.unique(self.pairs[rows], return_inverse=True)
        packed = self._read_part.packed.take(used)
        return Piece(self, Part(packed, 0, len(packed)), local.reshape(-1, 2))

    def whole_piece(self) -> Piece:
        """All pairs."""
        return Piece(self, self._read_part, self.pairs)

    @property
    def _read_part(self) -> Part:
        assert self.part is not None, "read() comes first"
        return self.part

    def add(self, values: Floats) -> None:
        """The result of the next piece; the last one makes the answer."""
        self.results.append(values)
        if not self.rest and not self.answer.done():
            self.answer.set_result(self.results[0] if len(self.results) == 1 else np.concatenate(self.results))

    def fail(self, error: BaseException) -> None:
        """No answer, but ``error``."""
        self.rest.clear()
        if not self.answer.done():
            self.answer.set_exception(error)


@dataclass(frozen=True, slots=True)
class Piece:
    """Pairs of one job with only the sentences that they need."""

    job: Job
    part: Part
    pairs: Ints

    def run(self) -> Floats | InferenceError:
        """Its result, computed alone."""
        try:
            return self.job.task.score(self.part.packed, self.pairs)
        except InferenceError as error:
            return error


def run_pieces(pieces: Sequence[Piece]) -> list[Floats | InferenceError]:
    """The result of each of ``pieces``, which have one task.

    If the run fails each goes alone, so that only the one at fault gets an error.
    """
    if len(pieces) == 1:
        return [pieces[0].run()]
    packed, pairs = join(pieces)
    try:
        values = pieces[0].job.task.score(packed, pairs)
    except InferenceError:
        return [piece.run() for piece in pieces]
    ends = accumulate(len(piece.pairs) for piece in pieces)
    return [values[end - len(piece.pairs) : end] for end, piece in zip(ends, pieces, strict=True)]


def join(pieces: Sequence[Piece]) -> tuple[PackedTokens, Ints]:
    """All sentences of ``pieces`` in one, and all their pairs, renumbered."""
    parts = [piece.part for piece in pieces]
    pairs = np.concatenate([piece.pairs for piece in pieces])
    pairs += _starts(list(map(len, parts)), [len(piece.pairs) for piece in pieces])[:, None]
    return (parts[0].whole if _make_up_a_whole(parts) else _joined([part.packed for part in parts])), pairs


def _make_up_a_whole(parts: Sequence[Part]) -> bool:
    """Whether ``parts`` lie together already, and in this order."""
    whole = parts[0].whole
    bounds = [0, *(part.stop for part in parts)]
    return bounds[-1] == len(whole) and all(
        part.whole is whole and part.start == start for part, start in zip(parts, bounds, strict=False)
    )


def _joined(packings: list[PackedTokens]) -> PackedTokens:
    cu_seqlens = np.concatenate([FIRST_OFFSET, *(packed.cu_seqlens[1:] for packed in packings)])
    cu_seqlens[1:] += _starts([len(packed.token_ids) for packed in packings], list(map(len, packings)))
    return PackedTokens(
        np.concatenate([packed.token_ids for packed in packings]),
        cu_seqlens,
        np.concatenate([packed.truncated for packed in packings]),
    )


def _starts(sizes: list[int], repeats: list[int]) -> Ints:
    """Where each of consecutive blocks of ``sizes`` begins, as often as ``repeats`` says."""
    return np.repeat(np.array([0, *accumulate(sizes[:-1])], np.int64), repeats)
