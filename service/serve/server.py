"""One process that serves until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
from time import monotonic

import uvicorn
from fastapi import FastAPI

from cmow.service.options.settings import Settings
from cmow.service.web.protocol import Protocol

logger = logging.getLogger(__name__)

LINGER_SECONDS = 0.5  # for a request that is already on its way when the stop signal comes
POLL_SECONDS = 0.01


class Server(uvicorn.Server):
    """uvicorn, which on its own closes idle connections at once and loses what a client has just sent there."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no new connection, ask clients to leave with their next reply, then do what uvicorn does."""
        for server in self.servers:
            server.close()
        # In place: requests that run hold this very list.
        self.server_state.default_headers.append((b"connection", b"close"))
        end = monotonic() + LINGER_SECONDS
        while self.server_state.connections and monotonic() < end:
            await asyncio.sleep(POLL_SECONDS)
        await super().shutdown(sockets)


def run_server(app: FastAPI, settings: Settings, listener: socket.socket) -> None:
    """Serve ``app`` on ``listener`` until SIGTERM or SIGINT."""
    config = uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level=settings.log_level,
        access_log=False,  # the service has its own
        server_header=False,
        timeout_graceful_shutdown=settings.grace_seconds,
        timeout_keep_alive=settings.keep_alive_seconds,
    )
    gc.freeze()  # what was made until here stays: the collector need not look at it again and again
    Server(config).run(sockets=[listener])
