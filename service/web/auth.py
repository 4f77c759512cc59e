"""API keys."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from hashlib import sha256

from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from cmow.service.errors import UnauthorizedError
from cmow.service.web.replies import send_error

BEARER = b"bearer "


class Auth:
    """ASGI middleware that lets nobody in without one of ``keys``, but to ``open_paths`` and below.

    A key comes as ``Authorization: Bearer KEY`` or ``X-API-Key: KEY``.
    """

    def __init__(self, app: ASGIApp, keys: Sequence[SecretStr], open_paths: Sequence[str]) -> None:
        self.app = app
        self._open_paths = tuple(open_paths)
        # Digests are of one length, so that the time of a comparison does not tell a key's.
        self._digests = [sha256(key.get_secret_value().encode()).digest() for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer with ``UnauthorizedError``."""
        if scope["type"] == "http" and not self._open(scope["path"]):
            given = _given(scope["headers"])
            if given is None:
                error = UnauthorizedError("expected an API key in Authorization: Bearer or X-API-Key, got none")
                return await send_error(error, scope, receive, send)
            if not self._known(given):
                return await send_error(UnauthorizedError("expected a known API key"), scope, receive, send)
        return await self.app(scope, receive, send)

    def _open(self, path: str) -> bool:
        return any(path == start or path.startswith(f"{start}/") for start in self._open_paths)

    def _known(self, given: bytes) -> bool:
        digest = sha256(given).digest()
        # All are compared, so that the time does not tell which one it was.
        return sum(hmac.compare_digest(digest, known) for known in self._digests) > 0


def _given(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    for name, value in headers:
        if name == b"x-api-key":
            return value.strip()
        if name == b"authorization" and value[: len(BEARER)].lower() == BEARER:
            return value[len(BEARER) :].strip()
    return None
