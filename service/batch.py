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

from service.caller import Caller
from service.engine import Floats, Ints, cut
from service.errors import DeadlineError, InferenceError
from service.tokenizer import PackedTokens

NO_TOKENS: Ints = np.zeros(1, np.int64)

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


@dataclass(eq=False)
class Job:
    """Pairs [P, 2] of one request, as rows of ``packed``, on their way to ``answer``.

    ``placed`` is done once the job has either run or joined the queue.
    """

    task: Task
    packed: PackedTokens
    pairs: Ints
    caller: Caller
    placed: asyncio.Future[None]
    answer: asyncio.Future[Floats]
    submitted: float = field(default_factory=perf_counter)
    rest: deque[slice] = field(default_factory=deque)
    results: list[Floats] = field(default_factory=list)

    @property
    def tokens(self) -> int:
        """Tokens N."""
        return len(self.packed.token_ids)

    def fits(self, budget: Budget) -> bool:
        """Whether one run takes the whole job."""
        return self.tokens <= budget.tokens and len(self.pairs) <= budget.pairs

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
        pieces = whole if self.fits(budget) else cut(self.packed.lengths, self.pairs, budget.tokens, budget.pairs)
        self.rest = deque(pieces)

    def next_piece(self) -> Piece:
        """The next pairs that have no result yet."""
        rows = self.rest.popleft()
        if rows == slice(0, len(self.pairs)):
            return Piece(self, self.packed, self.pairs)
        used, local = np.unique(self.pairs[rows], return_inverse=True)
        return Piece(self, self.packed.take(used), local.reshape(-1, 2))

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


@dataclass(frozen=True)
class Piece:
    """Pairs of one job with only the sentences that they need."""

    job: Job
    packed: PackedTokens
    pairs: Ints

    def run(self) -> Floats | InferenceError:
        """Its result, computed alone."""
        try:
            return self.job.task.score(self.packed, self.pairs)
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
    packings = [piece.packed for piece in pieces]
    cu_seqlens = np.concatenate([NO_TOKENS, *(packed.cu_seqlens[1:] for packed in packings)])
    cu_seqlens[1:] += _starts([len(packed.token_ids) for packed in packings], list(map(len, packings)))
    joined = PackedTokens(
        np.concatenate([packed.token_ids for packed in packings]),
        cu_seqlens,
        np.concatenate([packed.truncated for packed in packings]),
    )
    pairs = np.concatenate([piece.pairs for piece in pieces])
    return joined, pairs + _starts(list(map(len, packings)), [len(piece.pairs) for piece in pieces])[:, None]


def _starts(sizes: list[int], repeats: list[int]) -> Ints:
    """Where each of consecutive blocks of ``sizes`` begins, as often as ``repeats`` says."""
    return np.repeat(np.array([0, *accumulate(sizes[:-1])], np.int64), repeats)
