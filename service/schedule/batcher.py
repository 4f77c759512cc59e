"""Who runs when, and with whom.

Whatever comes in during one turn of the event loop is collected, and its texts are tokenised together. If it is little,
the loop runs it at once, requests of one task together; otherwise it queues for one worker thread, which takes as many
jobs of a task as the budget allows. A job beyond the budget runs piece by piece and goes to the back of the queue after
each, so that it holds up nobody. ``python -m loadtest.cost.dispatch`` prints the times behind the rule.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import accumulate, groupby, pairwise
from operator import attrgetter
from time import perf_counter

from cmow.service.errors import InferenceError
from cmow.service.model.engine import Floats
from cmow.service.observe.metrics import Metrics
from cmow.service.schedule.job import Budget, Job, Piece, run_pieces
from cmow.service.text.tokenizer import PackedTokens, Part

Results = list[Floats | InferenceError]


class Batcher:
    """Packs jobs into runs of at most ``budget``; lives on one event loop."""

    def __init__(self, encode: Callable[[Sequence[str]], PackedTokens], budget: Budget, metrics: Metrics) -> None:
        self._encode = encode
        self._budget = budget
        self._metrics = metrics
        self._collected: list[Job] = []
        self._queue: deque[Job] = deque()
        self._busy = False
        self._thread = ThreadPoolExecutor(1, "inference")

    async def run(self, job: Job) -> Floats:
        """The result of ``job``, whose texts are read here unless they have been.

        Raises ``InferenceError``, ``DeadlineError``, ``ClientGoneError`` or what ``job.accept`` does; what nobody waits
        for is not run.
        """
        if not self._collected:
            asyncio.get_running_loop().call_soon(self._turn)
        self._collected.append(job)
        await job.placed
        return job.answer.result() if job.answer.done() else await job.caller.wait(job.answer)

    def _turn(self) -> None:
        """Run or queue all that this turn of the event loop has brought."""
        jobs, self._collected = self._collected, []
        for _, group in groupby(sorted(jobs, key=attrgetter("task.name")), attrgetter("task")):
            self._place(self._read(list(group)))
        for job in jobs:
            if not job.placed.done():
                job.placed.set_result(None)
        self._start()

    def _read(self, jobs: list[Job]) -> list[Job]:
        """Those of ``jobs``, which have one task, that have their tokens and are accepted with them."""
        unread = [job for job in jobs if job.part is None and job.wanted()]
        if unread:
            started = perf_counter()
            try:
                parts = self._tokenise(unread)
            except Exception as error:  # whatever it is, each waiting request must hear of it
                parts = [error] * len(unread)
            seconds = perf_counter() - started
            for job, part in zip(unread, parts, strict=True):
                self._hand_over(job, part, seconds)
        return [job for job in jobs if job.part is not None and not job.answer.done()]

    def _tokenise(self, jobs: list[Job]) -> Sequence[Part | Exception]:
        whole = self._encode([text for job in jobs for text in job.texts])
        ends = accumulate((len(job.texts) for job in jobs), initial=0)
        return [Part(whole, *bounds) for bounds in pairwise(ends)]

    def _hand_over(self, job: Job, part: Part | Exception, seconds: float) -> None:
        self._metrics.tokenised(job.task.name, seconds)
        if isinstance(part, Exception):
            job.fail(part)
            return
        try:
            job.read(part, seconds)
        except Exception as error:
            job.fail(error)

    def _place(self, jobs: list[Job]) -> None:
        """``jobs`` of one task: the small ones at once if they are few, the rest into the queue."""
        small = [job for job in jobs if job.fits(job.task.inline)]
        if small and small[0].task.inline.holds(small):
            self._run_inline(small)
            jobs = [job for job in jobs if not job.answer.done()]
        for job in jobs:
            job.plan(self._budget)
            self._queue.append(job)

    def _run_inline(self, jobs: list[Job]) -> None:
        pieces = [job.whole_piece() for job in jobs if job.wanted()]
        if not pieces:
            return
        started = perf_counter()
        try:
            results: Results = run_pieces(pieces)
        except Exception as error:  # whatever it is, each waiting request must hear of it
            self._fail(pieces, error)
        else:
            self._answer(pieces, results, started)

    def _start(self) -> None:
        """Give the worker its next pieces, unless it is busy."""
        if self._busy or not self._queue or not (pieces := self._take()):
            return
        self._busy = True
        run = asyncio.get_running_loop().run_in_executor(self._thread, run_pieces, pieces)
        run.add_done_callback(partial(self._finished, pieces, perf_counter()))

    def _take(self) -> list[Piece]:
        """The next piece in the queue, and all whole jobs of its task that fit beside it."""
        wanted = [job for job in self._queue if job.wanted()]
        taken = wanted[:1]
        if taken and len(taken[0].rest) == 1:
            for job in wanted[1:]:
                if job.task is taken[0].task and self._budget.holds([*taken, job]):
                    taken.append(job)
        chosen = set(map(id, taken))
        self._queue = deque(job for job in wanted if id(job) not in chosen)
        self._metrics.queue_depth.set(len(self._queue))
        return [job.next_piece() for job in taken]

    def _finished(self, pieces: Sequence[Piece], started: float, run: asyncio.Future[Results]) -> None:
        self._busy = False
        if run.cancelled():
            self._fail(pieces, asyncio.CancelledError())
        elif (error := run.exception()) is not None:
            self._fail(pieces, error)
        else:
            self._answer(pieces, run.result(), started)
            self._queue.extend(piece.job for piece in pieces if piece.job.rest)
        self._start()

    def _answer(self, pieces: Sequence[Piece], results: Results, started: float) -> None:
        now = perf_counter()
        task = pieces[0].job.task.name
        self._metrics.ran(task, now - started, sum(len(piece.pairs) for piece in pieces), _tokens(pieces))
        for piece, result in zip(pieces, results, strict=True):
            self._metrics.waited(task, started - piece.job.submitted)
            piece.job.note_run(started, now)
            if isinstance(result, InferenceError):
                piece.job.fail(result)
            else:
                piece.job.add(result)

    def _fail(self, pieces: Sequence[Piece], error: BaseException) -> None:
        for piece in pieces:
            piece.job.fail(error)


def _tokens(pieces: Sequence[Piece]) -> int:
    return sum(piece.part.tokens for piece in pieces)
