"""Reranking, in the shape that the body has: of Cohere, Jina, vLLM and infinity, or of text-embeddings-inference.

``documents`` bring ``results`` with ``relevance_score``; ``texts``, at ``/rerank`` alone, a bare list with ``score``.
Relevance is a cosine from -1 to 1, as in ``/similarity``. Documents come back only where ``return_documents``, which is
Cohere's default and not Jina's. ``raw_scores`` is ignored: a cosine is not a logit that a sigmoid could turn into
anything better. ``rank_fields`` takes only ``["text"]``, the one field that a document has here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import APIRouter
from pydantic import ConfigDict, Discriminator, Field, Tag

from cmow.service.api.client import ClientRequest, Ignored
from cmow.service.api.openai import Usage
from cmow.service.api.tei.truncation import Truncation
from cmow.service.model.ranking import best_first
from cmow.service.model.work import LongTexts, Scored
from cmow.service.schedule.caller import Caller
from cmow.service.schedule.scheduler import Scheduler
from cmow.service.text.pairs import Sides
from cmow.service.text.texts import TextList, cut
from cmow.service.web.dependencies import SCORING_ERRORS, CallerDep, Payload, SchedulerDep, errors, reads
from cmow.service.web.schemas import PositiveWhole, Text, Whole
from cmow.service.web.validation import TAG, Wire, parse

router = APIRouter(tags=["Cohere, Jina, vLLM and text-embeddings-inference"])

OnEmpty = Annotated[
    Literal["error", "null"],
    Field(description="a document without a token: an error, or a score of null behind all others"),
]


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


TopN = Annotated[Whole | None, Field(description="the best ones only; 0 and below: all")]


class RerankRequest(ClientRequest):
    """Documents to rank by their similarity to a query."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"query": "music", "documents": ["A man plays guitar.", "It rains."]}]}
    )

    query: Text
    documents: list[AnyDocument] = Field(fail_fast=True, json_schema_extra={"minItems": 1})
    top_n: TopN = None
    return_documents: bool | None = False
    return_text: bool | None = Field(False, description="as `return_documents`")
    texts: bool | None = Field(False, description="as `return_documents`")
    on_empty: OnEmpty = "error"
    rank_fields: list[Literal["text"]] | None = Field(None, max_length=1)
    max_tokens_per_doc: PositiveWhole | None = Field(None, description="cut each text to so many tokens")
    max_chunks_per_doc: Ignored = None
    raw_scores: Ignored = None
    truncation: Ignored = None

    @property
    def tokens_per_document(self) -> int | None:
        """To how many tokens a document is cut; ``None`` for none."""
        asked = [most for most in (self.max_tokens_per_doc, self.truncate_prompt_tokens) if most not in (None, -1)]
        return min(asked, default=None)

    @property
    def with_text(self) -> bool:
        """Whether documents come back."""
        return bool(self.return_documents or self.return_text or self.texts)


class Ranked(Wire):
    """One document; the best come first."""

    index: int
    relevance_score: float | None = Field(description="cosine, from -1 to 1; null without a token, where that is asked")
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


class TextsRequest(Truncation):
    """Texts to rank by their similarity to a query, as text-embeddings-inference takes them."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"query": "music", "texts": ["A man plays guitar.", "It rains."]}]}
    )

    query: Text
    texts: list[AnyDocument] = Field(fail_fast=True, json_schema_extra={"minItems": 1})
    top_n: TopN = None
    raw_scores: Ignored = None
    return_text: bool | None = False
    return_documents: bool | None = Field(False, description="as `return_text`")
    on_empty: OnEmpty = "error"


class Rank(Wire):
    """One text; the best come first."""

    index: int
    text: str | None = None
    score: float | None = Field(description="cosine, from -1 to 1; null without a token, where that is asked")


@router.post(
    "/rerank",
    openapi_extra=reads(RerankRequest, TextsRequest),
    responses=SCORING_ERRORS | errors(404),
    response_model_exclude_unset=True,
)
async def rerank(payload: Payload, scheduler: SchedulerDep, caller: CallerDep) -> RerankResponse | list[Rank]:
    """Documents (or texts) by their similarity to a query, the best first."""
    if isinstance(payload, dict) and "documents" in payload:
        return await rerank_documents(payload, scheduler, caller)
    return await _rank_texts(payload, scheduler, caller)


@router.post(
    "/v1/rerank",
    openapi_extra=reads(RerankRequest),
    responses=SCORING_ERRORS | errors(404),
    response_model_exclude_unset=True,
)
@router.post(
    "/v2/rerank",
    openapi_extra=reads(RerankRequest),
    responses=SCORING_ERRORS | errors(404),
    response_model_exclude_unset=True,
)
async def rerank_documents(payload: Payload, scheduler: SchedulerDep, caller: CallerDep) -> RerankResponse:
    """Documents by their similarity to a query, the best first."""
    request = parse(RerankRequest, payload)
    model, texts = scheduler.model, _texts(request.documents)
    model.check_name(request.model)
    query = await scheduler.cut_to_tokens(caller, TextList("query", request.query), request.truncate_prompt_tokens)
    documents = await scheduler.cut_to_tokens(caller, TextList("documents", texts), request.tokens_per_document)
    sides = Sides(query, documents, ("query", "documents"))
    scored = await _score(scheduler, caller, sides, request.long_texts, request.on_empty)
    return RerankResponse(
        id=str(uuid4()),
        model=model.name,
        results=[
            Ranked(index=row, relevance_score=score, **_if(request.with_text, document=Document(text=texts[row])))
            for row, score in _best_first(scored, request.top_n)
        ],
        meta=Meta(tokens=Tokens(input_tokens=scored.tokens)),
        usage=Usage.of(scored),
    )


async def _rank_texts(payload: Any, scheduler: Scheduler, caller: Caller) -> list[Rank]:
    request = parse(TextsRequest, payload)
    texts = _texts(request.texts)
    sides = Sides(request.query, texts, ("query", "texts"))
    scored = await _score(scheduler, caller, sides, request.long_texts, request.on_empty)
    shown = bool(request.return_text or request.return_documents)
    best = _best_first(scored, request.top_n)
    return [Rank(index=row, score=score, **_if(shown, text=texts[row])) for row, score in best]


async def _score(scheduler: Scheduler, caller: Caller, sides: Sides, long: LongTexts, on_empty: OnEmpty) -> Scored:
    work = scheduler.model.pairs("similarity", sides, long)
    if on_empty == "null":
        query = cut(sides.left, scheduler.model.limits.max_text_chars)  # as the work has it where long texts are cut
        work = replace(work, not_empty=TextList(sides.names[0], query))
    return await scheduler.score(caller, work)


def _texts(documents: list[str | Document]) -> list[str]:
    return [document if isinstance(document, str) else document.text for document in documents]


def _best_first(scored: Scored, top_n: int | None) -> list[tuple[int, float | None]]:
    """(row, score) of the ``top_n`` best, or of all, and behind all others the rows without a token."""
    scores = scored.values.tolist()
    ranked = [(row, scores[row]) for row in best_first(scored.values) if not scored.empty[row]]
    ranked += [(row, None) for row, empty in enumerate(scored.empty) if empty]
    return ranked[:top_n] if top_n is not None and top_n > 0 else ranked


def _if(shown: bool, **fields: Any) -> dict[str, Any]:
    """``fields`` where they are ``shown``: what is not set does not go over the wire, but a score of null does."""
    return fields if shown else {}
