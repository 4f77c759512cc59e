"""What every reply carries, and what the log and the metrics say of it."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from cmow.service.errors import error_types
from cmow.service.model.engine import Engine
from cmow.service.observe.logs import JsonFormatter
from cmow.service.observe.metrics import Metrics
from cmow.service.options.settings import Settings
from cmow.service.serve.app import create_app
from cmow.service.web.observation import Observation

PAIR = {"sentence1": "secret dog", "sentence2": "b"}


def make(settings: Settings, engine: Engine, **changes: Any) -> TestClient:
    return TestClient(create_app(Settings(**(settings.model_dump() | changes)), engine), raise_server_exceptions=False)


@pytest.mark.parametrize("given", ["a", "0f" * 16, "req-1.2:3/4+5=@6", "x" * 128])
def test_a_well_formed_request_id_is_kept(client: TestClient, given: str) -> None:
    assert client.get("/health/live", headers={"X-Request-ID": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", " ", "x" * 129, "a b", 'a"b', "é".encode(), "a\tb"])
def test_another_is_made_where_it_is_not(client: TestClient, given: Any) -> None:
    first, second = (client.get("/nowhere", headers={"X-Request-ID": given}).headers["x-request-id"] for _ in range(2))
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert first != second


def test_server_timing(client: TestClient) -> None:
    timing = client.post("/similarity", json=PAIR).headers["server-timing"]
    assert re.fullmatch(r"(tokenise|queue|inference);dur=\d+\.\d{3}, .*total;dur=\d+\.\d{3}", timing)
    parts = {name: float(value) for name, value in re.findall(r"(\w+);dur=([\d.]+)", timing)}
    assert parts.keys() == {"tokenise", "queue", "inference", "total"}
    assert parts["total"] >= parts["tokenise"] + parts["inference"]
    assert client.get("/info").headers["server-timing"].startswith("total;dur=")


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("1000", 200),
        ("9" * 99, 200),
        ("000005000", 200),
        (" 1000 ", 200),
        ("0", 400),
        ("000", 400),
        ("-1", 400),
        ("1.5", 400),
        ("", 400),
        ("x" * 99, 400),
        ("²", 400),
    ],
)
def test_the_timeout_header(client: TestClient, value: str, status: int) -> None:
    reply = client.post("/similarity", json=PAIR, headers={"X-Request-Timeout-Ms": value.encode()})
    assert reply.status_code == status
    if status == 400:
        assert reply.json()["error"]["type"] == "invalid_header"
        assert reply.json()["error"]["param"] == "X-Request-Timeout-Ms"


def test_an_answer_that_is_late_is_a_504(settings: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    encode = engine.tokenizer.encode

    def slow(texts: Any) -> Any:
        time.sleep(0.02)
        return encode(texts)

    monkeypatch.setattr(engine.tokenizer, "encode", slow)
    client = make(settings, engine)
    reply = client.post("/similarity", json=PAIR, headers={"X-Request-Timeout-Ms": "5"})
    assert reply.status_code == 504
    assert reply.json()["error"]["type"] == "deadline_exceeded"
    assert "within 5 ms" in reply.json()["error"]["message"]
    assert value(client, "cmow_dropped_total", reason="deadline") == 1
    late = make(settings, engine, request_timeout_ms=5)
    assert late.post("/similarity", json=PAIR, headers={"X-Request-Timeout-Ms": "60000"}).status_code == 504


def test_overload_is_a_429(settings: Settings, engine: Engine) -> None:
    client = make(settings, engine)
    admission = client.app.state.scheduler.admission  # type: ignore[attr-defined]
    admission.items = admission.max_items
    for body in (PAIR, {"sentence1": "a", "sentence2": ["b"] * 5}, "no JSON object"):
        reply = client.post("/similarity", json=body)
        assert reply.status_code == 429
        assert reply.headers["retry-after"] == "1"
        assert reply.json()["error"]["type"] == "overloaded"
    admission.items -= 2
    assert client.post("/similarity", json=PAIR).status_code == 200
    assert client.post("/similarity", json={"sentence1": "a", "sentence2": ["b"] * 3}).status_code == 429
    assert client.get("/health/live").status_code == 200
    assert value(client, "cmow_rejected_total") == 4


def value(client: TestClient, name: str, **labels: str) -> float:
    """Of the one series with these labels."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    (found,) = [s.value for f in families for s in f.samples if s.name == name and labels.items() <= s.labels.items()]
    return found


def test_all_series_are_there_from_the_start(settings: Settings, engine: Engine) -> None:
    with make(settings, engine) as client:
        document = client.get("/openapi.json").json()["paths"]
        for route, operations in document.items():
            for method, operation in operations.items():
                for status in operation["responses"]:
                    if route != "/metrics":
                        labels = {"method": method.upper(), "route": route, "status": status}
                        assert value(client, "cmow_requests_total", **labels) == 0
        for kind in (name for names in error_types().values() for name in names):
            assert value(client, "cmow_errors_total", type=kind) == 0
        for stage in ("tokenise_seconds", "queue_seconds", "inference_seconds", "batch_pairs", "batch_tokens"):
            for task in ("similarity", "paraphrase", "entailment", "embed"):
                assert value(client, f"cmow_{stage}_count", task=task) == 0
        assert value(client, "cmow_info", model="tiny", kernel=engine.kernel.name) == 1
        assert value(client, "cmow_degraded") == len(engine.degraded)


def test_counts(settings: Settings, engine: Engine) -> None:
    with make(settings, engine) as client:
        for _ in range(3):
            client.post("/similarity", json=PAIR)
        client.post("/similarity", json={})
        client.post("/similarity", json={"sentence1": "a " * 300, "sentence2": ["b", "c"]})
        assert value(client, "cmow_requests_total", route="/similarity", status="200") == 4
        assert value(client, "cmow_requests_total", route="/similarity", status="422") == 1
        assert value(client, "cmow_request_seconds_count", route="/similarity") == 5
        assert value(client, "cmow_errors_total", type="invalid_schema") == 1
        assert value(client, "cmow_truncated_total") == 2


def test_labels_are_bounded(settings: Settings, engine: Engine) -> None:
    with make(settings, engine) as client:
        for number in range(50):
            client.get(f"/no/{number}")
            client.request(f"VERB{number}", f"/similarity/{number}")
        lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith("cmow_requests_total")]
        found = {match[1] for line in lines if (match := re.search('route="([^"]*)"', line))}
        assert found == {*client.get("/openapi.json").json()["paths"], "unmatched"} | {"/openapi.json"} & found
        assert value(client, "cmow_requests_total", method="GET", route="unmatched", status="404") == 50


@pytest.mark.parametrize("log_texts", [False, True])
def test_the_access_log(settings: Settings, engine: Engine, caplog: pytest.LogCaptureFixture, log_texts: bool) -> None:
    client = make(settings, engine, access_log=True, log_texts=log_texts)
    with caplog.at_level(logging.INFO):
        client.post("/similarity", json=PAIR, headers={"X-Request-ID": "mine"})
        client.post("/similarity", json={"secret dog": 1})
    ours = [record for record in caplog.records if record.name == "cmow.access"]
    first, second = (json.loads(JsonFormatter().format(record)) for record in ours)
    assert first["request_id"] == "mine"
    assert (first["method"], first["route"], first["status"]) == ("POST", "/similarity", 200)
    assert (second["status"], second["error"]) == (422, "invalid_schema")
    assert first.get("texts") == (["secret dog", "b"] if log_texts else None)
    if not log_texts:
        assert "secret" not in json.dumps([first, second])


def test_a_log_line_is_one_line() -> None:
    try:
        raise ValueError("a\nb")
    except ValueError as error:
        record = logging.LogRecord(
            "n", logging.ERROR, "p", 1, "%s", ("x\ny",), (ValueError, error, error.__traceback__)
        )
    line = JsonFormatter().format(record)
    assert "\n" not in line
    entry = json.loads(line)
    assert (entry["level"], entry["logger"], entry["message"]) == ("error", "n", "x\ny")
    assert "ValueError: a\nb" in entry["exception"]


def test_what_is_unexpected_is_logged_with_its_request_id(
    settings: Settings, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    client = make(settings, engine)
    client.app.state.scheduler.score = None  # type: ignore[attr-defined]
    reply = client.post("/similarity", json=PAIR, headers={"X-Request-ID": "mine"})
    assert reply.status_code == 500
    assert reply.headers["x-request-id"] == "mine"
    assert reply.json()["error"] == {
        "type": "internal_error",
        "message": "the service failed; its log says why",
        "param": None,
    }
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.fields["request_id"] == "mine"  # type: ignore[attr-defined]
    assert value(client, "cmow_errors_total", type="internal_error") == 1


def test_an_error_after_the_reply_began_is_not_answered_twice(settings: Settings, engine: Engine) -> None:
    async def breaks(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("half way")

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError

    scope = {"type": "http", "method": "GET", "path": "/x", "headers": []}
    with pytest.raises(RuntimeError, match="half way"):
        asyncio.run(Observation(breaks, Metrics(), False, False)(scope, receive, send))
    assert [message["type"] for message in sent] == ["http.response.start"]
