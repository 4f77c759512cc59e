"""What an endpoint takes of its request, on the level of ASGI, where a client's lies about the length can be told."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import Request
from starlette.types import Message

from cmow.service.errors import BodyTooLargeError, OverloadedError
from cmow.service.schedule.admission import Admission
from cmow.service.text.strict_json import parse_json
from cmow.service.web.request import read_json

LIMIT = 100
TEXT = b'"' + b"x" * 98 + b'"'


class Client:
    """Sends ``chunks``, and remembers how many were taken."""

    def __init__(self, chunks: list[bytes], content_length: str | None) -> None:
        self.chunks = chunks
        self.taken = 0
        headers = [(b"content-type", b"application/json")]
        headers += [] if content_length is None else [(b"content-length", content_length.encode())]
        self.admission = Admission(10, 10, 10)
        state = SimpleNamespace(
            settings=SimpleNamespace(max_body_bytes=LIMIT), scheduler=SimpleNamespace(admission=self.admission)
        )
        self.request = Request({"type": "http", "headers": headers, "app": SimpleNamespace(state=state)}, self.receive)

    async def receive(self) -> Message:
        self.taken += 1
        return {"type": "http.request", "body": self.chunks[self.taken - 1], "more_body": self.taken < len(self.chunks)}

    def read(self) -> Any:
        return asyncio.run(read_json(self.request))


@pytest.mark.parametrize("content_length", [None, "100", "5", "0", "nonsense", "-1"])
def test_a_body_within_the_limit(content_length: str | None) -> None:
    assert Client([TEXT[:60], b"", TEXT[60:]], content_length).read() == json.loads(TEXT)


@pytest.mark.parametrize("content_length", [None, "5", "0", "nonsense", "-1"])
def test_a_body_beyond_the_limit_is_not_read_to_its_end(content_length: str | None) -> None:
    client = Client([b"x" * 60] * 1000, content_length)
    with pytest.raises(BodyTooLargeError, match="expected at most 100 bytes, got 120 or more"):
        client.read()
    assert client.taken == 2


def test_a_declared_length_beyond_the_limit_is_not_read_at_all() -> None:
    client = Client([b"x"], "101")
    with pytest.raises(BodyTooLargeError, match="expected at most 100 bytes, got 101"):
        client.read()
    assert client.taken == 0


def test_a_full_queue_reads_nothing() -> None:
    client = Client([TEXT], None)
    with client.admission.admit(10):
        with pytest.raises(OverloadedError, match="at most 10 pairs waiting, got 1 beside 10"):
            client.read()
        assert client.taken == 0
    assert client.read() == json.loads(TEXT)


def test_json() -> None:
    assert parse_json(b'{"a": ["\\u00e9", 1.5, null, true]}') == {"a": ["é", 1.5, None, True]}
