"""vLLM's ``/score``: cosines of pairs, ``text_1`` with ``text_2`` as one with one, one with many, or many with many.

Ignored: ``user`` and ``priority``. ``truncate_prompt_tokens`` takes only -1, the model's own limit.
"""

from __future__ import annotations

from time import time
from typing import Literal
from uuid import uuid4

from fastapi import APIRouter
from pydantic import ConfigDict, Field

from cmow.service.api.openai import Usage
from cmow.service.model.work import LongTexts
from cmow.service.text.pairs import Sides
from cmow.service.web.dependencies import SCORING_ERRORS, CallerDep, Payload, SchedulerDep, errors, reads
from cmow.service.web.schemas import Texts
from cmow.service.web.validation import Wire, parse

router = APIRouter(tags=["vLLM"])


class ScoreRequest(Wire):
    """Pairs to score."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text_1": "A man plays guitar.", "text_2": ["Someone plays.", "It rains."]}]}
    )

    model: str | None = Field(None, description="the served model's name, or nothing")
    text_1: Texts
    text_2: Texts
    truncate_prompt_tokens: Literal[-1] | None = Field(None, description="-1: cut to the model's limit")
    priority: int | None = Field(None, description="ignored")
    user: str | None = Field(None, description="ignored")


class Score(Wire):
    """One pair's."""

    index: int
    object: Literal["score"] = "score"
    score: float = Field(description="cosine, from -1 to 1")


class ScoreResponse(Wire):
    """Scores in the order of the pairs."""

    id: str
    object: Literal["list"] = "list"
    created: int = Field(description="seconds since 1970")
    model: str
    data: list[Score]
    usage: Usage


@router.post("/score", openapi_extra=reads(ScoreRequest), responses=SCORING_ERRORS | errors(404))
@router.post("/v1/score", openapi_extra=reads(ScoreRequest), responses=SCORING_ERRORS | errors(404))
async def score(payload: Payload, scheduler: SchedulerDep, caller: CallerDep) -> ScoreResponse:
    """How close in meaning the texts of each pair are."""
    request = parse(ScoreRequest, payload)
    model = scheduler.model
    model.check_name(request.model)
    sides = Sides(request.text_1, request.text_2, ("text_1", "text_2"))
    long: LongTexts = "refuse" if request.truncate_prompt_tokens is None else "cut"
    scored = await scheduler.score(caller, model.pairs("similarity", sides, long))
    return ScoreResponse(
        id=f"score-{uuid4().hex}",
        created=int(time()),
        model=model.name,
        data=[Score(index=row, score=value) for row, value in enumerate(scored.values.tolist())],
        usage=Usage.of(scored),
    )
