"""``python -m cmow.service.serve.probe``: exit status 0 where the service of this environment is ready, else 1.

For container health checks: an image without curl, and settings (port, API keys) that only the service knows.
"""

from __future__ import annotations

import sys
from http.client import HTTPConnection, HTTPException
from typing import NoReturn

from pydantic import ValidationError

from cmow.service.options.settings import Settings, explain

PATH = "/health/ready"
TIMEOUT_SECONDS = 4.0  # less than a health check usually waits, so that the reason is seen
EVERY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


def main() -> NoReturn:
    """Ask once, and exit."""
    try:
        sys.exit(probe(Settings()))
    except ValidationError as error:
        sys.exit(explain(error))


def probe(settings: Settings) -> str | None:
    """``None`` where the service that runs with ``settings`` is ready, else why it is not."""
    host = EVERY_ADDRESS.get(settings.host, settings.host)
    headers = {"X-API-Key": settings.api_keys[0].get_secret_value().encode()} if settings.api_keys else {}
    connection = HTTPConnection(host, settings.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", PATH, headers=headers)
        reply = connection.getresponse()
        body = reply.read(1000).decode(errors="replace")
    except (OSError, HTTPException) as error:
        return f"{host}:{settings.port}{PATH}: {error or type(error).__name__}"
    finally:
        connection.close()
    return None if reply.status == 200 else f"{host}:{settings.port}{PATH}: expected 200, got {reply.status}: {body}"


if __name__ == "__main__":
    main()
