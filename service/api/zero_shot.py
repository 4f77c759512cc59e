"""Zero-shot classification: does the text entail "This example is {label}."?

As the pipeline of Hugging Face transformers computes it (Yin et al., "Benchmarking Zero-shot Text Classification",
EMNLP 2019, arXiv 1909.00161). With ``multi_label``, or for a single label, the score of a label is
P(entailment) / (P(entailment) + P(contradiction)), whatever the other labels. Otherwise the labels share 1 by a softmax
of their entailment logits. These are logarithms of probabilities here, so that a label gets its P(entailment) over the
sum of all labels'; logits before the model's own softmax may differ from them by another constant for each pair.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from fastapi import APIRouter
from pydantic import ConfigDict, Field

from cmow.service.api.model import ModelDep
from cmow.service.api.tei import best_first
from cmow.service.errors import EmptyTextError, SchemaError, TextTooLongError, TooManyPairsError
from cmow.service.model.engine import Floats
from cmow.service.options.settings import Settings
from cmow.service.text.pairs import Sides
from cmow.service.web.body import parse_body
from cmow.service.web.dependencies import SCORING_ERRORS, Body, reads
from cmow.service.web.schemas import Usage
from cmow.service.web.validation import Wire, parse

router = APIRouter()

TEMPLATE = "This example is {}."
PLACE = "{}"


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
async def zero_shot(body: Body, model: ModelDep) -> ZeroShotResponse:
    """How well each label fits a text, for labels that the model was never trained on."""
    request = await parse_body(body, partial(parse, ZeroShotRequest))
    _check_size(request, model.settings)
    hypotheses = _hypotheses(request)
    scored = await model.entailment(Sides(request.text, hypotheses, ("text", "labels")))
    columns = [model.manifest.labels.index(name) for name in ("entailment", "contradiction")]
    scores = label_scores(scored.values[:, columns], request.multi_label)
    rows = best_first(scores)
    return ZeroShotResponse(
        labels=[request.labels[row] for row in rows],
        scores=scores[rows].tolist(),
        model=model.manifest.name,
        usage=Usage(tokens=scored.tokens, truncated=scored.truncated),
    )


def label_scores(probabilities: Floats, multi_label: bool) -> Floats:
    """Scores [P] of labels from the ``probabilities`` [P, 2] of entailment and contradiction of their hypotheses."""
    smallest = np.finfo(np.float32).tiny
    floor: Floats = np.maximum(probabilities.astype(np.float64), smallest)
    entailment = floor[:, 0]
    total = floor.sum(axis=1) if multi_label or len(floor) == 1 else entailment.sum()
    return np.asarray(entailment / total, np.float32)


def _check_size(request: ZeroShotRequest, settings: Settings) -> None:
    """Raise ``InvalidInputError`` before the template is copied for each label, which could take gigabytes."""
    labels, template = request.labels, request.hypothesis_template
    if len(labels) > settings.max_pairs:
        raise TooManyPairsError(f"labels: expected at most {settings.max_pairs} sentences, got {len(labels)}", "labels")
    characters = len(labels) * (len(template) - len(PLACE)) + sum(map(len, labels))
    if characters > settings.max_body_bytes:
        raise TextTooLongError(
            f"hypothesis_template: expected at most {settings.max_body_bytes} characters with all labels in it, "
            f"got {characters}",
            "hypothesis_template",
        )


def _hypotheses(request: ZeroShotRequest) -> list[str]:
    """The template with each label in it; never ``str.format``, which a template could lead into objects."""
    if request.hypothesis_template.count(PLACE) != 1:
        found = request.hypothesis_template.count(PLACE)
        raise SchemaError(f"hypothesis_template: expected {PLACE} once, got it {found} times", "hypothesis_template")
    if blank := [row for row, label in enumerate(request.labels) if not label.strip()]:
        where = f"labels[{blank[0]}]"
        raise EmptyTextError(f"{where}: expected text, got none", where)
    return [request.hypothesis_template.replace(PLACE, label) for label in request.labels]
