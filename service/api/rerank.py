"""Reranking in the shape of Cohere (``/v1/rerank`` and ``/v2/rerank``) and Jina (``/v1/rerank``).

Ignored: ``max_chunks_per_doc`` (a document is never cut into chunks) and ``priority`` (requests are served in order).
Relevance is a cosine from -1 to 1, as in ``/similarity``. Documents come back only where ``return_documents``, which is
Cohere's default and not Jina's. ``rank_fields`` takes only ``["text"]``, the one field that a document has here.
"""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import uuid4

from fastapi import APIRouter
from pydantic import ConfigDict, Discriminator, Field, PositiveInt, Tag

from cmow.service.api.openai import Usage
from cmow.service.model.ranking import best_first
from cmow.service.text.pairs import Sides
from cmow.service.web.dependencies import SCORING_ERRORS, CallerDep, Payload, SchedulerDep, errors, reads
from cmow.service.web.validation import TAG, Wire, parse

router = APIRouter(tags=["Cohere and Jina"])


class Document(Wire):
    """One document."""

    text: str


def _document_kind(value: object) -> str | None:
    match value:
        case str():
            return TAG + "text"
        case dict():
            return TAG + "document"
        case _:
            return None


AnyDocument = Annotated[
    Annotated[str, Tag(TAG + "text")] | Annotated[Document, Tag(TAG + "document")],
    Discriminator(
        _document_kind, custom_error_type="document", custom_error_message="a string or an object with a text"
    ),
]


class RerankRequest(Wire):
    """Documents to rank by their similarity to a query."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"query": "music", "documents": ["A man plays guitar.", "It rains."]}]}
    )

    model: str | None = Field(None, description="the served model's name, or nothing")
    query: str
    documents: list[AnyDocument] = Field(fail_fast=True)
    top_n: PositiveInt | None = Field(None, description="the best ones only")
    return_documents: bool | None = False
    rank_fields: list[Literal["text"]] | None = Field(None, max_length=1)
    max_chunks_per_doc: PositiveInt | None = Field(None, description="ignored")
    max_tokens_per_doc: PositiveInt | None = Field(None, description="ignored: documents are read whole")
    priority: int | None = Field(None, description="ignored")

    @property
    def texts(self) -> list[str]:
        """The documents' texts."""
        return [document if isinstance(document, str) else document.text for document in self.documents]


class Ranked(Wire):
    """One document; the best come first."""

    index: int
    relevance_score: float = Field(description="cosine, from -1 to 1")
    document: Document | None = None


class Tokens(Wire):
    """As Cohere counts."""

    input_tokens: int


class Meta(Wire):
    """What Cohere's clients read."""

    tokens: Tokens


class RerankResponse(Wire):
    """Documents from the most to the least similar."""

    id: str
    model: str
    results: list[Ranked]
    meta: Meta
    usage: Usage


@router.post(
    "/v1/rerank",
    openapi_extra=reads(RerankRequest),
    responses=SCORING_ERRORS | errors(404),
    response_model_exclude_none=True,
)
@router.post(
    "/v2/rerank",
    openapi_extra=reads(RerankRequest),
    responses=SCORING_ERRORS | errors(404),
    response_model_exclude_none=True,
)
async def rerank(payload: Payload, scheduler: SchedulerDep, caller: CallerDep) -> RerankResponse:
    """Documents by their similarity to a query, the best first."""
    request = parse(RerankRequest, payload)
    model, texts = scheduler.model, request.texts
    model.check_name(request.model)
    work = model.pairs("similarity", Sides(request.query, texts, ("query", "documents")), "refuse")
    scored = await scheduler.score(caller, work)
    scores = scored.values.tolist()
    return RerankResponse(
        id=str(uuid4()),
        model=model.name,
        results=[
            Ranked(
                index=row,
                relevance_score=scores[row],
                document=Document(text=texts[row]) if request.return_documents else None,
            )
            for row in best_first(scored.values)[: request.top_n]
        ],
        meta=Meta(tokens=Tokens(input_tokens=scored.tokens)),
        usage=Usage.of(scored),
    )
