"""Other applications behind the service's own server, so that HTTP costs them what it costs the service."""

from __future__ import annotations

import logging
import socket

from fastapi import FastAPI

from cmow.service.options.settings import Settings
from cmow.service.serve.server import run_server


def serve_locally(app: FastAPI, settings: Settings) -> None:
    """Serve ``app`` on this machine until SIGTERM, at ``settings.port``; says where on the log."""
    logging.basicConfig(level="INFO")
    with socket.create_server(("127.0.0.1", settings.port)) as listener:
        logging.info("listening on http://127.0.0.1:%d", listener.getsockname()[1])
        run_server(app, settings, listener)
