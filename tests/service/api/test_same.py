"""``/same`` answers as ``Model.same`` does, and says what is wrong with a request."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from starlette.testclient import TestClient

from cmow.service.errors import InferenceError
from cmow.service.model.engine import TASKS, Engine, Task, TaskName
from cmow.service.model.model import UNBOUNDED, Model
from tests.service.web.test_invalid_requests import check

QUERY, CANDIDATES = "a man is playing guitar", ["it rains", "somebody makes music", "a man is playing the guitar"]


@pytest.mark.parametrize(
    "thresholds",
    [None, {}, {"similarity": 0.5}, {"similarity": -1, "paraphrase": 0, "contradiction": 1}, {"contradiction": None}],
)
def test_it_answers_as_the_model_does(client: TestClient, engine: Engine, thresholds: dict[str, float] | None) -> None:
    body = {"query": QUERY, "candidates": CANDIDATES} | ({} if thresholds is None else {"thresholds": thresholds})
    found = client.post("/same", json=body).json()
    expected = [asdict(match) for match in Model(engine, UNBOUNDED).same(QUERY, CANDIDATES, **thresholds or {})]
    assert found["results"] == [{name: row[name] for name in row if name != "candidate"} for row in expected]
    assert found["model"] == "tiny"
    assert found["usage"]["truncated"] == [False] * len(CANDIDATES)
    assert found["usage"]["tokens"] == engine.tokenizer.encode([QUERY, *CANDIDATES]).token_ids.size


@pytest.mark.parametrize("task", ["similarity", "paraphrase", "entailment"])
def test_a_failure_is_an_error_and_never_a_yes(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, task: TaskName
) -> None:
    def fail(*_: Any) -> Any:
        raise InferenceError("expected finite numbers, got nan")

    monkeypatch.setitem(TASKS, task, Task(TASKS[task].shape, fail))  # type: ignore[index]
    asked = {"similarity": -1, "paraphrase": 0, "contradiction": 1}
    reply = client.post("/same", json={"query": QUERY, "candidates": CANDIDATES, "thresholds": asked})
    check(reply, 500, "internal_error")


@pytest.mark.parametrize(
    ("body", "kind", "param"),
    [
        ({"candidates": ["a"]}, "invalid_schema", "query"),
        ({"query": "a"}, "invalid_schema", "candidates"),
        ({"query": ["a"], "candidates": ["a"]}, "invalid_schema", "query"),
        ({"query": "a", "candidates": "a"}, "invalid_schema", "candidates"),
        ({"query": "a", "candidates": ["a", 1]}, "invalid_schema", "candidates[1]"),
        ({"query": "a", "candidates": []}, "empty_list", "candidates"),
        ({"query": " ", "candidates": ["a"]}, "empty_text", "query"),
        ({"query": "a", "candidates": ["a", ""]}, "empty_text", "candidates[1]"),
        ({"query": "a", "candidates": ["a"] * 9}, "too_many_pairs", "candidates"),
        ({"query": "a", "candidates": ["a " * 300]}, "text_too_long", "candidates[0]"),
        (
            {"query": "a", "candidates": ["a"], "thresholds": {"paraphrase": 2}},
            "invalid_schema",
            "thresholds.paraphrase",
        ),
        ({"query": "a", "candidates": ["a"], "thresholds": {"cosine": 0}}, "invalid_schema", "thresholds.cosine"),
        ({"query": "a", "candidates": ["a"], "thresholds": 0.5}, "invalid_schema", "thresholds"),
        ({"query": "a", "candidates": ["a"], "threshold": 0.5}, "invalid_schema", "threshold"),
    ],
)
def test_mistakes(client: TestClient, body: Any, kind: str, param: str) -> None:
    check(client.post("/same", json=body), 422, kind, param)
