"""Our own: the embedding of a text from its parts, exact and without ever holding the whole of it.

A part is a text, or the state that an earlier reply gave: so a document of any length is embedded piece by piece, and
one that grows or changes costs what is new. Parts are joined as if by a space, since no token spans two of them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from fastapi import APIRouter
from pydantic import ConfigDict, Discriminator, Field, Tag

from cmow.service.api.vectors import to_base64
from cmow.service.errors import InvalidStateError
from cmow.service.model.bundle import WEIGHTS, Manifest
from cmow.service.model.composer import State, check_state, compose
from cmow.service.model.engine import NO_PAIRS, Floats
from cmow.service.model.work import LongTexts, Work
from cmow.service.text.texts import TextList, check_count
from cmow.service.text.tokenizer import PackedTokens
from cmow.service.web.dependencies import SCORING_ERRORS, CallerDep, ComposerDep, Payload, SchedulerDep, reads
from cmow.service.web.schemas import Integral, Text
from cmow.service.web.validation import TAG, Wire, parse

router = APIRouter()

DIGEST = 16  # hexadecimal digits of a model's digest that its states carry
MOST_TOKENS = 2**53  # of all parts: what a JSON number holds exactly


class WireState(Wire):
    """What stands for a text that has been read."""

    model: str = Field(description="which weights gave it: a state of another model is an error")
    tokens: Annotated[int, Field(ge=1, le=MOST_TOKENS), Integral]
    values: str = Field(description="base64 of little-endian float32")


def _part_kind(value: object) -> str | None:
    match value:
        case str():
            return TAG + "text"
        case dict():
            return TAG + "state"
        case _:
            return None


Part = Annotated[
    Annotated[Text, Tag(TAG + "text")] | Annotated[WireState, Tag(TAG + "state")],
    Discriminator(_part_kind, custom_error_type="part", custom_error_message="a string or a state"),
]


class ComposeRequest(Wire):
    """Parts of a text, in order."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"parts": ["A man plays", "guitar."]}]})

    parts: list[Part] = Field(fail_fast=True, json_schema_extra={"minItems": 1})
    return_state: bool = Field(False, description="also give the state of the whole, to be a part of another request")
    truncate: bool = Field(False, description="cut a part that is too long instead of refusing it")


class ComposeResponse(Wire):
    """The whole."""

    embedding: list[float] = Field(description="unit length")
    tokens: int = Field(description="of all parts")
    state: WireState | None
    model: str


@router.post("/embed/compose", openapi_extra=reads(ComposeRequest), responses=SCORING_ERRORS)
async def embed_composed(
    payload: Payload, scheduler: SchedulerDep, caller: CallerDep, composer: ComposerDep
) -> ComposeResponse:
    """Unit-length embedding of the parts joined, from their states alone: the same as that of the joined text."""
    request = parse(ComposeRequest, payload)
    model = scheduler.model
    check_count("parts", len(request.parts), model.limits.max_pairs)
    known = _known_states(request.parts, model.manifest)
    texts = TextParts.of(request.parts)
    long: LongTexts = "cut" if request.truncate else "refuse"
    work = model.texts(texts, long, "states") if texts.rows else Work("states", [], NO_PAIRS)

    def compute(packed: PackedTokens) -> tuple[State, Floats]:
        states = known | dict(zip(texts.rows, composer.states(packed), strict=True))
        whole = compose((states[row] for row in sorted(states)), model.manifest.dims)
        if whole.tokens > MOST_TOKENS:
            raise InvalidStateError(f"parts: expected at most {MOST_TOKENS} tokens in all, got {whole.tokens}", "parts")
        return whole, composer.embed(whole)

    whole, embedding = await scheduler.call_on_tokens(caller, len(request.parts), work, compute)
    return ComposeResponse(
        embedding=embedding.tolist(),
        tokens=whole.tokens,
        state=_to_wire(whole, model.manifest) if request.return_state else None,
        model=model.name,
    )


@dataclass(frozen=True)
class TextParts(TextList):
    """The parts that are texts, and which of all parts they are."""

    rows: list[int]

    @classmethod
    def of(cls, parts: list[str | WireState]) -> TextParts:
        """Those of ``parts``."""
        texts = {row: part for row, part in enumerate(parts) if isinstance(part, str)}
        return cls("parts", list(texts.values()), list(texts))

    def positions(self) -> Iterator[tuple[str, str]]:
        """(position among all parts, text) of every text."""
        return ((f"{self.name}[{row}]", text) for row, text in zip(self.rows, self.texts, strict=True))


def _known_states(parts: list[str | WireState], manifest: Manifest) -> dict[int, State]:
    """The parts that are states, by row; raises ``InvalidStateError`` where one is not of this model."""
    return {
        row: _from_wire(part, manifest, f"parts[{row}]")
        for row, part in enumerate(parts)
        if isinstance(part, WireState)
    }


def _from_wire(part: WireState, manifest: Manifest, where: str) -> State:
    if part.model != _digest(manifest):
        raise InvalidStateError(f"{where}: expected a state of the model {_digest(manifest)}, got another's", where)
    try:
        content = base64.b64decode(part.values, validate=True)
    except ValueError:
        raise InvalidStateError(f"{where}: expected base64, got something else", where) from None
    if len(content) != 4 * manifest.dims.embedding_dim:
        raise InvalidStateError(
            f"{where}: expected {4 * manifest.dims.embedding_dim} bytes in base64, got {len(content)}", where
        )
    state = State(np.frombuffer(content, "<f4").astype(np.float32), part.tokens)
    check_state(state, manifest.dims, where)
    return state


def _to_wire(state: State, manifest: Manifest) -> WireState:
    return WireState(model=_digest(manifest), tokens=state.tokens, values=to_base64(state.values))


def _digest(manifest: Manifest) -> str:
    return manifest.files[WEIGHTS].sha256[:DIGEST]
