"""Request bodies: counted while they come in, checked, and parsed as JSON."""

from __future__ import annotations

import codecs
import json
import math
import sys
from collections.abc import Callable
from email.message import Message as Header
from typing import Any, NoReturn, TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cmow.service.errors import BodyTooLargeError, ClientGoneError, MalformedBodyError, MediaTypeError
from cmow.service.web.headers import header

T = TypeVar("T")

JSON = b"application/json"
INLINE_BYTES = 65_536  # parsed in well under a millisecond


class BodyLimit:
    """ASGI middleware that lets no more than ``max_bytes`` of a request body through.

    The declared length is only used to refuse early; the bytes that come are what counts.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raise ``BodyTooLargeError`` in whatever reads the body, for the error handlers to answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared, received = _declared_length(scope), 0

        async def counted() -> Message:
            nonlocal received
            if declared > self.max_bytes:
                raise self._error(declared)
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_bytes:
                raise self._error(received, "or more")
            return message

        await self.app(scope, counted, send)

    def _error(self, size: int, *more: str) -> BodyTooLargeError:
        return BodyTooLargeError(" ".join([f"body: expected at most {self.max_bytes} bytes, got {size}", *more]))


def _declared_length(scope: Scope) -> int:
    value = header(scope, b"content-length") or b"0"
    return int(value) if value.isdigit() else 0


async def read_body(request: Request) -> bytes:
    """The body of a JSON request, not parsed yet.

    Raises ``MediaTypeError`` where it is declared as something else, and ``ClientGoneError`` where its end never comes.
    """
    declared = header(request.scope, b"content-type") or b""
    if declared != JSON:
        _check_media_type(declared.decode("latin-1"))
    parts, more = [], True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError("the client closed the connection before the end of the body")
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def _check_media_type(declared: str) -> None:
    parsed = Header()
    parsed["content-type"] = declared
    charset = parsed.get_param("charset", "utf-8")
    if not declared or parsed.get_content_type() != JSON.decode() or str(charset).lower() not in ("utf-8", "utf8"):
        raise MediaTypeError(f"content-type: expected application/json in UTF-8, got {declared[:100]!a}")


async def parse_body(body: bytes, build: Callable[[Any], T]) -> T:
    """``build`` of the JSON in ``body``; on a thread where the body is long, so that the event loop goes on."""
    if len(body) <= INLINE_BYTES:
        return build(parse_json(body))
    return await run_in_threadpool(lambda: build(parse_json(body)))


def parse_json(body: bytes) -> Any:
    """The value in ``body``; raises ``MalformedBodyError`` where it is not UTF-8, or not JSON (RFC 8259)."""
    try:
        return DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise MalformedBodyError(f"body: expected UTF-8, got byte 0x{body[error.start]:02x} at {error.start}") from None
    except json.JSONDecodeError as error:
        found = "a byte order mark (BOM)" if body.startswith(codecs.BOM_UTF8) else error.msg
        raise MalformedBodyError(f"body: expected JSON: {found} at character {error.pos}") from None
    except RecursionError:
        raise MalformedBodyError("body: expected JSON, got it nested too deeply") from None
    except ValueError:  # the one that is left
        most = sys.get_int_max_str_digits()
        raise MalformedBodyError(f"body: expected numbers of at most {most} digits, got one with more") from None


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedBodyError(f"body: expected JSON, which has no {name}")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise MalformedBodyError(f"body: expected numbers from -1.8e308 to 1.8e308, got {digits[:20]}")
    return number


DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
