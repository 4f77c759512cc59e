"""Zero-shot classification: does the text entail "This example is {label}."?"""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import ConfigDict, Field

from cmow.service.model.ranking import TEMPLATE, best_first, hypotheses, label_scores
from cmow.service.text.pairs import Sides
from cmow.service.web.dependencies import SCORING_ERRORS, CallerDep, Payload, SchedulerDep, reads
from cmow.service.web.schemas import Usage
from cmow.service.web.validation import Wire, parse

router = APIRouter()


class ZeroShotRequest(Wire):
    """A text, and labels that may fit it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": "A man plays guitar.", "labels": ["music", "weather"]}]}
    )

    text: str
    labels: list[str] = Field(fail_fast=True)
    hypothesis_template: str = Field(TEMPLATE, description="the hypothesis, with {} once where the label goes")
    multi_label: bool = Field(False, description="score each label on its own: several may fit, or none")


class ZeroShotResponse(Wire):
    """Labels from the most to the least fitting."""

    labels: list[str]
    scores: list[float] = Field(description="from 0 to 1; they sum to 1 unless `multi_label`")
    model: str
    usage: Usage


@router.post("/zero-shot", openapi_extra=reads(ZeroShotRequest), responses=SCORING_ERRORS)
async def zero_shot(payload: Payload, scheduler: SchedulerDep, caller: CallerDep) -> ZeroShotResponse:
    """How well each label fits a text, for labels that the model was never trained on."""
    request = parse(ZeroShotRequest, payload)
    model = scheduler.model
    asked = hypotheses(request.labels, request.hypothesis_template, model.limits)
    work = model.pairs("entailment", Sides(request.text, asked, ("text", "labels")), "refuse")
    scored = await scheduler.score(caller, work)
    scores = label_scores(scored.values, model.manifest.labels, request.multi_label)
    rows = best_first(scores)
    return ZeroShotResponse(
        labels=[request.labels[row] for row in rows],
        scores=scores[rows].tolist(),
        model=model.name,
        usage=Usage.of(scored),
    )
