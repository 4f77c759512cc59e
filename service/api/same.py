"""Our own: does a candidate say the same as the query? A gate for semantic caches and for deduplication."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import ConfigDict, Field

from cmow.service.model.verdicts.same import Reason, Thresholds
from cmow.service.text.pairs import Sides
from cmow.service.web.dependencies import SCORING_ERRORS, CallerDep, Payload, SchedulerDep, reads
from cmow.service.web.schemas import Text, TextItems, Usage
from cmow.service.web.validation import Wire, parse

router = APIRouter()


class SameThresholds(Wire):
    """Where the bundle's own do not suit; each that is left out stays the bundle's."""

    similarity: float | None = Field(None, ge=-1, le=1, description="least cosine")
    paraphrase: float | None = Field(None, ge=0, le=1, description="least probability that both say the same")
    contradiction: float | None = Field(None, ge=0, le=1, description="highest probability of a contradiction")


class SameRequest(Wire):
    """A query, and what may say the same."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"query": "turn on dark mode", "candidates": ["enable the dark theme", "turn off dark mode"]}]
        }
    )

    query: Text
    candidates: TextItems
    thresholds: SameThresholds | None = None


class SameResult(Wire):
    """One candidate."""

    index: int = Field(description="its place in the request")
    same: bool
    similarity: float = Field(description="cosine with the query, from -1 to 1")
    paraphrase: float | None = Field(description="probability that both say the same; null where the cosine is too low")
    contradiction: float | None = Field(
        description="probability of a contradiction, the higher of both orders; null where it is no paraphrase"
    )
    reason: Reason | None = Field(description="why it is not the same; null where it is")


class SameResponse(Wire):
    """Every candidate, the best first."""

    results: list[SameResult]
    model: str
    usage: Usage


@router.post("/same", openapi_extra=reads(SameRequest), responses=SCORING_ERRORS)
async def same(payload: Payload, scheduler: SchedulerDep, caller: CallerDep) -> SameResponse:
    """Which candidates say the same as the query. Whatever fails is an error, and never a yes."""
    request = parse(SameRequest, payload)
    model, asked = scheduler.model, {} if request.thresholds is None else request.thresholds.model_dump()
    thresholds = Thresholds.of(model.manifest.same, **asked)
    sides = Sides(request.query, request.candidates, ("query", "candidates"))
    found = await scheduler.follow(caller, model.same_steps(sides, thresholds, "refuse"))
    return SameResponse(
        results=[
            SameResult(
                index=match.index,
                same=match.same,
                similarity=match.similarity,
                paraphrase=match.paraphrase,
                contradiction=match.contradiction,
                reason=match.reason,
            )
            for match in found.matches
        ],
        model=model.name,
        usage=Usage.of(found.scored),
    )
