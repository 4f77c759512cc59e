"""The application: engine, endpoints, limits and error replies put together."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware

from cmow.service.api import router as api_router
from cmow.service.api.compare import Comparisons
from cmow.service.api.scoring import add_scoring_routes, scoring_routes
from cmow.service.api.status import router, versions
from cmow.service.model.baseline import Baselines
from cmow.service.model.bundle import load_bundle
from cmow.service.model.composer import Composer
from cmow.service.model.engine import Budget, Engine, EngineOptions
from cmow.service.model.model import Model
from cmow.service.observe.metrics import Metrics
from cmow.service.observe.tracing import tracer_provider
from cmow.service.options.settings import Settings
from cmow.service.page import add_page
from cmow.service.schedule.admission import Admission
from cmow.service.schedule.scheduler import Scheduler
from cmow.service.text.texts import TextLimits
from cmow.service.web.auth import Auth
from cmow.service.web.observation import Observation
from cmow.service.web.replies import add_error_handlers
from cmow.service.web.request import TIMEOUT
from cmow.service.web.shortcut import ShortCut

logger = logging.getLogger(__name__)


def load_engine(settings: Settings) -> Engine:
    """The engine that ``settings`` ask for; raises ``StartError`` where it is unavailable."""
    bundle = load_bundle(settings.bundle, settings.verify_hashes)
    options = EngineOptions(
        threads=settings.threads,
        require_fused_op=settings.require_fused_op,
        budget=Budget(settings.batch_tokens, settings.batch_pairs),
        provider=settings.provider,
        gpu_min_tokens=settings.gpu_min_tokens,
    )
    return Engine(bundle, options)


def create_app(settings: Settings | None = None, engine: Engine | None = None) -> FastAPI:
    """The application; ``engine`` is loaded as ``settings`` say unless given.

    Raises ``StartError`` at once rather than when the server starts, so that the caller can say it in its own way.
    """
    settings = settings or Settings()
    spans = tracer_provider(settings.otel_endpoint, versions()["service"]) if settings.otel_endpoint else None
    app = FastAPI(
        title="Sentence pair scoring",
        summary="Similarity and entailment of sentence pairs.",
        version=versions()["service"],
        lifespan=_lifespan,
        telemetry=_telemetry(spans),
    )
    state = app.state
    state.spans = spans
    state.settings = settings
    limits = TextLimits(settings.max_pairs, settings.max_text_chars, settings.max_body_bytes)
    model = Model(engine or load_engine(settings), limits, settings.served_model_name)
    state.metrics = Metrics()
    admission = Admission(settings.max_queue_pairs, settings.max_queue_tokens, settings.max_request_tokens)
    state.scheduler = Scheduler(model, admission, state.metrics)
    add_scoring_routes(app)
    app.include_router(router)
    app.include_router(api_router)
    state.composer = Composer(model.engine)
    state.comparisons = Comparisons(Baselines(settings.baselines, model.engine.threads))
    add_page(app)
    add_error_handlers(app)
    _add_middlewares(app, settings)
    return app


def _add_middlewares(app: FastAPI, settings: Settings) -> None:
    """From the innermost to the outermost."""
    if app.state.spans is None:
        app.add_middleware(ShortCut, routes=scoring_routes(app))
    if settings.api_keys:
        app.add_middleware(Auth, keys=settings.api_keys, open_paths=_open_paths(settings))
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key", "X-Request-ID", TIMEOUT],
            expose_headers=["Retry-After", "Server-Timing", "X-Request-ID"],
        )
    app.add_middleware(
        Observation, metrics=app.state.metrics, access_log=settings.access_log, log_texts=settings.log_texts
    )


def _open_paths(settings: Settings) -> list[str]:
    """Those that need no key; a browser has none before the page has asked for it."""
    health = [] if settings.protect_health else ["/health", "/v1/health"]
    metrics = [] if settings.protect_metrics else ["/metrics"]
    return ["/", "/page", *health, *metrics]


def _telemetry(spans: Any) -> TelemetryConfig:
    """Spans only, and only by our provider: what the framework would find in the environment is left alone."""
    return {
        "tracing": spans is not None,
        "tracer_provider": spans,
        "metrics": False,
        "logs": False,
        "operation_spans": False,
    }


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    engine: Engine = app.state.scheduler.model.engine
    metrics: Metrics = app.state.metrics
    metrics.expect(_documented(app))
    what = engine.bundle.manifest.name, engine.kernel.name, engine.provider
    metrics.serves(*what, app.version, len(engine.degraded))
    access = "API keys are asked for" if app.state.settings.api_keys else "open to everybody: no API keys"
    logger.info("serving %s with the %s kernel on %s, %d threads; %s", *what, engine.threads, access)
    yield
    if app.state.spans is not None:
        await run_in_threadpool(app.state.spans.shutdown)  # sends what it still has
    logger.info("stopped")


def _documented(app: FastAPI) -> Iterator[tuple[str, str, list[int]]]:
    """(method, template, statuses) of every route in the OpenAPI document."""
    for route, operations in app.openapi()["paths"].items():
        for method, operation in operations.items():
            yield method.upper(), route, [int(status) for status in operation["responses"]]
