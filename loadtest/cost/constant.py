"""What ``loadtest.cost.overhead`` compares with: a FastAPI route with ``/similarity``'s schema, and a constant."""

from __future__ import annotations

import argparse

from fastapi import FastAPI

from cmow.service.options.settings import Settings
from cmow.service.web.schemas import SimilarityRequest, SimilarityResponse, Usage
from loadtest.harness.local_server import serve_locally

ANSWER = SimilarityResponse(
    scores=[0.7705591917037964], model="constant", usage=Usage(tokens=15, unknown=0, truncated=[False], unread=[False])
)


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
    serve_locally(make_app(), Settings(port=arguments.port))


if __name__ == "__main__":
    main()
