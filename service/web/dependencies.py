"""What endpoints get from the application, and the pieces of OpenAPI that they share."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request
from pydantic import BaseModel

from cmow.service.errors import HeaderError, error_types
from cmow.service.model.composer import Composer
from cmow.service.model.engine import Engine
from cmow.service.observe.metrics import Metrics
from cmow.service.options.settings import Settings
from cmow.service.schedule.caller import Caller
from cmow.service.schedule.scheduler import Scheduler
from cmow.service.web.body import read_body
from cmow.service.web.headers import header
from cmow.service.web.json_schema import body_schema
from cmow.service.web.schemas import ErrorResponse

TIMEOUT = "X-Request-Timeout-Ms"
MAX_DIGITS = 18  # a longer number is beyond any limit, and costs much to read


async def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


async def _composer(request: Request) -> Composer:
    composer: Composer = request.app.state.composer
    return composer


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def _scheduler(request: Request) -> Scheduler:
    scheduler: Scheduler = request.app.state.scheduler
    return scheduler


async def _metrics(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics


def caller_of(request: Request) -> Caller:
    """The request as the scheduler sees it, with its deadline; raises ``HeaderError``."""
    caller: Caller = request.scope["state"]["caller"]
    settings: Settings = request.app.state.settings
    caller.deadline = caller.arrived + _timeout_ms(request, settings.request_timeout_ms) / 1000
    return caller


async def _caller(request: Request) -> Caller:
    return caller_of(request)  # on the event loop, where a plain function would go to a thread


def _timeout_ms(request: Request, longest: int) -> int:
    given = header(request.scope, TIMEOUT.lower().encode())
    if given is None:
        return longest
    asked = given.decode("latin-1").strip()
    digits = asked.lstrip("0")
    if not (asked.isascii() and asked.isdigit() and digits):
        raise HeaderError(f"{TIMEOUT}: expected a whole number of milliseconds above 0, got {asked[:20]!a}", TIMEOUT)
    return longest if len(digits) > MAX_DIGITS else min(longest, int(digits))


EngineDep = Annotated[Engine, Depends(_engine)]
ComposerDep = Annotated[Composer, Depends(_composer)]
SettingsDep = Annotated[Settings, Depends(_settings)]
SchedulerDep = Annotated[Scheduler, Depends(_scheduler)]
CallerDep = Annotated[Caller, Depends(_caller)]
MetricsDep = Annotated[Metrics, Depends(_metrics)]
Body = Annotated[bytes, Depends(read_body)]


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI of the error replies with these statuses."""
    types = error_types()
    return {
        status: {"model": ErrorResponse, "description": " or ".join(f"`{name}`" for name in types[status])}
        for status in statuses
    }


def reads(*models: type[BaseModel]) -> dict[str, Any]:
    """OpenAPI of a body, any of ``models``, that the endpoint itself parses into our own errors."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": body_schema(*models)}}}}


SCORING_ERRORS = errors(400, 401, 408, 413, 415, 422, 429, 431, 500, 504)
READING_ERRORS = errors(400, 401, 408, 431, 500)
