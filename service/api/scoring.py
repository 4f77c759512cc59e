"""``/similarity`` and ``/entailment``, the two endpoints that everything else is measured by.

They read their request with no dependency and write their reply with no second validation, so that ``ShortCut`` can
call them: the framework's own way costs more than the model does on a short pair (``python -m loadtest.cost.profile``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from pydantic_core import to_json

from cmow.service.api.tei import similarity as tei
from cmow.service.model.model import MODES
from cmow.service.model.work import Scored
from cmow.service.schedule.scheduler import Scheduler
from cmow.service.web.dependencies import SCORING_ERRORS, reads
from cmow.service.web.request import caller_of, read_json
from cmow.service.web.schemas import (
    EntailmentRequest,
    EntailmentResponse,
    SimilarityRequest,
    SimilarityResponse,
)
from cmow.service.web.validation import parse


def add_scoring_routes(app: FastAPI) -> None:
    """Add both endpoints to ``app``."""
    app.post(
        "/similarity",
        response_model=SimilarityResponse | list[float],
        openapi_extra=reads(SimilarityRequest, tei.SimilarityRequest),
        responses=SCORING_ERRORS,
    )(similarity)
    app.post(
        "/entailment",
        response_model=EntailmentResponse,
        openapi_extra=reads(EntailmentRequest),
        responses=SCORING_ERRORS,
    )(entailment)


def scoring_routes(app: FastAPI) -> Iterator[APIRoute]:
    """Both, as routes of ``app``."""
    for route in app.routes:
        if isinstance(route, APIRoute) and route.endpoint in (similarity, entailment):
            yield route


async def similarity(request: Request) -> Response:
    """How close in meaning the sentences of each pair are; text-embeddings-inference's shape brings its bare list."""
    scheduler: Scheduler = request.app.state.scheduler
    caller, payload = caller_of(request), await read_json(request)
    if tei.is_similarity(payload):
        scored = await scheduler.score(caller, tei.similarity_work(scheduler.model, payload))
        return Response(json.dumps(scored.values.tolist()), media_type="application/json")
    asked = parse(SimilarityRequest, payload)
    work = scheduler.model.pairs(MODES[asked.mode], asked.sides(), "report", asked.on_unknown)
    scored = await scheduler.score(caller, work)
    if asked.threshold is None:
        return _reply(scheduler, scored, scores=scored.values.tolist())
    same = (scored.values >= asked.threshold).tolist()
    return _reply(scheduler, scored, scores=scored.values.tolist(), same=same)


async def entailment(request: Request) -> Response:
    """Whether each hypothesis follows from its premise, contradicts it, or neither."""
    scheduler: Scheduler = request.app.state.scheduler
    caller, asked = caller_of(request), parse(EntailmentRequest, await read_json(request))
    work = scheduler.model.pairs("entailment", asked.sides(), "report", asked.on_unknown)
    scored = await scheduler.score(caller, work)
    labels = scheduler.model.manifest.labels
    results = [
        {"label": labels[best], "scores": dict(zip(labels, row, strict=True))}
        for best, row in zip(scored.values.argmax(axis=1).tolist(), scored.values.tolist(), strict=True)
    ]
    return _reply(scheduler, scored, results=results)


def _reply(scheduler: Scheduler, scored: Scored, **content: object) -> Response:
    """``content`` as JSON; it has its model's fields by construction, which the tests check."""
    usage = {
        "tokens": scored.tokens,
        "unknown": scored.unknown,
        "truncated": scored.truncated,
        "unread": scored.unread,
    }
    return Response(to_json(content | {"model": scheduler.model.name, "usage": usage}), media_type="application/json")
