"""Errors as replies: one shape, and nothing of what failed inside."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from cmow.service.errors import (
    FRAMEWORK_ERRORS,
    OTHER_FRAMEWORK_ERROR,
    CmowError,
    ContentEncodingError,
    OverloadedError,
    SchemaError,
    UnauthorizedError,
    status_of,
)
from cmow.service.schedule.caller import Caller
from cmow.service.web.encoding import ACCEPTED
from cmow.service.web.schemas import ErrorDetail, ErrorResponse

logger = logging.getLogger(__name__)

INTERNAL = "the service failed; its log says why"
HEADERS: dict[type[CmowError], dict[str, str]] = {
    ContentEncodingError: {"accept-encoding": ACCEPTED},
    OverloadedError: {"retry-after": "1"},  # whole seconds are all that the header has
    UnauthorizedError: {"www-authenticate": "Bearer"},
}


def add_error_handlers(app: FastAPI) -> None:
    """Answer every exception of ``app`` in the one shape; what is unexpected is the observation's to answer."""
    app.add_exception_handler(CmowError, on_service_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)


async def send_error(error: CmowError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with ``error`` from a middleware."""
    await error_reply(scope["state"]["caller"], error)(scope, receive, send)


def error_reply(caller: Caller, error: CmowError) -> JSONResponse:
    """The reply to ``error``, which is noted on ``caller``."""
    status = status_of(type(error))
    message = error.message if status != 500 else INTERNAL
    detail = ErrorDetail(type=error.type, message=message, param=error.param)
    return _reply(caller, status, detail, HEADERS.get(type(error)))


def _reply(caller: Caller, status: int, detail: ErrorDetail, headers: dict[str, str] | None) -> JSONResponse:
    caller.error = detail.type
    return JSONResponse(ErrorResponse(error=detail).model_dump(), status, headers)


async def on_service_error(request: Request, error: Exception) -> JSONResponse:
    """The reply to a ``CmowError``, logged where it is the service's own fault."""
    assert isinstance(error, CmowError)
    if status_of(type(error)) in (500, 503):
        logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return error_reply(request.state.caller, error)


async def _on_validation_error(request: Request, error: Exception) -> JSONResponse:
    """Queries and paths, which no endpoint has yet; bodies do not come this way."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return await on_service_error(request, SchemaError(first["msg"], ".".join(map(str, first["loc"][1:]))))


async def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    """What the framework itself refuses: unknown paths and methods."""
    assert isinstance(error, HTTPException)
    detail = ErrorDetail(
        type=FRAMEWORK_ERRORS.get(error.status_code, OTHER_FRAMEWORK_ERROR),
        message=f"{error.detail}: {request.method} {request.url.path[:100]}",
        param=None,
    )
    return _reply(request.state.caller, error.status_code, detail, dict(error.headers or {}))
