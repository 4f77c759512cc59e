"""Zero-shot classification: does the text entail "This example is {label}."?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter
from pydantic import ConfigDict, Field

from cmow.service.api.client import Ignored
from cmow.service.model.ranking import TEMPLATE, best_first, hypotheses, label_scores
from cmow.service.model.work import Scored
from cmow.service.schedule.caller import Caller
from cmow.service.schedule.scheduler import Scheduler
from cmow.service.text.pairs import Sides
from cmow.service.web.dependencies import SCORING_ERRORS, CallerDep, Payload, SchedulerDep, reads
from cmow.service.web.schemas import Text, TextItems, Usage
from cmow.service.web.validation import Wire, parse

router = APIRouter()

Template = Annotated[
    str,
    Field(
        description="the hypothesis, with {} once where the label goes",
        json_schema_extra={"pattern": r"^((?!\{\})[\s\S])*\{\}((?!\{\})[\s\S])*$"},
    ),
]


class ZeroShotRequest(Wire):
    """A text, and labels that may fit it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": "A man plays guitar.", "labels": ["music", "weather"]}]}
    )

    text: Text
    labels: TextItems
    hypothesis_template: Template = TEMPLATE
    multi_label: bool = Field(False, description="score each label on its own: several may fit, or none")


class ZeroShotResponse(Wire):
    """Labels from the most to the least fitting."""

    labels: list[str]
    scores: list[float] = Field(description="from 0 to 1; they sum to 1 unless `multi_label`")
    model: str
    usage: Usage


class Candidates(Wire):
    """The ``parameters`` of Hugging Face's API."""

    candidate_labels: TextItems
    hypothesis_template: Template | None = TEMPLATE
    multi_label: bool | None = Field(False, description="score each label on its own: several may fit, or none")


class CandidatesRequest(Wire):
    """A text, and labels that may fit it, as Hugging Face's API takes them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"inputs": "A man plays guitar.", "parameters": {"candidate_labels": ["music", "weather"]}}]
        }
    )

    inputs: Text
    parameters: Candidates
    options: Ignored = None


class ScoredLabel(Wire):
    """One label; the best come first."""

    label: str
    score: float = Field(description="from 0 to 1; they sum to 1 unless `multi_label`")


@dataclass(frozen=True)
class Question:
    """What either request asks; ``names`` are what text, labels and template are called in it."""

    text: str
    labels: list[str]
    template: str
    multi_label: bool
    names: tuple[str, str, str] = ("text", "labels", "hypothesis_template")


@router.post("/zero-shot", openapi_extra=reads(ZeroShotRequest, CandidatesRequest), responses=SCORING_ERRORS)
async def zero_shot(
    payload: Payload, scheduler: SchedulerDep, caller: CallerDep
) -> ZeroShotResponse | list[ScoredLabel]:
    """How well each label fits a text, for labels that the model was never trained on.

    Hugging Face's shape brings its bare list.
    """
    if isinstance(payload, dict) and "inputs" in payload:
        labels, scores, _ = await _answer(_candidates(parse(CandidatesRequest, payload)), scheduler, caller)
        return [ScoredLabel(label=label, score=score) for label, score in zip(labels, scores, strict=True)]
    request = parse(ZeroShotRequest, payload)
    question = Question(request.text, request.labels, request.hypothesis_template, request.multi_label)
    labels, scores, scored = await _answer(question, scheduler, caller)
    return ZeroShotResponse(labels=labels, scores=scores, model=scheduler.model.name, usage=Usage.of(scored))


def _candidates(request: CandidatesRequest) -> Question:
    asked = request.parameters
    template = TEMPLATE if asked.hypothesis_template is None else asked.hypothesis_template
    names = "inputs", "parameters.candidate_labels", "parameters.hypothesis_template"
    return Question(request.inputs, asked.candidate_labels, template, bool(asked.multi_label), names)


async def _answer(question: Question, scheduler: Scheduler, caller: Caller) -> tuple[list[str], list[float], Scored]:
    """Labels and their scores, the best first, and what the model said."""
    model, (text, labels, template) = scheduler.model, question.names
    asked = hypotheses(question.labels, question.template, model.limits, (labels, template))
    work = model.pairs("entailment", Sides(question.text, asked, (text, labels)), "refuse")
    scored = await scheduler.score(caller, work)
    scores = label_scores(scored.values, model.manifest.labels, question.multi_label)
    rows = best_first(scores)
    return [question.labels[row] for row in rows], scores[rows].tolist(), scored
