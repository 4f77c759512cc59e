"""The body limit on the level of ASGI, where a client's lies about the length can be told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from cmow.service.errors import BodyTooLargeError
from cmow.service.web.body import BodyLimit, parse_json

LIMIT = 100


class Client:
    """Sends ``chunks``, and remembers how many were taken."""

    def __init__(self, chunks: list[bytes], content_length: str | None) -> None:
        self.chunks = chunks
        self.taken = 0
        headers = [] if content_length is None else [(b"content-length", content_length.encode())]
        self.scope: Scope = {"type": "http", "headers": headers}

    async def receive(self) -> Message:
        self.taken += 1
        return {"type": "http.request", "body": self.chunks[self.taken - 1], "more_body": self.taken < len(self.chunks)}

    async def send(self, message: Message) -> None:
        raise AssertionError("nothing is to be sent")


def read(client: Client) -> bytes:
    """The body as an application behind the limit reads it."""
    body = b""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal body
        more = True
        while more:
            message: dict[str, Any] = dict(await receive())
            body += message["body"]
            more = message["more_body"]

    asyncio.run(BodyLimit(app, LIMIT)(client.scope, client.receive, client.send))
    return body


@pytest.mark.parametrize("content_length", [None, "100", "5", "0", "nonsense", "-1"])
def test_a_body_within_the_limit(content_length: str | None) -> None:
    assert read(Client([b"x" * 60, b"", b"x" * 40], content_length)) == b"x" * 100


@pytest.mark.parametrize("content_length", [None, "5", "0", "nonsense", "-1"])
def test_a_body_beyond_the_limit_is_not_read_to_its_end(content_length: str | None) -> None:
    client = Client([b"x" * 60] * 1000, content_length)
    with pytest.raises(BodyTooLargeError, match="expected at most 100 bytes, got 120 or more"):
        read(client)
    assert client.taken == 2


def test_a_declared_length_beyond_the_limit_is_not_read_at_all() -> None:
    client = Client([b"x"], "101")
    with pytest.raises(BodyTooLargeError, match="expected at most 100 bytes, got 101"):
        read(client)
    assert client.taken == 0


def test_other_protocols_pass() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    client = Client([], None)
    asyncio.run(BodyLimit(app, LIMIT)({"type": "lifespan"}, client.receive, client.send))
    assert seen == [{"type": "lifespan"}]


def test_json() -> None:
    assert parse_json(b'{"a": ["\\u00e9", 1.5, null, true]}') == {"a": ["é", 1.5, None, True]}
