"""vLLM's ``/score``: cosines of pairs, ``text_1`` with ``text_2`` as one with one, one with many, or many with many.

Scores are cosines whatever ``activation`` or ``softmax`` of them may be asked for.
"""

from __future__ import annotations

from time import time
from typing import Literal
from uuid import uuid4

from fastapi import APIRouter
from pydantic import ConfigDict, Field

from cmow.service.api.client import ClientRequest, Ignored
from cmow.service.api.openai import Usage
from cmow.service.text.pairs import Sides
from cmow.service.text.texts import TextList
from cmow.service.web.dependencies import SCORING_ERRORS, CallerDep, Payload, SchedulerDep, errors, reads
from cmow.service.web.schemas import Texts
from cmow.service.web.validation import Wire, parse

router = APIRouter(tags=["vLLM"])


class ScoreRequest(ClientRequest):
    """Pairs to score."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text_1": "A man plays guitar.", "text_2": ["Someone plays.", "It rains."]}]}
    )

    text_1: Texts
    text_2: Texts
    encoding_format: Literal["float"] | None = None
    mm_processor_kwargs: Ignored = None


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
    most = request.truncate_prompt_tokens
    left = await scheduler.cut_to_tokens(caller, TextList("text_1", request.text_1), most)
    right = await scheduler.cut_to_tokens(caller, TextList("text_2", request.text_2), most)
    work = model.pairs("similarity", Sides(left, right, ("text_1", "text_2")), request.long_texts)
    scored = await scheduler.score(caller, work)
    return ScoreResponse(
        id=f"score-{uuid4().hex}",
        created=int(time()),
        model=model.name,
        data=[Score(index=row, score=value) for row, value in enumerate(scored.values.tolist())],
        usage=Usage.of(scored),
    )
