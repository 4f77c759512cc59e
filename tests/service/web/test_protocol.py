"""The wire: bytes that no HTTP client would send, to a server that really listens, and what it says to them."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from threading import Thread

import pytest
import uvicorn

from cmow.service.model.engine import Engine
from cmow.service.options.settings import Settings
from cmow.service.serve.app import create_app
from cmow.service.web.protocol import MAX_HEAD_BYTES, Protocol
from tests.served import open_engine
from tests.tiny_bundle import TinyBundle

SECONDS = 1  # that a connection waits for its client
BODY = b'{"sentence1": "a dog", "sentence2": "the man"}'
HEAD = b"POST /similarity HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
POST = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
LIVE = b"GET /health/live HTTP/1.1\r\nHost: test\r\n\r\n"
OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"


@pytest.fixture(scope="module")
def engine(tiny_bundle: TinyBundle) -> Engine:
    return open_engine(tiny_bundle, "portable")


@pytest.fixture(scope="module")
def address(tiny_bundle: TinyBundle, engine: Engine) -> Iterator[tuple[str, int]]:
    app = create_app(Settings(bundle=tiny_bundle.path), engine)
    config = uvicorn.Config(app, http=Protocol, ws="none", log_config=None, timeout_keep_alive=SECONDS)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            server.should_exit = True
            thread.join(timeout=30)


@pytest.fixture
def client(address: tuple[str, int]) -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=30) as client:
        yield client


def replies(client: socket.socket, count: int) -> list[tuple[int, dict[str, object]]]:
    """The next ``count`` answers: status and JSON of each."""
    found = []
    with client.makefile("rb") as stream:
        for _ in range(count):
            status = int(stream.readline().split()[1])
            headers = dict(line.lower().split(b": ", 1) for line in iter(stream.readline, b"\r\n"))
            found.append((status, json.loads(stream.read(int(headers[b"content-length"])))))
    return found


def refusal(client: socket.socket) -> tuple[int, str]:
    """Status and type of the error after which the server closes the connection."""
    ((status, body),) = replies(client, 1)
    error = body["error"]
    assert isinstance(error, dict)
    assert error.keys() == {"type", "message", "param"}
    assert client.recv(1) == b""
    return status, error["type"]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\n\r\n",
        HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
    ],
    ids=["tls", "http2", "long path", "connect", "two lengths", "negative length", "chunk size"],
)
def test_not_http(client: socket.socket, request_bytes: bytes) -> None:
    client.sendall(request_bytes)
    assert refusal(client) == (400, "malformed_request")


def test_a_head_without_end(client: socket.socket) -> None:
    client.sendall(b"GET / HTTP/1.1\r\nX-Long: ")
    with pytest.raises(ConnectionError):  # while there is more to send
        client.sendall(b"a" * 100 * MAX_HEAD_BYTES)


def test_a_long_head_that_ends(client: socket.socket) -> None:
    client.sendall(LIVE[:-2] + b"".join(b"X-%d: a\r\n" % number for number in range(10_000)) + b"\r\n")
    assert replies(client, 1) == [(200, {"status": "ok"})]


@pytest.mark.parametrize(
    "beginning",
    [
        b"GET /health",
        HEAD,
        HEAD + b"Content-Length: 9\r\n\r\n{",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    ],
    ids=["path", "head", "body", "chunks"],
)
@pytest.mark.parametrize("before", [b"", LIVE], ids=["first", "second"])
def test_a_request_whose_rest_does_not_come(client: socket.socket, before: bytes, beginning: bytes) -> None:
    if before:
        assert replies_to(client, before, 1)[0][0] == 200
    client.sendall(beginning)
    assert refusal(client) == (408, "request_timeout")


@pytest.mark.parametrize("sent", [b"", b"\r\n", LIVE, LIVE + b"\r\n"], ids=["nothing", "empty line", "request", "both"])
def test_a_connection_without_a_request_is_closed(client: socket.socket, sent: bytes) -> None:
    client.sendall(sent)
    if LIVE in sent:
        assert replies(client, 1)[0][0] == 200
    assert client.recv(1) == b""


def test_an_offer_to_upgrade_is_answered_in_http_1(client: socket.socket) -> None:
    (plain,) = replies_to(client, POST, 1)
    offered = HEAD + OFFER + POST.removeprefix(HEAD)
    assert replies_to(client, offered, 1) == [plain]
    # As one piece, in single bytes, and with other requests around it.
    assert replies_to(client, LIVE + offered + offered + LIVE, 4)[1:3] == [plain, plain]
    for byte in offered:
        client.sendall(bytes([byte]))
    assert replies(client, 1) == [plain]
    chunked = HEAD + OFFER + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    assert replies_to(client, chunked, 1) == [plain]


def replies_to(client: socket.socket, data: bytes, count: int) -> list[tuple[int, dict[str, object]]]:
    client.sendall(data)
    return replies(client, count)


def test_requests_in_one_piece_are_answered_in_their_order(client: socket.socket) -> None:
    wrong = POST.replace(BODY, BODY.replace(b'"a dog"', b"1234567"))
    statuses = [status for status, _ in replies_to(client, (POST + wrong + LIVE) * 5, 15)]
    assert statuses == [200, 422, 200] * 5
