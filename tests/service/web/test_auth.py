from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from cmow.service.model.engine import Engine
from cmow.service.options.settings import Settings
from cmow.service.serve.app import create_app

PAIR = {"sentence1": "a", "sentence2": "b"}


def client(settings: Settings, engine: Engine, **changes: Any) -> TestClient:
    values = settings.model_dump() | {"api_keys": "first key, sécond"} | changes
    return TestClient(create_app(Settings(**values), engine))


def test_keys_are_read_from_a_list_and_not_shown() -> None:
    keys = Settings(api_keys="a, b,c ").api_keys  # type: ignore[arg-type]
    assert [key.get_secret_value() for key in keys] == ["a", "b", "c"]
    assert "'a'" not in repr(keys)


@pytest.mark.parametrize("value", [",", "a,", ",a", "a,,b", " , "])
def test_an_empty_key_in_a_list_is_an_error(value: str) -> None:
    with pytest.raises(ValidationError, match="got an empty one"):
        Settings(api_keys=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["", "  "])
def test_no_list_at_all_is_no_key(value: str) -> None:
    assert Settings(api_keys=value).api_keys == ()  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["protect_health", "protect_metrics"])
def test_protection_without_keys_is_an_error(name: str) -> None:
    with pytest.raises(ValidationError, match="expected api_keys beside it, got none"):
        Settings(**{name: True})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer first key"},
        {"authorization": "bearer first key"},
        {"X-API-Key": "first key"},
        {"X-API-Key": "sécond".encode()},
    ],
)
def test_a_known_key(settings: Settings, engine: Engine, headers: Any) -> None:
    assert client(settings, engine).post("/similarity", json=PAIR, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({}, "got none"),
        ({"Authorization": "Basic first key"}, "got none"),
        ({"Authorization": "Bearer"}, "got none"),
        ({"Authorization": "Bearer first"}, "expected a known API key"),
        ({"X-API-Key": "first key2"}, "expected a known API key"),
        ({"X-API-Key": ""}, "expected a known API key"),
        ({"X-API-Key": b"\xff\xfe"}, "expected a known API key"),
    ],
)
def test_no_key_or_an_unknown_one(settings: Settings, engine: Engine, headers: Any, says: str) -> None:
    for method, path in (("POST", "/similarity"), ("GET", "/info"), ("GET", "/nowhere"), ("GET", "/openapi.json")):
        reply = client(settings, engine).request(method, path, headers=headers)
        assert reply.status_code == 401
        assert reply.headers["www-authenticate"] == "Bearer"
        assert reply.headers["x-request-id"]
        error = reply.json()["error"]
        assert error["type"] == "unauthorized"
        assert says in error["message"]
        assert "first" not in error["message"]


@pytest.mark.parametrize("protected", [False, True])
def test_health_and_metrics_are_open_unless_protected(settings: Settings, engine: Engine, protected: bool) -> None:
    guarded = client(settings, engine, protect_health=protected, protect_metrics=protected)
    for path in ("/health", "/health/live", "/health/ready", "/v1/health", "/metrics"):
        assert guarded.get(path).status_code == (401 if protected else 200)
        assert guarded.get(path, headers={"X-API-Key": "first key"}).status_code == 200
    assert guarded.get("/metricsx").status_code == 401


def test_cors_is_off_unless_set(settings: Settings, engine: Engine) -> None:
    preflight = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    closed = client(settings, engine)
    assert "access-control-allow-origin" not in closed.options("/similarity", headers=preflight).headers
    opened = client(settings, engine, cors_origins="https://a.example,https://b.example")
    reply = opened.options("/similarity", headers=preflight)  # a browser asks without a key
    assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (200, "https://a.example")
    other = opened.options("/similarity", headers=preflight | {"Origin": "https://c.example"})
    assert "access-control-allow-origin" not in other.headers
