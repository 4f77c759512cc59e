"""OpenAI's embeddings and models, as its ``openai`` client sends and reads them.

Token ids are refused: they are of another tokenizer than this model's and would give nonsense.
``dimensions`` keeps the first numbers and scales them to unit length again, as OpenAI advises for shortened embeddings;
this model was not trained to put the most important ones first.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import ConfigDict, Discriminator, Field, Tag

from cmow.service.api.client import ClientRequest, Ignored
from cmow.service.api.vectors import shorten, to_base64
from cmow.service.model.engine import Floats
from cmow.service.model.model import Model
from cmow.service.model.work import Scored
from cmow.service.text.texts import TextList
from cmow.service.web.dependencies import (
    READING_ERRORS,
    SCORING_ERRORS,
    CallerDep,
    Payload,
    SchedulerDep,
    errors,
    reads,
)
from cmow.service.web.schemas import PositiveWhole, Text, TextItems
from cmow.service.web.validation import TAG, Wire, parse

router = APIRouter(tags=["OpenAI"])

NO_TOKEN_IDS = "a string or a list of strings (no token ids, which are of another tokenizer than this model's)"


def _input_kind(value: object) -> str | None:
    if isinstance(value, str):
        return TAG + "text"
    ids = isinstance(value, list) and bool(value) and isinstance(value[0], int | list)
    return TAG + "list" if isinstance(value, list) and not ids else None


Input = Annotated[
    Annotated[Text, Tag(TAG + "text")] | Annotated[TextItems, Tag(TAG + "list")],
    Discriminator(_input_kind, custom_error_type="texts", custom_error_message=NO_TOKEN_IDS),
    Field(description="a text, or a list of texts"),
]


class EmbeddingsRequest(ClientRequest):
    """Texts to embed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"input": ["A man plays.", "It rains."]}]})

    input: Input
    dimensions: PositiveWhole | None = Field(None, description="keep the first ones, scaled to unit length again")
    encoding_format: Literal["float", "base64"] | None = Field("float", description="base64: little-endian float32")
    normalize: Literal[True] | None = Field(True, description="embeddings here have unit length")
    embedding_type: Literal["float", "base64"] | None = Field(None, description="as `encoding_format`, by Jina's name")
    input_type: Ignored = None
    modality: Literal["text"] | None = None
    task: Ignored = None


class Embedding(Wire):
    """One text's."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class Usage(Wire):
    """What the request took."""

    prompt_tokens: int
    total_tokens: int

    @classmethod
    def of(cls, scored: Scored) -> Usage:
        """No tokens are generated here, so that both numbers are the same."""
        return cls(prompt_tokens=scored.tokens, total_tokens=scored.tokens)


class EmbeddingsResponse(Wire):
    """Embeddings in the order of the texts."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: Usage


class ModelCard(Wire):
    """One model."""

    id: str
    object: Literal["model"] = "model"
    created: int = Field(description="seconds since 1970")
    owned_by: str = "local"


class ModelList(Wire):
    """The model served, under each of its names."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


@router.post("/embeddings", openapi_extra=reads(EmbeddingsRequest), responses=SCORING_ERRORS | errors(404))
@router.post("/v1/embeddings", openapi_extra=reads(EmbeddingsRequest), responses=SCORING_ERRORS | errors(404))
async def embeddings(payload: Payload, scheduler: SchedulerDep, caller: CallerDep) -> EmbeddingsResponse:
    """Unit-length embeddings of texts."""
    request = parse(EmbeddingsRequest, payload)
    model = scheduler.model
    model.check_name(request.model)
    model.check_dimensions(request.dimensions)
    texts = await scheduler.cut_to_tokens(caller, TextList("input", request.input), request.truncate_prompt_tokens)
    embedded = await scheduler.score(caller, model.texts(TextList("input", texts), request.long_texts))
    vectors, encoding = shorten(embedded.values, request.dimensions), request.embedding_type or request.encoding_format
    return EmbeddingsResponse(data=_data(vectors, encoding), model=model.name, usage=Usage.of(embedded))


@router.get("/v1/models", responses=READING_ERRORS)
async def models(scheduler: SchedulerDep) -> ModelList:
    """The model served, under each of its names."""
    model = scheduler.model
    return ModelList(data=[_card(model, name) for name in model.names])


@router.get("/v1/models/{name:path}", responses=READING_ERRORS | errors(404))
async def one_model(name: str, scheduler: SchedulerDep) -> ModelCard:
    """The model served, by its name."""
    scheduler.model.check_name(name)
    return _card(scheduler.model, name)


def _data(vectors: Floats, encoding: str | None) -> list[Embedding]:
    values = map(to_base64, vectors) if encoding == "base64" else vectors.tolist()
    return [Embedding(index=index, embedding=value) for index, value in enumerate(values)]


def _card(model: Model, name: str) -> ModelCard:
    return ModelCard(id=name, created=int(model.manifest.created.timestamp()))
