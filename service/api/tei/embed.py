"""`/embed` and `/embed_all`: embeddings of texts, and of their tokens."""

from __future__ import annotations

from typing import Literal

import numpy as np
from fastapi import APIRouter
from pydantic import ConfigDict, Field

from cmow.service.api.tei.truncation import Truncation
from cmow.service.api.vectors import shorten
from cmow.service.errors import TooManyTokensError
from cmow.service.model.engine import with_itself
from cmow.service.text.texts import TextList
from cmow.service.text.tokenizer import PackedTokens
from cmow.service.web.dependencies import SCORING_ERRORS, CallerDep, Payload, SchedulerDep, reads
from cmow.service.web.schemas import PositiveWhole, Texts
from cmow.service.web.validation import parse

router = APIRouter()

MOST_TOKENS = 1024  # of `/embed_all`: some ten megabytes of JSON


class EmbedRequest(Truncation):
    """Texts to embed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"inputs": ["A man plays.", "It rains."]}]})

    inputs: Texts
    normalize: Literal[True] | None = Field(True, description="embeddings here have unit length")
    dimensions: PositiveWhole | None = Field(None, description="keep the first ones, scaled to unit length again")
    encoding_format: Literal["float"] | None = None


class EmbedAllRequest(Truncation):
    """Texts whose tokens to embed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"inputs": ["A man plays.", "It rains."]}]})

    inputs: Texts


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


@router.post("/embed_all", openapi_extra=reads(EmbedAllRequest), responses=SCORING_ERRORS)
async def embed_all(payload: Payload, scheduler: SchedulerDep, caller: CallerDep) -> list[list[list[float]]]:
    """The unit-length embedding of each token of each text, as of a text of this token alone: they have no context."""
    request = parse(EmbedAllRequest, payload)
    model = scheduler.model
    work = model.texts(TextList("inputs", request.inputs), request.long_texts)

    def compute(packed: PackedTokens) -> list[list[list[float]]]:
        count = len(packed.token_ids)
        if count > MOST_TOKENS:
            raise TooManyTokensError(f"inputs: expected at most {MOST_TOKENS} tokens in all, got {count}", "inputs")
        alone = PackedTokens(packed.token_ids, np.arange(count + 1), np.zeros(count, np.bool_))
        vectors = model.engine.score("embed", alone, with_itself(count))
        return [rows.tolist() for rows in np.split(vectors, packed.cu_seqlens[1:-1])]

    return await scheduler.call_on_tokens(caller, len(work.pairs), work, compute)
