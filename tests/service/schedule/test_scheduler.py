"""The scheduler: one answer bit for bit, whoever else asks, however the work is cut; and nothing for those who left."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from copy import copy
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from cmow.service.errors import (
    ClientGoneError,
    DeadlineError,
    EmptyTextError,
    InferenceError,
    OverloadedError,
    TooManyTokensError,
)
from cmow.service.model.engine import Budget, Engine, Floats, TaskName, with_itself
from cmow.service.model.model import Model
from cmow.service.model.work import Scored, Work
from cmow.service.observe.metrics import Metrics
from cmow.service.schedule.admission import Admission
from cmow.service.schedule.caller import Caller
from cmow.service.schedule.scheduler import Scheduler
from cmow.service.text.pairs import SentencePairs, Sides
from cmow.service.text.texts import TextLimits
from cmow.service.text.tokenizer import PackedTokens
from tests.tiny_bundle import WORDS

Answer = Coroutine[Any, Any, Scored]
LIMITS = TextLimits(10**6, 10**6, 10**6)
LENGTHS = [1, 2, 3, 16, 63, 64, 65, 129]


def make(engine: Engine, tokens: int = 16_384, pairs: int = 256, items: int = 10_000) -> Scheduler:
    """A scheduler on ``engine`` with another budget."""
    engine = copy(engine)
    engine.options = replace(engine.options, budget=Budget(tokens, pairs))
    return Scheduler(Model(engine, LIMITS), Admission(items, 10**6, 10**5), Metrics())


def ask(scheduler: Scheduler, task: TaskName, pairs: SentencePairs, caller: Caller | None = None) -> Answer:
    """``pairs`` as the scheduler takes them, without a check on their tokens."""
    return scheduler.score(caller or Caller(), Work(task, pairs.texts, pairs.index))


def similarity(scheduler: Scheduler, pairs: SentencePairs, caller: Caller | None = None) -> Answer:
    return ask(scheduler, "similarity", pairs, caller)


def requests(count: int, seed: int) -> list[list[tuple[str, str]]]:
    """Requests of 1 to 40 pairs of all lengths; half of them small enough for the event loop."""
    random = np.random.default_rng(seed)

    def text() -> str:
        return " ".join(random.choice(WORDS, random.choice(LENGTHS)))

    return [[(text(), text()) for _ in range(random.choice([1, 1, 2, 40]))] for _ in range(count)]


async def gather(calls: list[Coroutine[Any, Any, Any]]) -> list[Any]:
    return await asyncio.gather(*calls)


@pytest.mark.parametrize(("tokens", "pairs"), [(16_384, 256), (300, 256), (16_384, 3), (1, 1)])
def test_the_company_changes_no_bit(engine: Engine, tokens: int, pairs: int) -> None:
    scheduler = make(engine, tokens, pairs)
    asked = requests(30, seed=tokens + pairs)
    tasks: list[TaskName] = ["similarity", "entailment"]
    for task in tasks:
        answers = asyncio.run(gather([ask(scheduler, task, SentencePairs.of(request)) for request in asked]))
        for request, answer in zip(asked, answers, strict=True):
            np.testing.assert_array_equal(answer.values, engine.answer(task, request))
            assert answer.truncated == [False] * len(request)
    assert (scheduler.admission.items, scheduler.admission.tokens) == (0, 0)


def test_tasks_do_not_mix(engine: Engine) -> None:
    scheduler = make(engine)
    asked = requests(20, seed=1)

    async def all_tasks() -> list[Any]:
        calls: list[Coroutine[Any, Any, Any]] = []
        for request in asked:
            pairs = SentencePairs.of(request)
            calls += [ask(scheduler, "similarity", pairs), ask(scheduler, "entailment", pairs)]
            texts = [left for left, _ in request]
            calls += [scheduler.score(Caller(), Work("embed", texts, with_itself(len(texts))))]
        return await gather(calls)

    answers = iter(asyncio.run(all_tasks()))
    for request in asked:
        np.testing.assert_array_equal(next(answers).values, engine.answer("similarity", request))
        np.testing.assert_array_equal(next(answers).values, engine.answer("entailment", request))
        np.testing.assert_array_equal(next(answers).values, engine.embed([left for left, _ in request]))


def test_usage_and_timings(engine: Engine) -> None:
    limit = engine.bundle.manifest.max_tokens
    pairs = SentencePairs.of([("dog", "a " * (limit + 1)), ("dog", "man")])
    caller = Caller()
    scored = asyncio.run(similarity(make(engine), pairs, caller))
    assert scored.tokens == limit + 2
    assert scored.truncated == [True, False]
    assert caller.timings.tokenise > 0
    assert caller.timings.inference > 0
    assert caller.timings.queue >= 0


def samples(scheduler: Scheduler) -> dict[tuple[str, str], float]:
    """(name, task) to value."""
    text = scheduler._metrics.exposition().decode()
    families = text_string_to_metric_families(text)
    return {(s.name, s.labels.get("task", "")): s.value for family in families for s in family.samples}


def test_requests_of_one_turn_share_a_run(engine: Engine) -> None:
    scheduler = make(engine)
    small = [SentencePairs.of([("dog", f"man {number}")]) for number in range(8)]
    asyncio.run(gather([similarity(scheduler, pairs) for pairs in small]))
    found = samples(scheduler)
    assert found["cmow_inference_seconds_count", "similarity"] == 1
    assert found["cmow_batch_pairs_sum", "similarity"] == 8
    assert found["cmow_batch_tokens_sum", "similarity"] == 8 * 3
    assert found["cmow_queue_seconds_count", "similarity"] == 8
    assert found["cmow_tokenise_seconds_count", "similarity"] == 8


class Spy:
    """Wraps an engine's scoring: remembers the thread of each run, and can wait or fail."""

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads: list[str] = []
        self.pairs: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.poison: int | None = None
        self._score: Callable[..., Floats] = engine.score
        monkeypatch.setattr(engine, "score", self)

    def __call__(self, task: TaskName, packed: PackedTokens, pairs: Any) -> Floats:
        self.threads.append(threading.current_thread().name)
        self.pairs.append(len(pairs))
        assert self.gate.wait(10)
        if self.poison is not None and self.poison in packed.token_ids:
            raise InferenceError("poisoned")
        return self._score(task, packed, pairs)


@pytest.fixture
def spy(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Spy:
    return Spy(engine, monkeypatch)


LARGE = SentencePairs.of([(f"dog {number}", f"man {number}") for number in range(60)])
SMALL = SentencePairs.of([("dog", "man")])


def test_small_requests_run_on_the_event_loop_and_large_ones_on_the_thread(engine: Engine, spy: Spy) -> None:
    scheduler = make(engine)
    asyncio.run(gather([similarity(scheduler, SMALL)]))
    asyncio.run(gather([similarity(scheduler, LARGE)]))
    assert spy.threads[0] == "MainThread"
    assert spy.threads[1].startswith("inference")


def test_a_small_request_does_not_wait_for_a_large_one(engine: Engine, spy: Spy) -> None:
    scheduler = make(engine)

    async def both() -> None:
        spy.gate.clear()
        large = asyncio.ensure_future(similarity(scheduler, LARGE))
        while not spy.threads:
            await asyncio.sleep(0.001)
        spy.gate.set()  # the event loop must not wait here; the large one may still run or not
        await similarity(scheduler, SMALL)
        await large

    asyncio.run(both())
    assert spy.threads[1] == "MainThread"


def test_a_request_beyond_the_budget_lets_others_through(engine: Engine, spy: Spy) -> None:
    """Its pieces go to the back of the queue, so that a later whole request runs before its last one."""
    scheduler = make(engine, pairs=20)
    huge = SentencePairs.of([(f"dog {number}", f"man {number}") for number in range(100)])
    later = SentencePairs.of([(f"dog {number}", "music") for number in range(33)])
    order: list[str] = []

    async def finish(name: str, pairs: SentencePairs) -> None:
        await similarity(scheduler, pairs)
        order.append(name)

    asyncio.run(gather([finish("huge", huge), finish("later", later)]))
    assert order == ["later", "huge"]
    assert max(spy.pairs) == 20


def test_only_the_request_at_fault_fails(engine: Engine, spy: Spy) -> None:
    scheduler = make(engine)
    spy.poison = int(engine.tokenizer.encode(["guitar"]).token_ids[0])
    good, bad = SentencePairs.of([("dog", "man")]), SentencePairs.of([("dog", "guitar")])

    async def together() -> list[Any]:
        calls = [similarity(scheduler, pairs) for pairs in (good, bad, good)]
        return await asyncio.gather(*calls, return_exceptions=True)

    first, second, third = asyncio.run(together())
    assert isinstance(second, InferenceError)
    assert first.values == third.values
    assert spy.pairs == [3, 1, 1, 1]


@pytest.mark.parametrize("pairs", [SMALL, LARGE])
def test_what_is_unexpected_reaches_the_one_who_waits(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, pairs: SentencePairs
) -> None:
    def fail(*_: Any) -> Floats:
        raise RuntimeError("surprise")

    monkeypatch.setattr(engine, "score", fail)
    scheduler = make(engine)
    with pytest.raises(RuntimeError, match="surprise"):
        asyncio.run(gather([similarity(scheduler, pairs)]))
    assert scheduler.admission.items == 0


def test_a_deadline_that_has_passed(engine: Engine, spy: Spy) -> None:
    scheduler = make(engine)
    for pairs in (SMALL, LARGE):
        late = Caller(deadline=perf_counter() - 1)
        with pytest.raises(DeadlineError, match="which have passed"):
            asyncio.run(gather([similarity(scheduler, pairs, late)]))
    assert spy.threads == []


def test_a_deadline_that_passes_in_the_queue(engine: Engine, spy: Spy) -> None:
    scheduler = make(engine)

    async def queue() -> None:
        spy.gate.clear()
        first = asyncio.ensure_future(similarity(scheduler, LARGE))
        while not spy.threads:
            await asyncio.sleep(0.001)
        with pytest.raises(DeadlineError, match="within 20 ms"):
            await similarity(scheduler, LARGE, Caller(deadline=perf_counter() + 0.02))
        spy.gate.set()
        await first

    asyncio.run(queue())
    assert spy.pairs == [60]


def test_a_client_that_leaves_the_queue(engine: Engine, spy: Spy) -> None:
    scheduler = make(engine)

    async def leave() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def queue() -> None:
        spy.gate.clear()
        first = asyncio.ensure_future(similarity(scheduler, LARGE))
        while not spy.threads:
            await asyncio.sleep(0.001)
        with pytest.raises(ClientGoneError):
            await similarity(scheduler, LARGE, Caller(receive=leave))
        spy.gate.set()
        await first

    asyncio.run(queue())
    assert spy.pairs == [60]
    assert scheduler.admission.items == 0


def test_limits(engine: Engine) -> None:
    scheduler = Scheduler(Model(engine, LIMITS), Admission(61, 10**6, 130), Metrics())

    async def together() -> list[Any]:
        calls = [similarity(scheduler, pairs) for pairs in (LARGE, SMALL, SMALL)]
        return await asyncio.gather(*calls, return_exceptions=True)

    large, small, refused = asyncio.run(together())
    assert isinstance(large, TooManyTokensError)
    assert small.values.shape == (1,)
    assert isinstance(refused, OverloadedError)  # LARGE holds its place until its tokens are known
    assert (scheduler.admission.items, scheduler.admission.tokens) == (0, 0)
    scheduler.admission.max_request_tokens = 10**6
    large, small, refused = asyncio.run(together())
    assert (large.values.shape, small.values.shape) == ((60,), (1,))
    assert isinstance(refused, OverloadedError)


def test_texts_without_tokens_are_refused_and_hold_up_nobody(engine: Engine) -> None:
    async def beside(others: SentencePairs) -> list[Any]:
        scheduler = make(engine)
        empty = scheduler.model.pairs("similarity", Sides("dog", ["man", " "], ("left", "right")), "report")
        full = scheduler.model.pairs("similarity", Sides("dog", "man", ("left", "right")), "report")
        calls = [similarity(scheduler, others), scheduler.score(Caller(), empty), scheduler.score(Caller(), full)]
        return await asyncio.gather(*calls, return_exceptions=True)

    first, refused, last = asyncio.run(beside(SMALL))
    assert isinstance(refused, EmptyTextError)
    assert refused.message == "right[1]: expected text with at least one token, got none"
    assert (first.values.shape, last.values.shape) == ((1,), (1,))


def test_other_work(engine: Engine) -> None:
    scheduler = make(engine, items=2)
    assert asyncio.run(gather([scheduler.call(Caller(), 1, lambda: threading.current_thread().name)]))[0].startswith(
        "call"
    )

    async def too_much() -> None:
        gate = threading.Event()
        first = asyncio.ensure_future(scheduler.call(Caller(), 2, gate.wait))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await scheduler.call(Caller(), 1, int)
        gate.set()
        await first

    asyncio.run(too_much())


def test_who_leaves_before_the_turn_holds_up_nobody(engine: Engine) -> None:
    scheduler = make(engine)

    async def leave() -> list[Any]:
        asked = [asyncio.ensure_future(similarity(scheduler, pairs)) for pairs in (SMALL, SMALL, LARGE)]
        asyncio.get_running_loop().call_soon(asked[1].cancel)  # after all have asked, before their turn
        return await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 20)

    first, gone, last = asyncio.run(leave())
    assert isinstance(gone, asyncio.CancelledError)
    assert (first.values.shape, last.values.shape) == ((1,), (60,))
    assert (scheduler.admission.items, scheduler.admission.tokens) == (0, 0)
