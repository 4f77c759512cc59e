"""What an endpoint takes of its request: who waits, until when, and the JSON in the body."""

from __future__ import annotations

from email.message import Message as Header
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.types import Scope

from cmow.service.errors import (
    BodyTooLargeError,
    ClientGoneError,
    HeaderError,
    MediaTypeError,
)
from cmow.service.options.settings import Settings
from cmow.service.schedule.admission import Admission
from cmow.service.schedule.caller import Caller
from cmow.service.text.strict_json import parse_json
from cmow.service.web.encoding import inflate, is_compressed
from cmow.service.web.headers import header

TIMEOUT = "X-Request-Timeout-Ms"
MAX_DIGITS = 18  # a longer number is beyond any limit, and costs much to read
JSON = b"application/json"
INLINE_BYTES = 65_536  # parsed in well under a millisecond


def caller_of(request: Request) -> Caller:
    """Who waits for the answer, with the deadline; raises ``HeaderError``."""
    caller: Caller = request.scope["state"]["caller"]
    settings: Settings = request.app.state.settings
    caller.deadline = caller.arrived + _timeout_ms(request.scope, settings.request_timeout_ms) / 1000
    return caller


def _timeout_ms(scope: Scope, longest: int) -> int:
    given = header(scope, TIMEOUT.lower().encode())
    if given is None:
        return longest
    asked = given.decode("latin-1").strip()
    digits = asked.lstrip("0")
    if not (asked.isascii() and asked.isdigit() and digits):
        raise HeaderError(f"{TIMEOUT}: expected a whole number of milliseconds above 0, got {asked[:20]!a}", TIMEOUT)
    return longest if len(digits) > MAX_DIGITS else min(longest, int(digits))


async def read_json(request: Request) -> Any:
    """The value in the body; a long or compressed one is parsed on a thread, so that the event loop goes on.

    Raises ``OverloadedError`` before a byte is read where not even one pair would be admitted, ``MediaTypeError``,
    ``BodyTooLargeError``, ``MalformedBodyError``, and ``ClientGoneError`` where the body's end never comes.
    """
    admission: Admission = request.app.state.scheduler.admission
    if admission.full:
        raise admission.no_room()
    _check_media_type(header(request.scope, b"content-type") or b"")
    compressed = is_compressed(header(request.scope, b"content-encoding") or b"")
    most: int = request.app.state.settings.max_body_bytes
    body = await _read(request, most)
    if compressed:
        return await run_in_threadpool(lambda: parse_json(inflate(body, most)))
    return parse_json(body) if len(body) <= INLINE_BYTES else await run_in_threadpool(parse_json, body)


async def _read(request: Request, most: int) -> bytes:
    """The body, of at most ``most`` bytes: the declared length only refuses early, the bytes that come are counted."""
    declared = header(request.scope, b"content-length") or b"0"
    if declared.isdigit() and int(declared) > most:
        raise BodyTooLargeError(f"body: expected at most {most} bytes, got {int(declared)}")
    parts, size, more = [], 0, True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError("the client closed the connection before the end of the body")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            raise BodyTooLargeError(f"body: expected at most {most} bytes, got {size} or more")
        more = message.get("more_body", False)
    return b"".join(parts)


def _check_media_type(declared: bytes) -> None:
    if declared == JSON:
        return
    text, parsed = declared.decode("latin-1"), Header()
    parsed["content-type"] = text
    charset = parsed.get_param("charset", "utf-8")
    if not text or parsed.get_content_type() != JSON.decode() or str(charset).lower() not in ("utf-8", "utf8"):
        raise MediaTypeError(f"content-type: expected application/json in UTF-8, got {text[:100]!a}")
