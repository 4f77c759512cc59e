"""`/tokenize` and `/decode`: texts to tokens, and back."""

from __future__ import annotations

from itertools import chain
from typing import Annotated, cast

from fastapi import APIRouter, Response
from pydantic import ConfigDict, Discriminator, Field, Tag
from pydantic_core import to_json

from cmow.service.api.client import Ignored
from cmow.service.errors import SchemaError
from cmow.service.model.engine import NO_PAIRS
from cmow.service.model.work import Work
from cmow.service.text.texts import TextList, check_count
from cmow.service.text.tokenizer import PackedTokens
from cmow.service.web.dependencies import SCORING_ERRORS, CallerDep, Payload, SchedulerDep, reads
from cmow.service.web.schemas import EmptyOrTexts, Integral
from cmow.service.web.validation import TAG, Wire, parse

router = APIRouter()


class TokenizeRequest(Wire):
    """Texts to cut into tokens."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"inputs": "A man plays."}]})

    inputs: EmptyOrTexts
    add_special_tokens: Ignored = None
    prompt_name: None = Field(None, description="this model has no prompts")


class TextToken(Wire):
    """One token, and where it stands in the text: characters ``start`` to ``stop``."""

    id: int
    text: str
    special: bool
    start: int
    stop: int


TokenId = Annotated[int, Field(ge=0), Integral]
Ids = Annotated[list[TokenId], Field(fail_fast=True)]


def _ids_kind(value: object) -> str | None:
    if not isinstance(value, list):
        return None
    return TAG + ("lists" if value and isinstance(value[0], list) else "list")


class DecodeRequest(Wire):
    """Token ids of one text, or of several."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"ids": [1, 2]}, {"ids": [[1], [2]]}]})

    ids: Annotated[
        Annotated[Ids, Tag(TAG + "list")] | Annotated[list[Ids], Field(fail_fast=True), Tag(TAG + "lists")],
        Discriminator(
            _ids_kind, custom_error_type="ids", custom_error_message="a list of token ids, or a list of such lists"
        ),
    ]
    skip_special_tokens: bool | None = True

    @property
    def rows(self) -> list[list[int]]:
        """The ids of each text."""
        return cast(list[list[int]], self.ids if self.ids and isinstance(self.ids[0], list) else [self.ids])


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


@router.post("/decode", openapi_extra=reads(DecodeRequest), responses=SCORING_ERRORS)
async def decode(payload: Payload, scheduler: SchedulerDep, caller: CallerDep) -> list[str]:
    """The texts that lists of token ids spell: of each list, or of the one that came."""
    request = parse(DecodeRequest, payload)
    model, rows = scheduler.model, request.rows
    check_count("ids", len(rows), model.limits.max_pairs)
    tokenizer = model.engine.tokenizer
    if (largest := max(chain.from_iterable(rows), default=0)) >= tokenizer.vocab_size:
        raise SchemaError(f"ids: expected numbers below {tokenizer.vocab_size}, got {str(largest)[:20]}", "ids")
    special = request.skip_special_tokens is not False
    return await scheduler.call(caller, len(rows), lambda: [tokenizer.decode(row, special) for row in rows])


def _text_tokens(text: str, spans: list[tuple[int, int, int]]) -> bytes:
    """JSON of a list of ``TextToken``; made text by text, since the objects take twenty times the bytes."""
    return to_json(
        [
            {"id": token, "text": text[start:stop], "special": False, "start": start, "stop": stop}
            for token, start, stop in spans
        ]
    )
