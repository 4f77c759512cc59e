"""Jobs of several requests as one run of the model, and its result cut up again.

Letters: B texts, P pairs, N packed tokens.
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
from cmow.service.model.engine import Budget, Floats, Ints, TaskName, cut
from cmow.service.model.work import Work
from cmow.service.schedule.admission import Ticket
from cmow.service.schedule.caller import Caller
from cmow.service.text.tokenizer import PackedTokens, Part

FIRST_OFFSET: Ints = np.zeros(1, np.int64)
NOT_READ = Part(PackedTokens(np.zeros(0, np.int64), FIRST_OFFSET, np.zeros(0, np.bool_)), 0, 0)

Score = Callable[[TaskName, PackedTokens, Ints], Floats]
Results = list[Floats | InferenceError]


@dataclass(eq=False, slots=True)
class Job:
    """The work of one request on its way to ``answer``.

    ``part`` are the tokens of its texts, once they are there and within the limits. ``placed`` is done once the job has
    either run or joined the queue.
    """

    work: Work
    caller: Caller
    ticket: Ticket
    placed: asyncio.Future[None]
    answer: asyncio.Future[Floats]
    part: Part = NOT_READ
    submitted: float = field(default_factory=perf_counter)
    rest: deque[slice] = field(default_factory=deque)
    results: list[Floats] = field(default_factory=list)

    def read(self, part: Part, seconds: float) -> None:
        """Take the tokens, which took ``seconds``; raises ``CmowError`` where they are beyond a limit."""
        self.caller.timings.tokenise += seconds
        self.ticket.charge(part.tokens)
        self.work.check(part)
        self.part = part
        self.submitted = perf_counter()

    @property
    def is_read(self) -> bool:
        """Whether the tokens are there."""
        return self.part is not NOT_READ

    @property
    def tokens(self) -> int:
        """Tokens N; 0 before they are there."""
        return self.part.tokens

    @property
    def pairs(self) -> Ints:
        """Pairs [P, 2], rows of the texts."""
        return self.work.pairs

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
        self.rest = deque(whole if self.fits(budget) else cut(self.part.packed.lengths, self.pairs, budget))

    def next_piece(self) -> Piece:
        """The next pairs that have no result yet."""
        rows = self.rest.popleft()
        if rows == slice(0, len(self.pairs)):
            return self.whole_piece()
        used, local = np.unique(self.pairs[rows], return_inverse=True)
        packed = self.part.packed.take(used)
        return Piece(self, Part(packed, 0, len(packed)), local.reshape(-1, 2))

    def whole_piece(self) -> Piece:
        """All pairs."""
        return Piece(self, self.part, self.pairs)

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


def run_pieces(score: Score, pieces: Sequence[Piece]) -> Results:
    """The result of each of ``pieces``, which have one task.

    If the run fails each goes alone, so that only the one at fault gets an error.
    """
    if len(pieces) == 1:
        return [_run_alone(score, pieces[0])]
    packed, pairs = join(pieces)
    try:
        values = score(pieces[0].job.work.task, packed, pairs)
    except InferenceError:
        return [_run_alone(score, piece) for piece in pieces]
    ends = accumulate(len(piece.pairs) for piece in pieces)
    return [values[end - len(piece.pairs) : end] for end, piece in zip(ends, pieces, strict=True)]


def _run_alone(score: Score, piece: Piece) -> Floats | InferenceError:
    try:
        return score(piece.job.work.task, piece.part.packed, piece.pairs)
    except InferenceError as error:
        return error


def join(pieces: Sequence[Piece]) -> tuple[PackedTokens, Ints]:
    """All sentences of ``pieces`` in one packing, and all their pairs [P, 2] as rows of it.

    Where the first piece has 3 sentences, the pair (0, 1) of the second one becomes (3, 4).
    """
    parts = [piece.part for piece in pieces]
    first_sentence = _starts([len(part) for part in parts])  # of each piece
    pairs = np.concatenate([piece.pairs for piece in pieces])  # [P, 2], each piece's own rows
    pairs += np.repeat(first_sentence, [len(piece.pairs) for piece in pieces])[:, None]
    return (parts[0].whole if _make_up_a_whole(parts) else _joined([part.packed for part in parts])), pairs


def _make_up_a_whole(parts: Sequence[Part]) -> bool:
    """Whether ``parts`` lie together already, in this order, and are all of what was tokenised together."""
    whole, end = parts[0].whole, 0
    for part in parts:
        if part.whole is not whole or part.start != end:
            return False
        end = part.stop
    return end == len(whole)


def _joined(packings: Sequence[PackedTokens]) -> PackedTokens:
    """The sentences of all ``packings``, one after the other."""
    first_token = _starts([len(packed.token_ids) for packed in packings])  # of each packing
    ends = [packed.cu_seqlens[1:] + start for packed, start in zip(packings, first_token, strict=True)]
    return PackedTokens(
        np.concatenate([packed.token_ids for packed in packings]),
        np.concatenate([FIRST_OFFSET, *ends]),
        np.concatenate([packed.truncated for packed in packings]),
    )


def _starts(sizes: Sequence[int]) -> list[int]:
    """Where each of consecutive blocks of ``sizes`` begins: [3, 2, 4] gives [0, 3, 5]."""
    return list(accumulate(sizes[:-1], initial=0))
