"""The Ray Serve application answers as the service does."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest
from starlette.testclient import TestClient

from cmow.service.options.settings import Settings
from cmow.service.serve.app import create_app
from tests.served import MAX_PAIRS, open_engine
from tests.tiny_bundle import TinyBundle

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None, reason='no ray: pip install ".[ray]", then pytest -m ray'
    ),
]
SERVING = """
import socket, sys
from ray import serve
from cmow.service.serve.ray_app import build
from cmow.service.bulk.ray_cluster import cluster
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
with cluster(2):
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(build({"max_pairs": sys.argv[1]}))
    print(f"serving at {port}", flush=True)
    sys.stdin.read()
    serve.shutdown()
"""
REQUESTS: list[Any] = [
    {"sentence1": "a dog", "sentence2": ["music", "the man is playing guitar"]},
    {"sentence1": "a dog"},
    {"sentence1": "a dog", "sentence2": ["music"] * (MAX_PAIRS + 1)},
    {"sentence1": "", "sentence2": "music"},
]


@pytest.fixture(scope="module")
def port(tiny_bundle: TinyBundle) -> Iterator[int]:
    environment = os.environ | {
        "CMOW_BUNDLE": str(tiny_bundle.path),
        "CMOW_THREADS": "1",
    }
    command = [sys.executable, "-c", SERVING, str(MAX_PAIRS)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        found = next((match for line in process.stdout if (match := re.match(r"serving at (\d+)", line))), None)
        assert found is not None
        yield int(found[1])
        process.communicate("")
    assert process.returncode == 0


def test_replies_and_errors_are_those_of_the_service(port: int, tiny_bundle: TinyBundle) -> None:
    settings = Settings(max_pairs=MAX_PAIRS)
    client = TestClient(create_app(settings, open_engine(tiny_bundle, "fused")))
    for body in REQUESTS:
        expected = client.post("/similarity", json=body)
        assert ask(port, "POST", "/similarity", json.dumps(body)) == (expected.status_code, expected.json())


def test_ready_and_documented(port: int) -> None:
    assert ask(port, "GET", "/health/ready") == (200, {"status": "ok"})
    assert "/entailment" in ask(port, "GET", "/openapi.json")[1]["paths"]


def ask(port: int, method: str, path: str, body: str | None = None) -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, body, {"Content-Type": "application/json"})
    reply = connection.getresponse()
    content = json.loads(reply.read())
    connection.close()
    return reply.status, content
