"""The shapes of Hugging Face's text-embeddings-inference (its ``router/src/http/types.rs``).

Ignored: ``add_special_tokens`` (this model has none) and, in ``/rerank``, ``raw_scores`` (a cosine is not a logit that
a sigmoid could turn into anything better). Only the value that can be served is taken of ``normalize``,
``truncation_direction``, ``prompt_name`` and ``encoding_format``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

import numpy as np
from fastapi import APIRouter, Response
from pydantic import ConfigDict, Discriminator, Field, PositiveInt, Tag
from pydantic_core import to_json

from cmow.service.api.vectors import shorten
from cmow.service.model.bundle import WEIGHTS
from cmow.service.model.engine import NO_PAIRS, Engine, Floats
from cmow.service.model.model import Model
from cmow.service.model.ranking import best_first
from cmow.service.model.work import LongTexts, Work
from cmow.service.text.pairs import Sides
from cmow.service.text.texts import TextList
from cmow.service.text.tokenizer import PackedTokens
from cmow.service.web import schemas
from cmow.service.web.dependencies import SCORING_ERRORS, CallerDep, Payload, SchedulerDep, reads
from cmow.service.web.schemas import Texts
from cmow.service.web.validation import TAG, Wire, parse

router = APIRouter(tags=["text-embeddings-inference"])

SMALLEST = np.finfo(np.float32).tiny  # stands for a probability of 0 in a logarithm


class Truncation(Wire):
    """What every request here may say of long texts."""

    truncate: bool | None = Field(False, description="cut a text that is too long instead of refusing it")
    truncation_direction: Literal["right", "Right"] = Field("right", description="the end that is cut")
    prompt_name: None = Field(None, description="this model has no prompts")

    @property
    def long_texts(self) -> LongTexts:
        """What becomes of texts beyond the limits."""
        return "cut" if self.truncate else "refuse"


class SimilarityInput(Wire):
    """One sentence, and others to compare it with."""

    source_sentence: str
    sentences: list[str] = Field(fail_fast=True)


class SimilarityRequest(Wire):
    """Sentence similarity."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"inputs": {"source_sentence": "A man plays.", "sentences": ["Someone plays.", "It rains."]}}]
        }
    )

    inputs: SimilarityInput
    parameters: Truncation | None = None


class EmbedRequest(Truncation):
    """Texts to embed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"inputs": ["A man plays.", "It rains."]}]})

    inputs: Texts
    normalize: Literal[True] | None = Field(True, description="embeddings here have unit length")
    dimensions: PositiveInt | None = Field(None, description="keep the first ones, scaled to unit length again")
    encoding_format: Literal["float"] | None = None


class RerankRequest(Truncation):
    """Texts to rank by their similarity to a query."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"query": "music", "texts": ["A man plays guitar.", "It rains."]}]}
    )

    query: str
    texts: list[str] = Field(fail_fast=True)
    raw_scores: bool = Field(False, description="ignored: scores are cosines either way")
    return_text: bool = False


class Rank(Wire):
    """One text; the best come first."""

    index: int
    text: str | None = None
    score: float = Field(description="cosine, from -1 to 1")


Pair = Annotated[list[str], Field(min_length=2, max_length=2, fail_fast=True)]


def _pair_kind(value: object) -> str | None:
    if not isinstance(value, list) or not value:
        return None
    return TAG + "pair" if isinstance(value[0], str) else TAG + "pairs"


class ClassificationParameters(Wire):
    """What ``huggingface_hub``'s client may send along."""

    top_k: PositiveInt | None = Field(None, description="the most probable labels only")
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

    inputs: Annotated[
        Annotated[Pair, Tag(TAG + "pair")] | Annotated[list[Pair], Field(fail_fast=True), Tag(TAG + "pairs")],
        Discriminator(
            _pair_kind,
            custom_error_type="pairs",
            custom_error_message="a pair [premise, hypothesis] or a list of such pairs",
        ),
    ]
    raw_scores: bool = Field(False, description="logarithms of the probabilities instead")
    parameters: ClassificationParameters | None = None


class Prediction(Wire):
    """One label."""

    score: float
    label: str


class TokenizeRequest(Wire):
    """Texts to cut into tokens."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"inputs": "A man plays."}]})

    inputs: Texts
    add_special_tokens: bool = Field(True, description="ignored: this model has no special tokens")
    prompt_name: None = Field(None, description="this model has no prompts")


class TextToken(Wire):
    """One token, and where it stands in the text: characters ``start`` to ``stop``."""

    id: int
    text: str
    special: bool
    start: int
    stop: int


class Info(schemas.Info):
    """What serves, and how; also under the names that clients of text-embeddings-inference read."""

    model_id: str
    model_sha: str
    model_dtype: str
    model_type: dict[str, dict[str, str]]
    max_input_length: int = Field(description="tokens of a text")
    max_batch_tokens: int
    max_batch_requests: int | None = None
    max_client_batch_size: int = Field(description="texts or pairs of a request")
    auto_truncate: bool = False
    tokenization_workers: int
    version: str
    sha: str | None = None
    docker_label: str | None = None


def describe(info: schemas.Info, engine: Engine) -> Info:
    """``info`` with the fields of ``/info`` in the shape here."""
    return Info(
        **{name: getattr(info, name) for name in schemas.Info.model_fields},
        model_id=info.model.name,
        model_sha=info.model.sha256[WEIGHTS],
        model_dtype=info.model.table_dtype,
        model_type={"embedding": {"pooling": "mean and products"}},
        max_input_length=info.model.max_tokens,
        max_batch_tokens=engine.options.budget.tokens,
        max_client_batch_size=info.limits.max_pairs,
        tokenization_workers=engine.threads,
        version=info.versions["service"],
    )


@router.post("/embed", openapi_extra=reads(EmbedRequest), responses=SCORING_ERRORS)
async def embed(payload: Payload, scheduler: SchedulerDep, caller: CallerDep) -> list[list[float]]:
    """Unit-length embeddings of texts."""
    request = parse(EmbedRequest, payload)
    model = scheduler.model
    model.check_dimensions(request.dimensions)
    work = model.texts(TextList("inputs", request.inputs), request.long_texts)
    embedded = await scheduler.score(caller, work)
    vectors: list[list[float]] = shorten(embedded.values, request.dimensions).tolist()
    return vectors


@router.post("/rerank", openapi_extra=reads(RerankRequest), responses=SCORING_ERRORS, response_model_exclude_none=True)
async def rerank(payload: Payload, scheduler: SchedulerDep, caller: CallerDep) -> list[Rank]:
    """Texts by their similarity to a query, the best first."""
    request = parse(RerankRequest, payload)
    sides = Sides(request.query, request.texts, ("query", "texts"))
    scored = await scheduler.score(caller, scheduler.model.pairs("similarity", sides, request.long_texts))
    scores = scored.values.tolist()
    return [
        Rank(index=row, text=request.texts[row] if request.return_text else None, score=scores[row])
        for row in best_first(scored.values)
    ]


@router.post("/predict", openapi_extra=reads(PredictRequest), responses=SCORING_ERRORS)
async def predict(
    payload: Payload, scheduler: SchedulerDep, caller: CallerDep
) -> list[Prediction] | list[list[Prediction]]:
    """The labels of a pair of premise and hypothesis, the most probable first; a list of these for a list of pairs."""
    request = parse(PredictRequest, payload)
    sides = PairList.of(request.inputs)
    scored = await scheduler.score(caller, scheduler.model.pairs("entailment", sides, request.long_texts))
    parameters = request.parameters or ClassificationParameters(top_k=None, function_to_apply=None)
    raw = request.raw_scores or parameters.function_to_apply == "none"
    values = np.log(np.maximum(scored.values, SMALLEST)) if raw else scored.values
    predictions = [_predictions(row, scheduler.model.manifest.labels)[: parameters.top_k] for row in values]
    return predictions[0] if sides.single else predictions


@router.post(
    "/tokenize",
    openapi_extra=reads(TokenizeRequest),
    responses=SCORING_ERRORS,
    response_model=list[list[TextToken]],
)
async def tokenize(payload: Payload, scheduler: SchedulerDep, caller: CallerDep) -> Response:
    """The tokens that the model reads of each text."""
    request = parse(TokenizeRequest, payload)
    named, model = TextList("inputs", request.inputs), scheduler.model
    named.check(model.limits)
    texts, spans = named.texts, model.engine.tokenizer.spans

    def compute(packed: PackedTokens) -> bytes:
        return b"[%b]" % b",".join(_text_tokens(text, spans(text)) for text in texts)

    reply = await scheduler.call_on_tokens(caller, len(texts), Work("embed", texts, NO_PAIRS), compute)
    return Response(reply, media_type="application/json")


def is_similarity(payload: Any) -> bool:
    """Whether a body of ``/similarity`` has the shape here, and not the service's own."""
    return isinstance(payload, dict) and "inputs" in payload


def similarity_work(model: Model, payload: Any) -> Work:
    """The pairs of one sentence with others in such a body."""
    request = parse(SimilarityRequest, payload)
    inputs, long = request.inputs, "refuse" if request.parameters is None else request.parameters.long_texts
    sides = Sides(inputs.source_sentence, inputs.sentences, ("inputs.source_sentence", "inputs.sentences"))
    return model.pairs("similarity", sides, long)


@dataclass(frozen=True)
class PairList(Sides):
    """Pairs as ``/predict`` takes them; ``single`` where the client sent one pair and no list."""

    single: bool

    @classmethod
    def of(cls, inputs: list[str] | list[list[str]]) -> PairList:
        """From one pair or a list of pairs."""
        single = isinstance(inputs[0], str)
        pairs = cast(list[list[str]], [inputs] if single else inputs)
        left, right = ([pair[side] for pair in pairs] for side in (0, 1))
        return cls(left, right, ("inputs", "inputs"), single)

    def positions(self) -> Iterator[tuple[str, str]]:
        """(position, text) of every text: ``inputs[0]`` of a single pair, ``inputs[3][0]`` in a list."""
        for row, pair in enumerate(zip(self.left, self.right, strict=True)):
            for side, text in enumerate(pair):
                yield f"inputs[{side}]" if self.single else f"inputs[{row}][{side}]", text


def _predictions(values: Floats, labels: list[str]) -> list[Prediction]:
    return [Prediction(score=float(values[column]), label=labels[column]) for column in best_first(values)]


def _text_tokens(text: str, spans: list[tuple[int, int, int]]) -> bytes:
    """JSON of a list of ``TextToken``; made text by text, since the objects take twenty times the bytes."""
    return to_json(
        [
            {"id": token, "text": text[start:stop], "special": False, "start": start, "stop": stop}
            for token, start, stop in spans
        ]
    )
