"""Compressed bodies: the same answer as plain ones, and never more bytes than a body may have."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from tests.served import MAX_BYTES
from tests.service.web.test_invalid_requests import JSON, check

PAIR = json.dumps({"sentence1": "a dog", "sentence2": "music"}).encode()


@pytest.mark.parametrize(
    ("name", "compress"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("GZip", gzip.compress),
        ("deflate", zlib.compress),
        ("identity", bytes),
        ("", bytes),
    ],
)
@pytest.mark.parametrize("path", ["/similarity", "/score"])
def test_the_answer_is_that_to_the_plain_body(
    client: TestClient, path: str, name: str, compress: Callable[[bytes], bytes]
) -> None:
    body = PAIR if path == "/similarity" else b'{"text_1": "a dog", "text_2": "music"}'
    reply = client.post(path, content=compress(body), headers=JSON | {"content-encoding": name})
    plain = client.post(path, content=body, headers=JSON)
    fields = {"scores", "data"} & plain.json().keys()
    assert fields
    assert {name: reply.json()[name] for name in fields} == {name: plain.json()[name] for name in fields}


@pytest.mark.parametrize("size", [MAX_BYTES - 1, MAX_BYTES, MAX_BYTES + 1, 1000 * MAX_BYTES])
def test_what_it_becomes_is_bounded(client: TestClient, size: int) -> None:
    body = gzip.compress(PAIR.ljust(size))
    assert len(body) < MAX_BYTES
    reply = client.post("/similarity", content=body, headers=JSON | {"content-encoding": "gzip"})
    if size <= MAX_BYTES:
        assert reply.status_code == 200
    else:
        assert f"at most {MAX_BYTES} bytes when inflated" in check(reply, 413, "body_too_large")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (PAIR, "expected gzip or deflate, as content-encoding says"),
        (gzip.compress(PAIR)[:-9], "its end missing"),
        (b"", "its end missing"),
        (gzip.compress(PAIR) + b"{}", "more after it"),
        (gzip.compress(PAIR)[:-8] + 8 * b"x", "incorrect data check"),
        (gzip.compress(b"{"), "expected JSON"),
    ],
)
def test_what_cannot_be_inflated(client: TestClient, body: bytes, says: str) -> None:
    reply = client.post("/similarity", content=body, headers=JSON | {"content-encoding": "gzip"})
    assert says in check(reply, 400, "malformed_body")


@pytest.mark.parametrize("name", ["br", "zstd", "gzip, gzip", "compress"])
def test_other_encodings_are_refused_with_those_that_are_not(client: TestClient, name: str) -> None:
    reply = client.post("/similarity", content=PAIR, headers=JSON | {"content-encoding": name})
    assert "gzip, deflate" in check(reply, 415, "unsupported_content_encoding")
    assert "gzip, deflate" in reply.headers["accept-encoding"]
