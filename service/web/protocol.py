"""HTTP/1.1 as uvicorn speaks it, with what it leaves open: clients that stall, endless heads, and offers to upgrade.

What is refused here never becomes a request: no endpoint, no metric, but the one shape of errors.
"""

from __future__ import annotations

import asyncio
from asyncio.events import TimerHandle

from httptools import HttpParserError, HttpParserUpgrade
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from cmow.service.errors import HeadTooLargeError, MalformedRequestError, RequestError, StalledError, status_of
from cmow.service.web.schemas import ErrorDetail, ErrorResponse

# More than one read brings, the begin of which may belong to the request before.
MAX_HEAD_BYTES = 512 * 1024


class Protocol(HttpToolsProtocol):
    """One connection. Its client has ``timeout_keep_alive`` seconds for a first request, and for the rest of any.

    An offer to upgrade, as ``curl --http2`` and Java's client make it, is declined by answering in HTTP/1.1.
    """

    _behind_since: float | None = None  # when a request began, or could have begun, whose end has not come
    _head_bytes = 0  # of a head whose end has not come
    _watch: TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._behind_since = self.loop.time()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse ``data``; here, and not in what this replaces, empty lines do not keep a connection open."""
        try:
            left = self._parse(data)
            while left:
                left = self._parse(left)
        except HttpParserError as error:
            self._refuse(MalformedRequestError(f"expected a request in HTTP/1.1: {error}"))
        else:
            self._check_head(len(data))

    def _parse(self, data: bytes) -> bytes:
        """What is left to parse: after an offer to upgrade the parser stops without the body."""
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as offer:
            if self.parser.get_method() == b"CONNECT":
                raise HttpParserError("CONNECT is for proxies") from None
            return self._head_without_offer() + data[offer.args[0] :]
        return b""

    def _head_without_offer(self) -> bytes:
        first = b" ".join([self.parser.get_method(), self.url, b"HTTP/" + self.parser.get_http_version().encode()])
        headers = (b": ".join(header) for header in self.headers if header[0] != b"upgrade")
        return b"\r\n".join([first, *headers, b"", b""])

    def on_message_begin(self) -> None:
        """A request begins."""
        self._unset_keepalive_if_required()
        self._behind_since = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is there; one with an offer comes again without."""
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Its end is there."""
        if not self.parser.should_upgrade():
            self._behind_since = None
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse in the one shape of errors."""
        self._refuse(MalformedRequestError(msg))

    def _check_head(self, size: int) -> None:
        """Refuse a head that does not end; only a complete one has a method."""
        in_head = bool(self.scope) and "method" not in self.scope
        self._head_bytes = self._head_bytes + size if in_head else 0
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(HeadTooLargeError(f"expected a head of at most {MAX_HEAD_BYTES} bytes, got more"))

    def _look(self) -> None:
        """Refuse a client that is behind for too long, and look again when it may be."""
        now = self.loop.time()
        # Where reading is paused it is the service that is behind.
        since = now if self._behind_since is None or self.flow.read_paused else self._behind_since
        if now - since < self.timeout_keep_alive:
            self._watch = self.loop.call_at(since + self.timeout_keep_alive, self._look)
        elif bool(self.scope):
            self._refuse(StalledError(f"expected a whole request within {self.timeout_keep_alive} s"))
        else:  # nothing has come to answer
            self.transport.close()

    def _refuse(self, error: RequestError) -> None:
        """Answer with ``error``, unless that would be in the midst of another answer, and close the connection."""
        if self.transport.is_closing():
            return
        self.logger.info("refused a connection: %s", error.message)
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(_reply(error))
        self.transport.close()


def _reply(error: RequestError) -> bytes:
    detail = ErrorDetail(type=error.type, message=error.message, param=error.param)
    body = ErrorResponse(error=detail).model_dump_json().encode()
    headers = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
    return STATUS_LINE[status_of(type(error))] + headers + body
