"""The way from texts to scores for every request: admission, tokeniser, batches, engine.

Letters: B texts, P pairs, m similarity width.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import TypeVar

import numpy as np

from cmow.service.model.engine import Engine, Floats, Ints
from cmow.service.observe.metrics import Metrics
from cmow.service.schedule.admission import Admission
from cmow.service.schedule.batcher import Batcher
from cmow.service.schedule.caller import Caller, Timings
from cmow.service.schedule.job import Budget, Job, Task
from cmow.service.text.pairs import SentencePairs
from cmow.service.text.tokenizer import PackedTokens, Part

T = TypeVar("T")

# Raises ``InvalidInputError`` where tokens are not what the request needs: a text without one, or one that was cut. It
# is not called where there is neither.
Check = Callable[[PackedTokens], None]

# What takes less than about a millisecond runs on the event loop (``python -m loadtest.cost.dispatch``): a thread
# costs more than it frees.
INLINE_CHARACTERS = 2000
INLINE_TOKENS = 1024
INLINE_PAIRS = {"similarity": 32, "paraphrase": 12, "relatedness": 6, "entailment": 12, "embed": 64}
CALL_THREADS = 2


def anything(packed: PackedTokens) -> None:
    """The check that takes all tokens."""


@dataclass(frozen=True)
class Scored:
    """What the model says of one request, and what it took.

    ``values`` float32: cosines, probabilities or relatedness [P], probabilities [P, 3] (columns as the manifest's
    ``labels``) or unit-length embeddings [B, m]. ``tokens`` counts each distinct text of pairs once. ``truncated`` says
    for each pair (or text) whether it was cut to the model's limit.
    """

    values: Floats
    tokens: int
    truncated: list[bool]
    timings: Timings


class Scheduler:
    """Runs an ``Engine`` for many requests at once; lives on one event loop.

    All methods raise ``OverloadedError``, ``DeadlineError``, ``ClientGoneError`` and ``InferenceError``, those that
    score ``TooManyTokensError`` as well, and what ``check`` raises.
    """

    def __init__(self, engine: Engine, budget: Budget, admission: Admission, metrics: Metrics) -> None:
        self.engine = engine
        self.admission = admission
        self.model = engine.bundle.manifest.name
        self._metrics = metrics
        self._batcher = Batcher(engine.tokenizer.encode, budget, metrics)
        self._tokeniser_thread = ThreadPoolExecutor(1, "tokenise")
        self._call_threads = ThreadPoolExecutor(CALL_THREADS, "call")
        scores = (
            engine.score_similarity,
            engine.score_paraphrase,
            engine.score_relatedness,
            engine.score_entailment,
            engine.score_embeddings,
        )
        self._similarity, self._paraphrase, self._relatedness, self._entailment, self._embed = (
            Task(name, score, Budget(INLINE_TOKENS, pairs))
            for score, (name, pairs) in zip(scores, INLINE_PAIRS.items(), strict=True)
        )

    async def similarity(self, caller: Caller, pairs: SentencePairs, check: Check = anything) -> Scored:
        """Cosines [P] of ``pairs``."""
        return await self._score(self._similarity, caller, pairs.texts, pairs.index, check)

    async def paraphrase(self, caller: Caller, pairs: SentencePairs, check: Check = anything) -> Scored:
        """Probabilities [P] that both texts of each of ``pairs`` say the same."""
        return await self._score(self._paraphrase, caller, pairs.texts, pairs.index, check)

    async def relatedness(self, caller: Caller, pairs: SentencePairs, check: Check = anything) -> Scored:
        """How related [P] both texts of each of ``pairs`` are, from 0 to 1."""
        return await self._score(self._relatedness, caller, pairs.texts, pairs.index, check)

    async def entailment(self, caller: Caller, pairs: SentencePairs, check: Check = anything) -> Scored:
        """Probabilities [P, 3] of ``pairs`` (premise, hypothesis)."""
        return await self._score(self._entailment, caller, pairs.texts, pairs.index, check)

    async def embed(self, caller: Caller, texts: Sequence[str], check: Check = anything) -> Scored:
        """Unit-length similarity vectors [B, m] of ``texts``."""
        rows = np.arange(len(texts)).repeat(2).reshape(-1, 2)  # each paired with itself, to be cut like pairs
        return await self._score(self._embed, caller, texts, rows, check)

    async def call(self, caller: Caller, items: int, work: Callable[[], T]) -> T:
        """``work()`` on a thread, under the same admission as ``items`` pairs and the caller's deadline.

        For whatever else computes, such as a baseline: that must never run on the event loop.
        """
        with self.admission.admit(items):
            return await self._on_thread(self._call_threads, caller, work)

    async def call_on_tokens(
        self, caller: Caller, texts: Sequence[str], check: Check, items: int, work: Callable[[PackedTokens], T]
    ) -> T:
        """``work`` on the tokens of ``texts``, admitted with them; raises ``TooManyTokensError`` as well."""
        caller.texts = texts
        with self.admission.admit(items) as ticket:
            packed = await self._on_thread(self._tokeniser_thread, caller, partial(self.engine.tokenizer.encode, texts))
            ticket.charge(len(packed.token_ids))
            check(packed)
            return await self._on_thread(self._call_threads, caller, partial(work, packed))

    async def _score(self, task: Task, caller: Caller, texts: Sequence[str], index: Ints, check: Check) -> Scored:
        caller.texts = texts
        with self.admission.admit(len(index)) as ticket:

            def accept(part: Part) -> None:
                ticket.charge(part.tokens)
                if not part.whole.plain:
                    check(part.packed)

            future = asyncio.get_running_loop().create_future
            job = Job(task, texts, index, caller, accept, future(), future())
            if sum(map(len, texts)) > INLINE_CHARACTERS:
                await self._read(job)
            values = await self._batcher.run(job)
        return Scored(values, job.tokens, self._truncated(job), caller.timings)

    async def _read(self, job: Job) -> None:
        """Tokenise the texts of ``job`` on a thread; the batcher does that for short ones."""
        started = perf_counter()
        encode = partial(self.engine.tokenizer.encode, job.texts)
        packed = await self._on_thread(self._tokeniser_thread, job.caller, encode)
        seconds = perf_counter() - started
        self._metrics.tokenised(job.task.name, seconds)
        job.read(Part(packed, 0, len(packed)), seconds)

    async def _on_thread(self, threads: ThreadPoolExecutor, caller: Caller, work: Callable[[], T]) -> T:
        return await caller.wait(asyncio.get_running_loop().run_in_executor(threads, work))

    def _truncated(self, job: Job) -> list[bool]:
        """For each pair, whether one of its texts was cut."""
        if job.part is None or job.part.whole.plain:
            return [False] * len(job.pairs)
        truncated: list[bool] = np.any(job.part.packed.truncated[job.pairs], axis=1).tolist()
        self._metrics.truncated.inc(sum(truncated))
        return truncated
