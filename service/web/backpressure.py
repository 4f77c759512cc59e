"""Says no early, while that is still cheap."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from cmow.service.schedule.admission import Admission
from cmow.service.web.replies import send_error


class Backpressure:
    """ASGI middleware that refuses a ``POST`` before its body is read, where not even one pair would be admitted."""

    def __init__(self, app: ASGIApp, admission: Admission) -> None:
        self.app = app
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer with ``OverloadedError``."""
        if scope["type"] == "http" and scope["method"] == "POST" and self._admission.full:
            await send_error(self._admission.no_room(), scope, receive, send)
        else:
            await self.app(scope, receive, send)
