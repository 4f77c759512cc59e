"""A small HTTP/1.1 client: one connection, ready-made requests, as little work of its own as possible.

A general client needs several times what the service needs for a request, and would measure itself.
"""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import dataclass, field
from typing import cast

import httptools

RECEIVE_BYTES = 1 << 20


@dataclass
class Reply:
    """One reply as it came."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class ConnectionLostError(Exception):
    """The server closed the connection; ``sent`` says whether a request was on its way."""

    def __init__(self, sent: bool) -> None:
        super().__init__("connection closed" + (" before the reply" if sent else ""))
        self.sent = sent


class Reading:
    """One reply while it comes."""

    def __init__(self) -> None:
        self.reply = Reply()
        self.complete = False
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        """For the parser."""
        self.reply.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """For the parser."""
        self.reply.body += body

    def on_message_complete(self) -> None:
        """For the parser."""
        self.reply.status = self._parser.get_status_code()
        self.complete = True


class BlockingConnection:
    """One connection without an event loop, whose turns take a fifth of the time of a request of one pair.

    Raises ``OSError`` where there is no server.
    """

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, request: bytes) -> Reply:
        """The reply to ``request``; raises ``ConnectionLostError``."""
        reading = Reading()
        try:
            self._socket.sendall(request)
            while not reading.complete:
                data = self._socket.recv(RECEIVE_BYTES)
                if not data:
                    raise ConnectionLostError(sent=True)
                reading.feed(data)
        except OSError as error:
            raise ConnectionLostError(sent=True) from error
        return reading.reply

    def close(self) -> None:
        """Leave."""
        self._socket.close()


class Connection(asyncio.Protocol):
    """One connection that carries one request at a time."""

    def __init__(self) -> None:
        self._waiting: asyncio.Future[Reply] | None = None
        self._lost = asyncio.Event()
        self._reading = Reading()

    @classmethod
    async def open(cls, host: str, port: int) -> Connection:
        """A connection to the server; raises ``OSError``."""
        _, connection = await asyncio.get_running_loop().create_connection(cls, host, port)
        return connection

    async def send(self, request: bytes) -> Reply:
        """The reply to ``request``; raises ``ConnectionLostError``."""
        if self._transport.is_closing():
            raise ConnectionLostError(sent=False)
        self._reading = Reading()
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting

    async def close(self) -> None:
        """Leave, and wait until the socket is closed."""
        self._transport.close()
        await self._lost.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """For asyncio."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its bases

    def data_received(self, data: bytes) -> None:
        """For asyncio."""
        self._reading.feed(data)
        if not self._reading.complete:
            return
        if self._reading.reply.headers.get("connection") == "close":
            self._transport.close()  # as the server is about to
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(self._reading.reply)

    def connection_lost(self, error: Exception | None) -> None:
        """For asyncio."""
        self._lost.set()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionLostError(sent=True))


def post(path: str, body: object) -> bytes:
    """A request, ready to be sent."""
    content = json.dumps(body).encode()
    lines = f"POST {path} HTTP/1.1", "host: test", "content-type: application/json", f"content-length: {len(content)}"
    return "\r\n".join([*lines, "", ""]).encode() + content
