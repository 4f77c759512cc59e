"""Traces, sent to a collector that is a real HTTP server."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from starlette.testclient import TestClient

from cmow.service.errors import TracingError
from cmow.service.model.engine import Engine
from cmow.service.observe.tracing import tracer_provider
from cmow.service.options.settings import Settings
from cmow.service.serve.app import create_app

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"  # from the W3C's own example


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """Address, and the bodies that came."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", bodies
        server.shutdown()
        thread.join()


def test_spans_continue_the_trace_of_the_caller(
    settings: Settings, engine: Engine, collector: tuple[str, list[bytes]]
) -> None:
    trace_service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    endpoint, bodies = collector
    app = create_app(Settings(**(settings.model_dump() | {"otel_endpoint": endpoint})), engine)
    with TestClient(app) as client:
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        assert client.post("/similarity", json={"sentence1": "a", "sentence2": "b"}, headers=headers).status_code == 200
    (body,) = bodies  # the application sends what it has when it stops
    message = trace_service.ExportTraceServiceRequest.FromString(body)
    (resource,) = message.resource_spans
    spans = [span for scope in resource.scope_spans for span in scope.spans]
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    (server,) = [span for span in spans if span.parent_span_id.hex() == PARENT]
    assert server.name == "POST /similarity"
    attributes = {pair.key: pair.value for pair in server.attributes}
    assert attributes["http.route"].string_value == "/similarity"
    assert attributes["http.response.status_code"].int_value == 200


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(TracingError, match=r"traces to http://x need the extra otel \(pip install 'cmow\[otel\]'\)"):
        tracer_provider("http://x", "1")
