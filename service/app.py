"""The application: engine, endpoints, limits and error replies put together."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from service.body import BodyLimit
from service.bundle import load_bundle
from service.engine import Engine, EngineOptions
from service.errors import SchemaError, ServiceError, status_of
from service.routes import router, versions
from service.schemas import ErrorDetail, ErrorResponse
from service.settings import Settings

logger = logging.getLogger(__name__)

FRAMEWORK_ERRORS = {404: "not_found", 405: "method_not_allowed"}


def load_engine(settings: Settings) -> Engine:
    """The engine that ``settings`` ask for; raises ``StartError`` where it cannot be had."""
    bundle = load_bundle(settings.bundle, settings.verify_hashes)
    return Engine(bundle, EngineOptions(threads=settings.threads, require_fused_op=settings.require_fused_op))


def create_app(settings: Settings | None = None, engine: Engine | None = None) -> FastAPI:
    """The application; ``engine`` is loaded as ``settings`` say unless given.

    Raises ``StartError`` at once rather than when the server starts, so that the caller can say it in its own way.
    """
    settings = settings or Settings()
    app = FastAPI(
        title="Sentence pair scoring",
        summary="Similarity and entailment of sentence pairs.",
        version=versions()["service"],
        lifespan=_lifespan,
    )
    app.state.settings = settings
    app.state.engine = engine or load_engine(settings)
    app.include_router(router)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_exception_handler(ServiceError, _on_service_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_unexpected_error)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    engine: Engine = app.state.engine
    logger.info(
        "serving %s with the %s kernel on %s, %d threads",
        engine.bundle.manifest.name,
        engine.kernel.name,
        engine.provider,
        engine.threads,
    )
    yield
    logger.info("stopped")


def _reply(status: int, detail: ErrorDetail, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(ErrorResponse(error=detail).model_dump(), status, headers)


async def _on_service_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ServiceError)
    status = status_of(type(error))
    if status >= 500:
        logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    message = error.message if status != 500 else INTERNAL
    return _reply(status, ErrorDetail(type=error.type, message=message, param=error.param))


async def _on_validation_error(request: Request, error: Exception) -> JSONResponse:
    """Queries and paths, which no endpoint has yet; bodies do not come this way."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return await _on_service_error(request, SchemaError(first["msg"], ".".join(map(str, first["loc"][1:]))))


async def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    """What the framework itself refuses: unknown paths and methods."""
    assert isinstance(error, HTTPException)
    detail = ErrorDetail(
        type=FRAMEWORK_ERRORS.get(error.status_code, "http_error"),
        message=f"{error.detail}: {request.method} {request.url.path[:100]}",
        param=None,
    )
    return _reply(error.status_code, detail, dict(error.headers or {}))


INTERNAL = "the service failed; its log says why"


async def _on_unexpected_error(request: Request, error: Exception) -> JSONResponse:
    """The last resort; the server logs the stack trace, and the client gets none of it."""
    return _reply(500, ErrorDetail(type=ServiceError.type, message=INTERNAL, param=None))
