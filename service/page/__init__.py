"""The page at ``/`` to try the service: files without a build step, from this host alone.

Everything below ``assets`` is public, whatever keys the endpoints ask for.
"""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

ASSETS = Path(__file__).parent / "assets"
INDEX = "index.html"

HEADERS = {
    # Nothing comes from elsewhere, goes elsewhere, or is ever parsed out of a string.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    # Kept, and asked for again by ETag: after an upgrade no browser mixes old files with new ones.
    "cache-control": "no-cache",
}


class PageFiles(StaticFiles):
    """The files in ``assets``, each whole and with ``HEADERS``."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file at ``path``; a range of it, which a server need not give, would bring errors of another shape."""
        scope["headers"] = [header for header in scope["headers"] if header[0] != b"range"]
        return await super().get_response(path, scope)

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """The file, or 304 where the client has it."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(HEADERS)
        return response


def add_page(app: FastAPI) -> None:
    """Serve the page at ``/`` and its parts below ``/page/``."""
    files = PageFiles(directory=ASSETS)

    async def index(request: Request) -> Response:
        return await files.get_response(INDEX, request.scope)

    app.add_route("/", index, methods=["GET"], include_in_schema=False)
    app.mount("/page", files)
