"""The service as a Ray Serve application, for more machines than one: ``serve run cmow.service.serve.ray_app:build``.

Settings come from the environment, as for ``cmow-serve``, or as arguments (``max_pairs=64``). Each replica is the whole
application with an engine of its own, so replies, limits and errors are the same. Ray's proxy listens in its place:
``host``, ``port`` and ``workers`` mean nothing here (Serve has ``http_options`` and ``num_replicas``), and ``/metrics``
is the replica's that answers. It needs ray, the extra ``ray``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from ray import serve
from starlette.concurrency import run_in_threadpool

from cmow.service.model.engine import Engine
from cmow.service.options.settings import Settings
from cmow.service.serve.app import create_app

HEALTH_SECONDS = 10


def build(arguments: Mapping[str, Any]) -> serve.Application:
    """The application that the environment and ``arguments``, fields of ``Settings``, ask for.

    One replica until the deployment's configuration says more. Raises ``ValidationError`` for a wrong setting.
    """
    settings = Settings(**arguments)

    class Replica:
        """``create_app`` in a replica of Ray Serve, which is replaced when its model stops working."""

        def __serve_build_asgi_app__(self) -> FastAPI:
            app = create_app(settings)
            self._engine: Engine = app.state.scheduler.model.engine
            return app

        async def check_health(self) -> None:
            """Raises ``InferenceError`` as ``/health/ready`` would."""
            await run_in_threadpool(self._engine.check)

    deployment = serve.deployment(
        serve.ingress()(Replica),
        name="pairs",
        ray_actor_options={"num_cpus": settings.threads or 1},
        max_ongoing_requests=settings.max_queue_pairs,  # never the limit: the application's own admission is
        health_check_period_s=HEALTH_SECONDS,
        graceful_shutdown_timeout_s=settings.grace_seconds,
    )
    return deployment.bind()
