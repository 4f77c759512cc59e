"""Who runs when, and with whom.

Whatever comes in during one turn of the event loop is collected, and its texts are tokenised together. If it is little,
the loop runs it at once, requests of one task together; otherwise it queues for one worker thread, which takes as many
jobs of a task as the budget allows. A job beyond the budget runs piece by piece and goes to the back of the queue after
each, so that it holds up nobody. ``python -m loadtest.cost.dispatch`` prints the times that the rule comes from.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import accumulate, pairwise
from time import perf_counter

from cmow.service.errors import InferenceError
from cmow.service.model.engine import Budget, Engine, Floats, TaskName
from cmow.service.observe.metrics import Metrics
from cmow.service.schedule.job import Job, Piece, Results, run_pieces
from cmow.service.text.tokenizer import Part

# What takes less than about a millisecond runs on the event loop, where a thread would cost more than it frees.
INLINE_PAIRS: dict[TaskName, int] = {
    "similarity": 32,
    "paraphrase": 12,
    "relatedness": 6,
    "entailment": 12,
    "embed": 64,
}
INLINE = {task: Budget(tokens=1024, pairs=pairs) for task, pairs in INLINE_PAIRS.items()}


class Batcher:
    """Packs jobs into runs within the budget of ``engine``; lives on one event loop."""

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics
        self._collected: list[Job] = []
        self._queue: deque[Job] = deque()
        self._busy = False
        self._thread = ThreadPoolExecutor(1, "inference")

    async def run(self, job: Job) -> Floats:
        """The result of ``job``, whose texts are read here unless they have been.

        Raises ``InferenceError``, ``DeadlineError``, ``ClientGoneError`` or what ``Job.read`` does; what nobody waits
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
        by_task: dict[TaskName, list[Job]] = {}
        for job in jobs:
            by_task.setdefault(job.work.task, []).append(job)
        for task, group in by_task.items():
            self._place(task, self._read(group))
        for job in jobs:
            if not job.placed.done():
                job.placed.set_result(None)
        self._start()

    def _read(self, jobs: list[Job]) -> list[Job]:
        """Those of ``jobs``, which have one task, that have their tokens and are accepted with them."""
        unread = [job for job in jobs if not job.is_read and job.wanted()]
        if unread:
            started = perf_counter()
            try:
                parts = self._tokenise(unread)
            except Exception as error:  # whatever it is, each waiting request must hear of it
                parts = [error] * len(unread)
            seconds = perf_counter() - started
            for job, part in zip(unread, parts, strict=True):
                self._hand_over(job, part, seconds)
        return [job for job in jobs if job.is_read and not job.answer.done()]

    def _tokenise(self, jobs: list[Job]) -> Sequence[Part | Exception]:
        whole = self._engine.tokenizer.encode([text for job in jobs for text in job.work.texts])
        ends = accumulate((len(job.work.texts) for job in jobs), initial=0)
        return [Part(whole, *bounds) for bounds in pairwise(ends)]

    def _hand_over(self, job: Job, part: Part | Exception, seconds: float) -> None:
        self._metrics.tokenised(job.work.task, seconds)
        if isinstance(part, Exception):
            job.fail(part)
            return
        try:
            job.read(part, seconds)
        except Exception as error:
            job.fail(error)

    def _place(self, task: TaskName, jobs: list[Job]) -> None:
        """``jobs`` of ``task``: the small ones at once if they are few, the rest into the queue."""
        small = [job for job in jobs if job.fits(INLINE[task])]
        if small and _fit_together(small, INLINE[task]):
            self._run_inline(small)
            jobs = [job for job in jobs if not job.answer.done()]
        for job in jobs:
            job.plan(self._engine.options.budget)
            self._queue.append(job)

    def _run_inline(self, jobs: list[Job]) -> None:
        pieces = [job.whole_piece() for job in jobs if job.wanted()]
        if not pieces:
            return
        started = perf_counter()
        try:
            results = run_pieces(self._engine.score, pieces)
        except Exception as error:  # whatever it is, each waiting request must hear of it
            self._fail(pieces, error)
        else:
            self._answer(pieces, results, started)

    def _start(self) -> None:
        """Give the worker its next pieces, unless it is busy."""
        if self._busy or not self._queue or not (pieces := self._take()):
            return
        self._busy = True
        run = asyncio.get_running_loop().run_in_executor(self._thread, run_pieces, self._engine.score, pieces)
        run.add_done_callback(partial(self._finished, pieces, perf_counter()))

    def _take(self) -> list[Piece]:
        """The next piece in the queue, and all whole jobs of its task that fit beside it."""
        wanted = [job for job in self._queue if job.wanted()]
        taken = wanted[:1]
        if taken and len(taken[0].rest) == 1:
            for job in wanted[1:]:
                if job.work.task == taken[0].work.task and _fit_together([*taken, job], self._engine.options.budget):
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
        task = pieces[0].job.work.task
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


def _fit_together(jobs: Sequence[Job], budget: Budget) -> bool:
    """Whether one run takes all ``jobs``."""
    return sum(job.tokens for job in jobs) <= budget.tokens and sum(len(job.pairs) for job in jobs) <= budget.pairs
