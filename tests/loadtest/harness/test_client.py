"""The two clients of the load tests: they read the same replies, and say when there is none."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from loadtest.harness.client import BlockingConnection, Connection, ConnectionLostError, Reply

REPLY = b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\nX-Request-ID: a\r\n\r\n{"a": 10}'
REQUEST = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n"
Send = Callable[[str, int, int], list[Reply]]


@contextmanager
def server(pieces: Sequence[bytes], answers: int) -> Iterator[tuple[str, int]]:
    """Host and port of a server that answers ``answers`` requests of one connection, in ``pieces``, and closes it."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(answers):
                connection.recv(len(REQUEST))
                for piece in pieces:
                    connection.sendall(piece)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()
        thread.join()


def blocking(host: str, port: int, requests: int) -> list[Reply]:
    connection = BlockingConnection(host, port)
    try:
        return [connection.send(REQUEST) for _ in range(requests)]
    finally:
        connection.close()


def on_event_loop(host: str, port: int, requests: int) -> list[Reply]:
    async def send() -> list[Reply]:
        connection = await Connection.open(host, port)
        replies = [await connection.send(REQUEST) for _ in range(requests)]
        await connection.close()
        return replies

    return asyncio.run(send())


@pytest.mark.parametrize("send", [blocking, on_event_loop])
@pytest.mark.parametrize("pieces", [[REPLY], [REPLY[:20], REPLY[20:-3], REPLY[-3:]], [bytes([byte]) for byte in REPLY]])
def test_replies_are_read_however_they_come(send: Send, pieces: list[bytes]) -> None:
    with server(pieces, answers=2) as (host, port):
        replies = send(host, port, 2)
    assert replies == [Reply(200, {"content-length": "9", "x-request-id": "a"}, b'{"a": 10}')] * 2


@pytest.mark.parametrize("send", [blocking, on_event_loop])
@pytest.mark.parametrize("pieces", [[], [REPLY[:-1]]])
def test_a_connection_that_closes_before_the_reply_is_lost(send: Send, pieces: list[bytes]) -> None:
    with server(pieces, answers=1) as (host, port), pytest.raises(ConnectionLostError, match="before the reply"):
        send(host, port, 1)
