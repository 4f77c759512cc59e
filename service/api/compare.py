"""Our own: the same pairs through the student and through DistilBERT in ONNX Runtime, with the same threads.

A baseline is made by ``python -m export.baseline`` and found below the folder of the setting ``baselines``; a client
chooses one by name and never by path. One comparison runs at a time, off the event loop; another one meanwhile is
refused. Times are of the computation, from texts to scores: without HTTP, and without waiting for other requests, which
however share the machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from threading import Lock
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import ConfigDict, Field

from cmow.service.errors import BaselineNotFoundError, OverloadedError, TooManyTokensError
from cmow.service.model.baseline import Baseline, BaselineManifest, Baselines, Task
from cmow.service.model.comparison import Side, compare
from cmow.service.model.model import Model
from cmow.service.model.work import Work
from cmow.service.text.pairs import Sides
from cmow.service.text.tokenizer import Part
from cmow.service.web.dependencies import SCORING_ERRORS, CallerDep, Payload, SchedulerDep, errors, reads
from cmow.service.web.schemas import Integral, Texts
from cmow.service.web.validation import Wire, parse

router = APIRouter()

MOST_PAIRS = 64
MOST_TOKENS = 2048  # pairs times the longest of them, as the baseline pads them: some seconds a run on one core
COMMAND = "python -m export.baseline && cmow-serve --baselines runs/baselines"


class CompareRequest(Wire):
    """Pairs to run through both models."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"sentence1": "A man plays guitar.", "sentence2": ["Someone makes music.", "It rains."]}]
        }
    )

    sentence1: Texts
    sentence2: Texts
    task: Task = Field("similarity", description="what the student scores; `sentence1` is the premise in entailment")
    baseline: str | None = Field(None, description="name of a configured baseline; not needed where there is but one")
    runs: Annotated[int, Field(ge=1, le=20), Integral] = Field(5, description="runs to take the median of")


class CompareSide(Wire):
    """One model; the student comes first."""

    name: str
    trained: bool = Field(description="for this task")
    latency_ms: float = Field(description="median over the runs, for all pairs")
    pairs_per_second: float
    runs: int = Field(description="that were timed: fewer than asked for where they took too long")
    scores: list[float] | list[dict[str, float]] | None = Field(
        description="similarities, or probabilities by label; null where the weights are not trained for this task"
    )


class CompareResponse(Wire):
    """Both models on the same pairs."""

    task: Task
    pairs: int
    threads: int
    baseline: str
    sides: list[CompareSide]
    note: str | None = Field(description="what to know when reading this")


@dataclass(frozen=True)
class Comparisons:
    """The configured baselines, and the right to use them, which one thread has at a time."""

    baselines: Baselines
    turn: Lock = field(default_factory=Lock)


async def _comparisons(request: Request) -> Comparisons:
    comparisons: Comparisons = request.app.state.comparisons
    return comparisons


ComparisonsDep = Annotated[Comparisons, Depends(_comparisons)]


@router.post("/compare", openapi_extra=reads(CompareRequest), responses=SCORING_ERRORS | errors(404))
async def compare_with_baseline(
    payload: Payload, scheduler: SchedulerDep, caller: CallerDep, comparisons: ComparisonsDep
) -> CompareResponse:
    """The same pairs through the student and through a DistilBERT: latency, throughput, and scores where it has any."""
    request = parse(CompareRequest, payload)
    name = _choose(request.baseline, comparisons.baselines.names)
    sides = Sides(request.sentence1, request.sentence2, ("sentence1", "sentence2"))
    limits = scheduler.model.limits
    pairs = sides.pairs(replace(limits, max_pairs=min(MOST_PAIRS, limits.max_pairs)))
    work = Work("similarity", pairs.texts, pairs.index, sides)
    compute = partial(_measure, request, scheduler.model, comparisons, name, work)
    return await scheduler.call(caller, len(work.pairs), compute)


def _choose(name: str | None, names: list[str]) -> str:
    if not names:
        raise BaselineNotFoundError(f"expected a configured baseline, got none; make one: {COMMAND}")
    if name is None and len(names) == 1:
        return names[0]
    if name is None or name not in names:
        raise BaselineNotFoundError(f"baseline: expected one of {', '.join(names)}, got another or none", "baseline")
    return name


def _measure(request: CompareRequest, model: Model, comparisons: Comparisons, name: str, work: Work) -> CompareResponse:
    """On a worker thread, and one at a time even where the client of a running one has left."""
    if not comparisons.turn.acquire(blocking=False):
        raise OverloadedError("expected no other comparison to be running, got one: ask again when it has ended")
    try:
        packed = model.engine.tokenizer.encode(work.texts)
        work.check(Part(packed, 0, len(packed)))
        texts = [(work.texts[left], work.texts[right]) for left, right in work.pairs]
        baseline = comparisons.baselines.open(name)
        truncated = _check_size(baseline, texts)
        sides = compare(model.engine, baseline, request.task, texts, request.runs)
        return _reply(request.task, model, baseline, sides, len(texts), truncated)
    finally:
        comparisons.turn.release()


def _check_size(baseline: Baseline, pairs: list[tuple[str, str]]) -> int:
    """How many of ``pairs`` the baseline cuts; raises ``TooManyTokensError``."""
    encoded = baseline.encode(pairs)
    if encoded.token_ids.size > MOST_TOKENS:
        found = f"{len(pairs)} pairs of up to {encoded.token_ids.shape[1]}"
        raise TooManyTokensError(f"expected at most {MOST_TOKENS} tokens, padded to the longest pair, got {found}")
    return encoded.truncated


def _reply(
    task: Task, model: Model, baseline: Baseline, sides: list[Side], pairs: int, truncated: int
) -> CompareResponse:
    student, *others = sides
    return CompareResponse(
        task=task,
        pairs=pairs,
        threads=model.engine.threads,
        baseline=baseline.manifest.name,
        sides=[
            _wire_side(student, model.manifest.name, model.manifest.labels, pairs),
            *(_wire_side(side, f"DistilBERT {side.precision}", baseline.manifest.labels, pairs) for side in others),
        ],
        note=_note(baseline.manifest, task, truncated),
    )


def _wire_side(side: Side, name: str, labels: list[str], pairs: int) -> CompareSide:
    scores = None if side.scores is None else side.scores.tolist()
    if side.scores is not None and side.scores.ndim == 2:
        scores = [dict(zip(labels, row, strict=True)) for row in side.scores.tolist()]
    return CompareSide(
        name=name,
        trained=scores is not None,
        latency_ms=1e3 * side.seconds,
        pairs_per_second=pairs / side.seconds,
        runs=side.runs,
        scores=scores,
    )


def _note(manifest: BaselineManifest, task: Task, truncated: int) -> str | None:
    """What to know when reading the reply."""
    notes = []
    if not manifest.trained:
        notes.append(f"{manifest.name} has no trained head: its times mean something, scores would not.")
    elif manifest.task != task:
        notes.append(f"{manifest.name} is trained for {manifest.task}, so that it has no scores for {task}.")
    if truncated:
        notes.append(f"It read {truncated} pairs only up to its limit of {manifest.max_tokens} tokens.")
    return " ".join(notes) or None
