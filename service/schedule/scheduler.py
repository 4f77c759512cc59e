"""The way from texts to scores for every request: admission, tokeniser, batches, engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter
from typing import TypeVar

from cmow.service.model.model import Model
from cmow.service.model.verdicts.steps import Step, Steps, advance
from cmow.service.model.work import Scored, Work
from cmow.service.observe.metrics import Metrics
from cmow.service.schedule.admission import Admission
from cmow.service.schedule.batcher import Batcher
from cmow.service.schedule.caller import Caller
from cmow.service.schedule.job import Job
from cmow.service.text.texts import TextList, Texts, check_characters, check_count
from cmow.service.text.tokenizer import PackedTokens, Part

T = TypeVar("T")

INLINE_CHARACTERS = 2000  # tokenised on the event loop: a thread costs more than it frees
CALL_THREADS = 2


class Scheduler:
    """Runs ``model`` for many requests at once; lives on one event loop.

    All methods raise ``OverloadedError``, ``DeadlineError``, ``ClientGoneError`` and ``InferenceError``; those that
    read texts raise ``TooManyTokensError`` as well, and what ``Work.check`` does.
    """

    def __init__(self, model: Model, admission: Admission, metrics: Metrics) -> None:
        self.model = model
        self.admission = admission
        self._metrics = metrics
        self._batcher = Batcher(model.engine, metrics)
        self._tokeniser_thread = ThreadPoolExecutor(1, "tokenise")
        self._call_threads = ThreadPoolExecutor(CALL_THREADS, "call")

    async def score(self, caller: Caller, work: Work) -> Scored:
        """The result of ``work``."""
        caller.texts = work.texts
        with self.admission.admit(len(work.pairs)) as ticket:
            future = asyncio.get_running_loop().create_future
            job = Job(work, caller, ticket, future(), future())
            if sum(map(len, work.texts)) > INLINE_CHARACTERS:
                await self._read(job)
            values = await self._batcher.run(job)
        scored = work.scored(values, job.part)
        self._metrics.truncated.inc(sum(scored.truncated))
        return scored

    async def follow(self, caller: Caller, steps: Steps[T], on_thread: bool = False) -> T:
        """What ``steps`` come to: each work is admitted, waits and runs as any other, and a failed one ends them.

        With ``on_thread`` they do not hold up the event loop between their works, which costs little ones more.
        """

        async def following(scored: Scored | None) -> Step:
            compute = partial(advance, steps, scored)
            return await self.call(caller, 1, compute) if on_thread else compute()

        step = await following(None)
        while step.work is not None:
            step = await following(await self.score(caller, step.work))
        verdict: T = step.verdict
        return verdict

    async def call(self, caller: Caller, items: int, compute: Callable[[], T]) -> T:
        """``compute()`` on a thread, under the same admission as ``items`` pairs and the caller's deadline.

        For whatever else computes, such as a baseline: that must never run on the event loop.
        """
        with self.admission.admit(items):
            return await self._on_thread(self._call_threads, caller, compute)

    async def call_on_tokens(self, caller: Caller, items: int, work: Work, compute: Callable[[PackedTokens], T]) -> T:
        """``compute`` on the tokens of the texts of ``work``, admitted with them and as ``items`` pairs."""
        caller.texts = work.texts
        with self.admission.admit(items) as ticket:
            packed = await self._on_thread(self._tokeniser_thread, caller, partial(self._encode, work))
            ticket.charge(len(packed.token_ids))
            work.check(Part(packed, 0, len(packed)))
            return await self._on_thread(self._call_threads, caller, partial(compute, packed))

    async def cut_to_tokens(self, caller: Caller, texts: TextList, most: int | None) -> Texts:
        """Each of ``texts`` cut to ``most`` tokens; as it is for ``None`` and -1. Raises ``InvalidInputError``."""
        if most is None or most < 0:
            return texts.value
        check_count(texts.name, len(texts.texts), self.model.limits.max_pairs)
        check_characters(texts.positions(), self.model.limits.max_request_chars)
        cut = self.model.engine.tokenizer.cut
        found = await self.call(caller, len(texts.texts), lambda: [cut(text, most) for text in texts.texts])
        return found[0] if isinstance(texts.value, str) else found

    async def _read(self, job: Job) -> None:
        """Tokenise the texts of ``job`` on a thread; the batcher does that for short ones."""
        started = perf_counter()
        packed = await self._on_thread(self._tokeniser_thread, job.caller, partial(self._encode, job.work))
        seconds = perf_counter() - started
        self._metrics.tokenised(job.work.task, seconds)
        job.read(Part(packed, 0, len(packed)), seconds)

    def _encode(self, work: Work) -> PackedTokens:
        return self.model.engine.tokenizer.encode(work.texts)

    async def _on_thread(self, threads: ThreadPoolExecutor, caller: Caller, compute: Callable[[], T]) -> T:
        return await caller.wait(asyncio.get_running_loop().run_in_executor(threads, compute))
