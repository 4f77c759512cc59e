"""Our own: do the sources support each claim, contradict it, or say nothing of it? And where?"""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import ConfigDict, Field

from cmow.service.errors import SchemaError
from cmow.service.model.verdicts.claims import Checked, Claim, ClaimLabel
from cmow.service.text.texts import TextList
from cmow.service.web.dependencies import SCORING_ERRORS, CallerDep, Payload, SchedulerDep, reads
from cmow.service.web.schemas import Text, Texts
from cmow.service.web.validation import Wire, parse

router = APIRouter()

SOURCES, CLAIMS = ("sources", "evidence"), ("claims", "answer", "claim")


class CheckRequest(Wire):
    """Sources, and claims that they may support: ``claim`` and ``evidence`` are other names of both."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"sources": ["A man plays guitar. It rains."], "claims": ["Someone makes music.", "It is dry."]},
                {"sources": "A man plays guitar. It rains.", "answer": "Someone makes music. It is dry."},
                {"claim": "Someone makes music.", "evidence": "A man plays guitar."},
            ]
        }
    )

    sources: Texts | None = Field(None, description="texts of any length")
    evidence: Texts | None = Field(None, description="the same under another name")
    claims: Texts | None = Field(None, description="each is checked by itself")
    claim: Texts | None = Field(None, description="the same under another name")
    answer: Text | None = Field(None, description="a text of which each sentence is a claim")


class CheckEvidence(Wire):
    """The window of a source that decided."""

    source: int = Field(description="its place in the request")
    start: int = Field(description="of its characters there, the first")
    stop: int = Field(description="and the one after the last")
    text: str


class CheckResult(Wire):
    """One claim."""

    claim: str
    start: int | None = Field(description="in the answer, its first character")
    stop: int | None = Field(description="and the one after its last")
    label: ClaimLabel
    probability: float = Field(description="of the label")
    evidence: CheckEvidence = Field(description="where that stands, or nearly")


class CheckUsage(Wire):
    """What the request took."""

    tokens: int = Field(description="of claims and sources, where a token is part of several windows for each of them")
    unknown: int = Field(description="those of them that the model's vocabulary lacks")
    windows: int = Field(description="of one or two sentences, into which the sources were cut")


class CheckResponse(Wire):
    """Results in the order of the claims."""

    results: list[CheckResult]
    model: str
    usage: CheckUsage


@router.post("/check", openapi_extra=reads(CheckRequest), responses=SCORING_ERRORS)
async def check(payload: Payload, scheduler: SchedulerDep, caller: CallerDep) -> CheckResponse:
    """Whether each claim is supported. Sources of any length are read to their end, or refused with an error."""
    request = parse(CheckRequest, payload)
    sources, claims = _only(request, SOURCES), _only(request, CLAIMS)
    steps = scheduler.model.check_steps(sources, claims, claims.name == "answer")
    found = await scheduler.follow(caller, steps, on_thread=True)
    return CheckResponse(
        results=[_result(claim) for claim in found.claims],
        model=scheduler.model.name,
        usage=_usage(found),
    )


def _only(request: CheckRequest, names: tuple[str, ...]) -> TextList:
    """The texts in the one of the fields ``names`` that the request has; raises ``SchemaError`` unless it is one."""
    given = [name for name in names if getattr(request, name) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none"
        raise SchemaError(f"{names[0]}: expected one of {', '.join(names)}, got {found}", names[0])
    return TextList(given[0], getattr(request, given[0]))


def _result(claim: Claim) -> CheckResult:
    start, stop = claim.span or (None, None)
    evidence = claim.evidence
    return CheckResult(
        claim=claim.claim,
        start=start,
        stop=stop,
        label=claim.label,
        probability=claim.probability,
        evidence=CheckEvidence(source=evidence.source, start=evidence.start, stop=evidence.stop, text=evidence.text),
    )


def _usage(found: Checked) -> CheckUsage:
    return CheckUsage(
        tokens=sum(scored.tokens for scored in found.read),
        unknown=sum(scored.unknown for scored in found.read),
        windows=sum(len(scored.values) for scored in found.read[1:]),
    )
