"""``/check`` answers as ``Model.check`` does, and says what is wrong with a request."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from cmow.service.errors import InferenceError
from cmow.service.model.engine import TASKS, Engine, Task, TaskName
from cmow.service.model.model import UNBOUNDED, Model
from tests.service.web.test_invalid_requests import check

SOURCES, CLAIMS = ["A man is playing guitar. It rains!", "somebody makes music"], ["It rains.", "a woman plays"]


@pytest.mark.parametrize(
    "body",
    [
        {"sources": SOURCES, "claims": CLAIMS},
        {"evidence": SOURCES, "claim": CLAIMS[0]},
        {"sources": SOURCES[0], "answer": " ".join(CLAIMS)},
    ],
)
def test_it_answers_as_the_model_does(client: TestClient, engine: Engine, body: dict[str, Any]) -> None:
    found = client.post("/check", json=body).json()
    sources = body.get("sources", body.get("evidence"))
    claims = Model(engine, UNBOUNDED).check(sources, body.get("claims", body.get("claim")), body.get("answer"))
    for row, claim in zip(found["results"], claims, strict=True):
        assert (row["claim"], row["label"], row["probability"]) == (claim.claim, claim.label, claim.probability)
        assert row["evidence"] == vars(claim.evidence)
        assert (row["start"], row["stop"]) == (claim.span or (None, None))
    assert found["model"] == "tiny"
    assert found["usage"]["windows"] == (4 if sources == SOURCES else 3)
    assert found["usage"]["tokens"] > 0


def test_unknown_tokens_of_sources_and_claims_are_counted(client: TestClient) -> None:
    """In every window that has them."""
    body = {"sources": "A man \u4e00. It rains.", "claims": "a dog \u4e8c"}
    assert client.post("/check", json=body).json()["usage"]["unknown"] == 3


@pytest.mark.parametrize("task", ["embed", "entailment"])
def test_a_failure_is_an_error(client: TestClient, monkeypatch: pytest.MonkeyPatch, task: TaskName) -> None:
    def fail(*_: Any) -> Any:
        raise InferenceError("expected finite numbers, got nan")

    monkeypatch.setitem(TASKS, task, Task(TASKS[task].shape, fail))  # type: ignore[index]
    check(client.post("/check", json={"sources": SOURCES, "claims": CLAIMS}), 500, "internal_error")


@pytest.mark.parametrize(
    ("body", "kind", "param"),
    [
        ({}, "invalid_schema", "sources"),
        ({"claims": "a"}, "invalid_schema", "sources"),
        ({"sources": "a", "evidence": "b", "claims": "c"}, "invalid_schema", "sources"),
        ({"sources": "a"}, "invalid_schema", "claims"),
        ({"sources": "a", "claims": "b", "answer": "c"}, "invalid_schema", "claims"),
        ({"sources": ["a", 1], "claims": "b"}, "invalid_schema", "sources[1]"),
        ({"sources": "a", "answer": ["b"]}, "invalid_schema", "answer"),
        ({"sources": "a", "claims": "b", "more": 1}, "invalid_schema", "more"),
        ({"sources": [], "claims": "b"}, "empty_list", "sources"),
        ({"sources": ["a", " "], "claims": "b"}, "empty_text", "sources[1]"),
        ({"sources": "a", "claims": []}, "empty_list", "claims"),
        ({"evidence": "a", "claim": ""}, "empty_text", "claim"),
        ({"sources": "a", "answer": " "}, "empty_text", "answer"),
        ({"sources": "a", "claims": ["b", "\u4e00"]}, "unknown_text", "claims[1]"),
        ({"sources": "a" * 2001, "claims": "b"}, "text_too_long", "sources"),
        ({"sources": "a", "claims": ["b"] * 9}, "too_many_texts", "claims"),
        ({"sources": "a", "answer": "It rains. " * 9}, "too_many_texts", "answer"),
        ({"sources": ["a"] * 9, "claims": "b"}, "too_many_texts", "sources"),
    ],
)
def test_mistakes(client: TestClient, body: Any, kind: str, param: str) -> None:
    check(client.post("/check", json=body), 422, kind, param)
