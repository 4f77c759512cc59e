"""The short way to the scoring endpoints: past the framework's routing, exit stacks and dependency solving.

These cost several times what a short pair costs the model (``python -m loadtest.cost.profile``). The same endpoints
stay routes of the framework, which documents them, and which answers them itself where it makes traces.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from cmow.service.errors import CmowError
from cmow.service.web.replies import on_service_error


class ShortCut:
    """ASGI middleware that calls the endpoints of ``routes`` itself and leaves all else to the framework.

    Each must take the bare request by ``POST`` at a fixed path, and answer with a ``Response``.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[APIRoute]) -> None:
        self.app = app
        self._routes = {route.path: route for route in routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, with an error reply to a ``CmowError``; whatever else is raised is raised."""
        route = self._routes.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if route is None:
            await self.app(scope, receive, send)
            return
        scope["route"] = route  # as the framework's router does
        request = Request(scope, receive)
        try:
            response = await route.endpoint(request)
        except CmowError as error:
            response = await on_service_error(request, error)
        await response(scope, receive, send)
