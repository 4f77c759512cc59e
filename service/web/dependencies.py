"""What endpoints get from the application, and the pieces of OpenAPI that they share."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request
from pydantic import BaseModel

from cmow.service.errors import error_types
from cmow.service.model.composer import Composer
from cmow.service.observe.metrics import Metrics
from cmow.service.options.settings import Settings
from cmow.service.schedule.caller import Caller
from cmow.service.schedule.scheduler import Scheduler
from cmow.service.web.json_schema import body_schema
from cmow.service.web.request import caller_of, read_json
from cmow.service.web.schemas import ErrorResponse


# All run on the event loop: a plain function would go to a thread.
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


async def _caller(request: Request) -> Caller:
    return caller_of(request)


ComposerDep = Annotated[Composer, Depends(_composer)]
SettingsDep = Annotated[Settings, Depends(_settings)]
SchedulerDep = Annotated[Scheduler, Depends(_scheduler)]
CallerDep = Annotated[Caller, Depends(_caller)]
MetricsDep = Annotated[Metrics, Depends(_metrics)]
Payload = Annotated[Any, Depends(read_json)]


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
