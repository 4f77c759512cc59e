"""What ``loadtest.overhead`` compares with: a FastAPI route of ``/similarity``'s schema that returns a constant."""

from __future__ import annotations

import argparse
import logging
import socket

import uvicorn
from fastapi import FastAPI

from service.schemas import SimilarityRequest, SimilarityResponse, Usage

ANSWER = SimilarityResponse(scores=[0.7705591917037964], model="constant", usage=Usage(tokens=15, truncated=[False]))


def make_app() -> FastAPI:
    """One route, written as FastAPI's documentation writes it."""
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})

    @app.post("/similarity")
    async def similarity(body: SimilarityRequest) -> SimilarityResponse:
        return ANSWER

    return app


def main() -> None:
    """Serve it with the service's own server settings."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    logging.basicConfig(level="INFO")
    with socket.create_server(("127.0.0.1", arguments.port)) as listener:
        logging.info("listening on http://127.0.0.1:%d", listener.getsockname()[1])
        config = uvicorn.Config(
            make_app(), http="httptools", ws="none", log_config=None, access_log=False, server_header=False
        )
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
