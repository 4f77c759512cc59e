"""``/similarity`` and ``/entailment``, the two endpoints that everything else is measured by.

They read their request with no dependency and write their reply with no second validation, so that ``ShortCut`` can
call them: the framework's own way costs more than the model does on a short pair (``python -m loadtest.cost.profile``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Literal

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from pydantic_core import to_json

from cmow.service.api import tei
from cmow.service.api.model import Model
from cmow.service.options.settings import Settings
from cmow.service.schedule.caller import Caller
from cmow.service.schedule.scheduler import Check, Scheduler, Scored
from cmow.service.text.pairs import SentencePairs
from cmow.service.text.texts import PairLimits
from cmow.service.web.body import parse_body, read_body
from cmow.service.web.dependencies import SCORING_ERRORS, caller_of, reads
from cmow.service.web.schemas import (
    EntailmentRequest,
    EntailmentResponse,
    PairRequest,
    SimilarityRequest,
    SimilarityResponse,
)
from cmow.service.web.validation import parse

# text-embeddings-inference's shape brings its bare list of cosines.
Kind = Literal["cosine", "paraphrase", "relatedness", "bare"]


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
    caller, settings = caller_of(request), request.app.state.settings
    body = await read_body(request)
    pairs, check, kind = await parse_body(body, partial(_similarity_pairs, scheduler, caller, settings))
    modes = {"paraphrase": scheduler.paraphrase, "relatedness": scheduler.relatedness}
    scored = await modes.get(kind, scheduler.similarity)(caller, pairs, check)
    scores = scored.values.tolist()
    if kind == "bare":
        return Response(json.dumps(scores), media_type="application/json")
    return _reply({"scores": scores, "model": scheduler.model, "usage": _usage(scored)})


async def entailment(request: Request) -> Response:
    """Whether each hypothesis follows from its premise, contradicts it, or neither."""
    scheduler: Scheduler = request.app.state.scheduler
    caller, settings = caller_of(request), request.app.state.settings
    pairs, check = await parse_body(await read_body(request), partial(_entailment_pairs, settings))
    scored = await scheduler.entailment(caller, pairs, check)
    labels = scheduler.engine.bundle.manifest.labels
    results = [
        {"label": labels[best], "scores": dict(zip(labels, row, strict=True))}
        for best, row in zip(scored.values.argmax(axis=1).tolist(), scored.values.tolist(), strict=True)
    ]
    return _reply({"results": results, "model": scheduler.model, "usage": _usage(scored)})


def _similarity_pairs(
    scheduler: Scheduler, caller: Caller, settings: Settings, payload: object
) -> tuple[SentencePairs, Check, Kind]:
    """The pairs in ``payload``, the check on their tokens, and what is to come back."""
    if tei.is_similarity(payload):
        return *tei.similarity_pairs(Model(scheduler, caller, settings), payload), "bare"
    request = parse(SimilarityRequest, payload)
    return *_pairs(request, settings), request.mode


def _entailment_pairs(settings: Settings, payload: object) -> tuple[SentencePairs, Check]:
    """The pairs in ``payload``, and the check on their tokens."""
    return _pairs(parse(EntailmentRequest, payload), settings)


def _pairs(request: PairRequest, settings: Settings) -> tuple[SentencePairs, Check]:
    sides = request.sides()
    pairs = sides.pairs(PairLimits(settings.max_pairs, settings.max_text_chars))
    return pairs, partial(sides.check_tokens, pairs)


def _usage(scored: Scored) -> dict[str, object]:
    return {"tokens": scored.tokens, "truncated": scored.truncated}


def _reply(content: dict[str, object]) -> Response:
    """``content`` as JSON; it has its model's fields by construction, which the tests check."""
    return Response(to_json(content), media_type="application/json")
