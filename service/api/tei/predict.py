"""`/predict`: labels of pairs, as text-embeddings-inference and Hugging Face's `text_classification` ask for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, cast

import numpy as np
from fastapi import APIRouter
from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema
from pydantic_core import PydanticCustomError

from cmow.service.api.client import Ignored
from cmow.service.api.tei.truncation import Truncation
from cmow.service.model.engine import Floats
from cmow.service.model.ranking import best_first
from cmow.service.text.pairs import Sides
from cmow.service.web.dependencies import SCORING_ERRORS, CallerDep, Payload, SchedulerDep, reads
from cmow.service.web.schemas import PositiveWhole, Text
from cmow.service.web.validation import TAG, Wire, parse

router = APIRouter()

SMALLEST = np.finfo(np.float32).tiny  # stands for a probability of 0 in a logarithm


SEPARATOR = "[SEP]"
JOINED = r"^((?!\[SEP\])[\s\S])*\[SEP\]((?!\[SEP\])[\s\S])*$"  # exactly one
EXPECTED = f"[premise, hypothesis], an object with text and text_pair, or one string with {SEPARATOR} once in it"


class TextPair(Wire):
    """A pair as the pipeline of transformers takes it."""

    text: Text = Field(description="the premise")
    text_pair: Text = Field(description="the hypothesis")


def _two_texts(text: str) -> str:
    if text.count(SEPARATOR) != 1:
        raise PydanticCustomError("pair", EXPECTED)
    return text


def _kind(value: object) -> str | None:
    """Which of the forms of a pair ``value`` has."""
    match value:
        case str():
            return TAG + "joined"
        case dict():
            return TAG + "object"
        case list():
            return TAG + "pair"
        case _:
            return None


def _inputs_kind(value: object) -> str | None:
    """The same, and a list of pairs."""
    return TAG + "pairs" if _are_pairs(value) else _kind(value)


def _are_pairs(value: object) -> bool:
    """Whether ``value`` is a list of pairs, and not a pair, which no text with a separator in it begins."""
    if not isinstance(value, list) or not value:
        return False
    return not isinstance(value[0], str) or SEPARATOR in value[0]


Joined = Annotated[
    str, AfterValidator(_two_texts), WithJsonSchema({"type": "string", "pattern": JOINED}), Tag(TAG + "joined")
]
Object = Annotated[TextPair, Tag(TAG + "object")]
Two = Annotated[list[Text], Field(min_length=2, max_length=2, fail_fast=True), Tag(TAG + "pair")]
Pair = Annotated[Joined | Object | Two, Discriminator(_kind, custom_error_type="pair", custom_error_message=EXPECTED)]
Pairs = Annotated[list[Pair], Field(min_length=1, fail_fast=True), Tag(TAG + "pairs")]
Inputs = Annotated[
    Joined | Object | Two | Pairs,
    Discriminator(_inputs_kind, custom_error_type="pairs", custom_error_message=f"{EXPECTED}, or a list of such pairs"),
]
AnyPair = str | TextPair | list[str]


class ClassificationParameters(Wire):
    """What ``huggingface_hub``'s client may send along."""

    top_k: PositiveWhole | None = Field(None, description="the most probable labels only")
    function_to_apply: Literal["softmax", "none"] | None = Field(None, description='"none": as `raw_scores`')


class PredictRequest(Truncation):
    """A pair of premise and hypothesis, or a list of pairs, to classify."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"inputs": ["A man plays guitar.", "Someone makes music."]},
                {"inputs": [["A man plays guitar.", "Someone makes music."]]},
            ]
        }
    )

    inputs: Inputs
    raw_scores: bool = Field(False, description="logarithms of the probabilities instead")
    parameters: ClassificationParameters | None = None
    options: Ignored = None


class Prediction(Wire):
    """One label."""

    score: float
    label: str


@router.post("/predict", openapi_extra=reads(PredictRequest), responses=SCORING_ERRORS)
async def predict(
    payload: Payload, scheduler: SchedulerDep, caller: CallerDep
) -> list[Prediction] | list[list[Prediction]]:
    """The labels of a pair of premise and hypothesis, the most probable first; a list of these for a list of pairs."""
    request = parse(PredictRequest, payload)
    pairs = PairList.of(request.inputs)
    scored = await scheduler.score(caller, scheduler.model.pairs("entailment", pairs, request.long_texts))
    parameters = request.parameters or ClassificationParameters(top_k=None, function_to_apply=None)
    raw = request.raw_scores or parameters.function_to_apply == "none"
    values = np.log(np.maximum(scored.values, SMALLEST)) if raw else scored.values
    predictions = [_predictions(row, scheduler.model.manifest.labels)[: parameters.top_k] for row in values]
    # Hugging Face's client, which alone sends parameters, takes the first of a list for a single pair too.
    return predictions[0] if pairs.single and request.parameters is None else predictions


@dataclass(frozen=True)
class PairList(Sides):
    """Pairs as ``/predict`` takes them; ``single`` where the client sent one pair and no list.

    ``places`` are where the texts of each pair stand in it, as ``[0]`` and ``[1]``.
    """

    single: bool
    places: list[tuple[str, str]]

    @classmethod
    def of(cls, inputs: AnyPair | list[AnyPair]) -> PairList:
        """From one pair or a list of pairs."""
        single = not _are_pairs(inputs)
        entries = cast(list[AnyPair], [inputs] if single else inputs)
        left, right, *places = zip(*map(_texts_and_places, entries), strict=True)
        return cls(left, right, ("inputs", "inputs"), single, list(zip(*places, strict=True)))

    def positions(self) -> Iterator[tuple[str, str]]:
        """(position, text) of every text: ``inputs[0]`` of a single pair, ``inputs[3].text`` or so in a list."""
        for row, (pair, places) in enumerate(zip(zip(self.left, self.right, strict=True), self.places, strict=True)):
            where = "inputs" if self.single else f"inputs[{row}]"
            yield from ((where + place, text) for place, text in zip(places, pair, strict=True))


def _texts_and_places(pair: AnyPair) -> tuple[str, str, str, str]:
    """Both texts of ``pair``, and where they stand in it."""
    match pair:
        case str():
            premise, _, hypothesis = pair.partition(SEPARATOR)
            return premise, hypothesis, "", ""
        case TextPair():
            return pair.text, pair.text_pair, ".text", ".text_pair"
        case _:
            premise, hypothesis = pair
            return premise, hypothesis, "[0]", "[1]"


def _predictions(values: Floats, labels: list[str]) -> list[Prediction]:
    return [Prediction(score=float(values[column]), label=labels[column]) for column in best_first(values)]
