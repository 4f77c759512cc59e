"""The demonstrations against a server of their own; each must notice what it is there to notice."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from cmow.service.model.engine import TaskName
from cmow.service.model.model import Model
from cmow.service.options.settings import Settings
from cmow.service.text.texts import TextLimits
from loadtest.cost import dispatch, overhead, profile
from loadtest.endurance import overload, soak, stop
from loadtest.harness.client import Connection
from loadtest.harness.processes import Running, serving
from loadtest.harness.traffic import Question, percentile, questions
from tests.served import open_engine
from tests.tiny_bundle import TinyBundle


async def ask(server: Running, sizes: Sequence[int] = (1, 3)) -> list[Question]:
    return await questions(server, 4, tuple(sizes))


async def statuses(server: Running, wrong: bool) -> dict[str, int]:
    asked = await ask(server)
    if wrong:  # each gets the answer to another
        asked = [replace(own, answer=other.answer) for own, other in zip(asked, [*asked[1:], asked[0]], strict=True)]
    outcome, _ = await overload.closed_loop(server, asked, 2, 0.2)
    return dict(outcome.statuses)


def test_right_answers_count_as_such(server: Running) -> None:
    assert asyncio.run(statuses(server, wrong=False)).keys() == {"200"}


def test_mixed_up_answers_are_found(server: Running) -> None:
    assert asyncio.run(statuses(server, wrong=True)).keys() == {"wrong answer"}


def test_a_lost_request_is_counted(tiny_bundle: TinyBundle) -> None:
    async def lose(dying: Running) -> overload.Outcome:
        asked = await ask(dying)
        connection = await Connection.open(dying.host, dying.port)
        outcome = overload.Outcome()
        dying.process.kill()
        dying.process.wait()
        await outcome.ask(connection, asked[0], 0)
        await connection.close()
        return outcome

    with serving("cmow.service.serve.cli", ["--bundle", str(tiny_bundle.path)]) as dying:
        assert asyncio.run(lose(dying)).statuses == {"lost": 1}


def test_overload_refuses_and_loses_nothing(server: Running) -> None:
    async def flood() -> overload.Outcome:
        return await overload.open_loop(server, await ask(server, (8,)), rate=1e6, seconds=5e-4)

    found = asyncio.run(flood()).statuses
    assert sum(found.values()) == 500
    assert found.keys() <= {"200", "429"}
    assert found["429"] > 0


def test_soak_says_what_is_wrong(server: Running) -> None:
    options = argparse.Namespace(pairs=2000, minutes=0.05, warm_up=0.0, growth=float("inf"), connections=1)
    assert asyncio.run(soak.soak(server, options)) == []
    options.growth = -1.0  # no growth is small enough
    assert "RSS grew" in asyncio.run(soak.soak(server, options))[0]


def test_signals_lose_no_request(tiny_bundle: TinyBundle) -> None:
    options = argparse.Namespace(workers=1, seconds=0.3, bound=60.0, connections=4)
    with serving("cmow.service.serve.cli", ["--bundle", str(tiny_bundle.path)]) as running:
        assert asyncio.run(stop.demonstrate(running, options)) == []


def test_a_killed_server_is_not_a_stopped_one(tiny_bundle: TinyBundle) -> None:
    options = argparse.Namespace(workers=1, seconds=0.1, bound=60.0, connections=2)

    async def kill_first(running: Running) -> list[str]:
        load = stop.Load(running, await ask(running))
        running.process.kill()
        return await stop.terminate(running, load, options)

    with serving("cmow.service.serve.cli", ["--bundle", str(tiny_bundle.path)]) as running:
        assert "exit status -9" in asyncio.run(kill_first(running))


def test_overhead_counts_requests_and_refuses_failures(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    found = asyncio.run(overhead.ask_all(server, 2, 0.2))
    assert found.rate > 0
    assert found.cpu > 0
    monkeypatch.setattr(overhead, "PAIR", {"sentence1": "a"})
    with pytest.raises(RuntimeError, match="expected 200, got 422"):
        asyncio.run(overhead.ask_all(server, 2, 0.2))


def test_dispatch_times_every_way(tiny_bundle: TinyBundle) -> None:
    model = Model(open_engine(tiny_bundle, "portable"), TextLimits(64, 1000, 1000))
    sentences = dispatch.SentencePairs.of([("a dog", "the man")])
    tasks: list[TaskName] = ["similarity", "entailment"]
    for task in tasks:
        ways = dispatch.ways(model, task, sentences)
        assert ways.keys() == {"inline", "thread", "scheduler"}
        for way in ways.values():

            async def timed(way: dispatch.Ask = way) -> float:
                return await dispatch.microseconds(way, together=2, rounds=2)

            assert asyncio.run(timed()) > 0


def test_profile_measures_every_layer(tiny_bundle: TinyBundle) -> None:
    apps = profile.layers(Settings(bundle=tiny_bundle.path, threads=1))
    found = asyncio.run(profile.measure(apps, connections=2, rounds=2))
    assert list(found) == list(apps)
    assert found["HTTP server"] < found["+ model"]


def test_percentiles_are_milliseconds_by_rank() -> None:
    assert percentile([0.003, 0.001, 0.002], 0.5) == pytest.approx(2)
    assert percentile([0.001], 0.99) == pytest.approx(1)
