"""ASGI middleware around everything else: who calls, how long it took, what came of it."""

from __future__ import annotations

import logging
import os
import re
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cmow.service.errors import CmowError
from cmow.service.observe.metrics import UNMATCHED, Metrics
from cmow.service.schedule.caller import Caller
from cmow.service.web.headers import header
from cmow.service.web.replies import send_error

logger = logging.getLogger("cmow.access")

REQUEST_ID = b"x-request-id"
WELL_FORMED = re.compile(rb"[\w.:/+=@-]{1,128}", re.ASCII)
ROUTELESS = frozenset({"/", "/docs", "/docs/oauth2-redirect", "/openapi.json", "/redoc"})  # plain routes


class Observation:
    """Gives each request a ``Caller`` and a request id, its reply ``X-Request-ID`` and ``Server-Timing``.

    Counts it, logs it if ``access_log`` (with its texts if ``log_texts``), and answers what nobody else caught.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, access_log: bool, log_texts: bool) -> None:
        self.app = app
        self._metrics = metrics
        self._access_log = access_log
        self._log_texts = log_texts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application; never raises ``Exception`` for a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        caller = Caller(_request_id(scope), receive=receive)
        scope.setdefault("state", {})["caller"] = caller
        status = 0

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_headers(caller)]
            await send(message)

        try:
            await self.app(scope, receive, observed)
        except Exception as error:
            logger.error("%s %s failed", scope["method"], scope["path"], exc_info=error, extra=_fields(caller))
            if status:
                raise  # too late to answer: the server closes the connection
            await send_error(CmowError("unexpected"), scope, receive, observed)
        finally:
            self._note(scope, caller, status)

    def _note(self, scope: Scope, caller: Caller, status: int) -> None:
        seconds = perf_counter() - caller.arrived
        method, route = scope["method"], _route(scope)
        self._metrics.replied(method, route, status, seconds, caller.error)
        if self._access_log:
            texts = {"texts": list(caller.texts)} if self._log_texts else {}
            fields = _fields(caller, method=method, route=route, status=status, seconds=round(seconds, 6), **texts)
            logger.info("%s %s %d", method, route, status, extra=fields)


def _request_id(scope: Scope) -> str:
    given = header(scope, REQUEST_ID)
    if given is not None and WELL_FORMED.fullmatch(given):
        return given.decode("ascii")
    return os.urandom(16).hex()


def _headers(caller: Caller) -> list[tuple[bytes, bytes]]:
    """``Server-Timing`` has milliseconds by its specification; three decimals make them microseconds."""
    timings, total = caller.timings, 1000 * (perf_counter() - caller.arrived)
    stages = ""
    if timings.tokenise:
        stages = (
            f"tokenise;dur={1000 * timings.tokenise:.3f}, queue;dur={1000 * timings.queue:.3f}, "
            f"inference;dur={1000 * timings.inference:.3f}, "
        )
    return [(REQUEST_ID, caller.request_id.encode()), (b"server-timing", f"{stages}total;dur={total:.3f}".encode())]


def _route(scope: Scope) -> str:
    """The template of the request's route: a label of which there are few, whatever clients send."""
    route: str | None = getattr(scope.get("route"), "path", None)
    if route is not None:
        return route
    mounted: str = scope.get("root_path", "")
    return scope["path"] if scope["path"] in ROUTELESS else mounted or UNMATCHED


def _fields(caller: Caller, **more: object) -> dict[str, dict[str, object]]:
    """What the log says of a request, beside the message."""
    error = {} if caller.error is None else {"error": caller.error}
    return {"fields": {"request_id": caller.request_id, **error, **more}}
