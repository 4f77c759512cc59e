"""The short way and the framework's own: the same replies, but for ids and times."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from cmow.service.model.engine import Engine
from cmow.service.observe.metrics import Metrics
from cmow.service.options.settings import Settings
from cmow.service.serve.app import create_app
from cmow.service.web.schemas import EntailmentResponse, SimilarityResponse
from cmow.service.web.shortcut import ShortCut

PAIR = {"sentence1": "a dog", "sentence2": ["the man", "it rains"]}
NLI = {"premise": "a dog", "hypothesis": "the man"}
BARE = {"inputs": {"source_sentence": "a dog", "sentences": ["the man", "it rains"]}}


@pytest.fixture(scope="module")
def ways(settings: Settings, engine: Engine) -> tuple[TestClient, TestClient]:
    """The short way, and the same application without it."""
    short, plain = create_app(settings, engine), create_app(settings, engine)
    assert ShortCut in [middleware.cls for middleware in short.user_middleware]
    plain.user_middleware = [middleware for middleware in plain.user_middleware if middleware.cls is not ShortCut]
    return TestClient(short, raise_server_exceptions=False), TestClient(plain, raise_server_exceptions=False)


@pytest.mark.parametrize("path", ["/similarity", "/entailment", "/similarity/", "/nowhere"])
@pytest.mark.parametrize("method", ["POST", "GET", "OPTIONS"])
@pytest.mark.parametrize(
    "body", [PAIR, NLI, BARE, {}, [], {"sentence1": " ", "sentence2": "a"}, {"sentence1": "a", "sentence2": []}]
)
def test_both_ways_give_the_same_reply(ways: tuple[TestClient, TestClient], path: str, method: str, body: Any) -> None:
    short, plain = (client.request(method, path, json=body, follow_redirects=False) for client in ways)
    assert (short.status_code, short.content) == (plain.status_code, plain.content)
    varying = {"x-request-id", "server-timing"}
    assert {name: value for name, value in short.headers.items() if name not in varying} == {
        name: value for name, value in plain.headers.items() if name not in varying
    }


def test_both_ways_are_counted_under_the_route(settings: Settings, engine: Engine) -> None:
    app = create_app(settings, engine)
    client = TestClient(app)
    client.post("/similarity", json=PAIR)
    client.post("/entailment", json={})
    metrics: Metrics = app.state.metrics
    text = metrics.exposition().decode()
    assert 'cmow_requests_total{method="POST",route="/similarity",status="200"} 1.0' in text
    assert 'cmow_requests_total{method="POST",route="/entailment",status="422"} 1.0' in text


def test_replies_are_what_the_schema_says(ways: tuple[TestClient, TestClient]) -> None:
    SimilarityResponse.model_validate_json(ways[0].post("/similarity", json=PAIR).content)
    EntailmentResponse.model_validate_json(ways[0].post("/entailment", json=NLI).content)


def test_an_unexpected_error_is_a_500(settings: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app(settings, engine)
    monkeypatch.delattr(app.state, "scheduler")
    reply = TestClient(app, raise_server_exceptions=False).post("/similarity", json=PAIR)
    assert reply.status_code == 500
    assert reply.json()["error"]["type"] == "internal_error"
