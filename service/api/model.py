"""The model as the endpoints call it: texts in, scores out, under the limits of the settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends

from cmow.service.errors import ModelNotFoundError, SchemaError
from cmow.service.model.bundle import Manifest
from cmow.service.options.settings import Settings
from cmow.service.schedule.caller import Caller
from cmow.service.schedule.scheduler import Check, Scheduler, Scored
from cmow.service.text.pairs import SentencePairs, Sides
from cmow.service.text.texts import PairLimits, Positions, TextList, check_tokens, check_uncut
from cmow.service.text.tokenizer import PackedTokens
from cmow.service.web.dependencies import CallerDep, SchedulerDep, SettingsDep

T = TypeVar("T")


@dataclass(frozen=True)
class Model:
    """The model for one request; raises what ``Scheduler`` raises, and ``InvalidInputError`` naming a text at fault.

    With ``truncate`` texts are cut to the limits of characters and tokens; otherwise a longer one is an error.
    """

    scheduler: Scheduler
    caller: Caller
    settings: Settings

    @property
    def manifest(self) -> Manifest:
        """Of the bundle that is served."""
        return self.scheduler.engine.bundle.manifest

    @property
    def limits(self) -> PairLimits:
        """What one request may hold."""
        return PairLimits(self.settings.max_pairs, self.settings.max_text_chars)

    def check_name(self, name: str | None) -> None:
        """Raise ``ModelNotFoundError`` where a client asks for another model than the one served."""
        if name is not None and name != self.manifest.name:
            raise ModelNotFoundError(
                f"model: expected {self.manifest.name!r}, the only model here, got another", "model"
            )

    def check_dimensions(self, dimensions: int | None) -> None:
        """Raise ``SchemaError`` where a client asks for longer embeddings than the model has."""
        longest = self.manifest.dims.similarity_dim
        if dimensions is not None and dimensions > longest:
            raise SchemaError(f"dimensions: expected at most {longest}, got {str(dimensions)[:40]}", "dimensions")

    async def similarity(self, sides: Sides, truncate: bool = False) -> Scored:
        """Cosines [P]."""
        pairs, check = self.pairs(sides, truncate)
        return await self.scheduler.similarity(self.caller, pairs, check)

    async def entailment(self, sides: Sides, truncate: bool = False) -> Scored:
        """Probabilities [P, 3], columns as the manifest's ``labels``."""
        pairs, check = self.pairs(sides, truncate)
        return await self.scheduler.entailment(self.caller, pairs, check)

    async def embed(self, texts: TextList, truncate: bool = False) -> Scored:
        """Unit vectors [B, m]."""
        values, check = self.read(texts, truncate)
        return await self.scheduler.embed(self.caller, values, check)

    async def call(self, items: int, work: Callable[[], T]) -> T:
        """``work()`` on a worker thread, admitted as ``items`` pairs."""
        return await self.scheduler.call(self.caller, items, work)

    async def call_on_tokens(
        self, texts: Sequence[str], check: Check, items: int, work: Callable[[PackedTokens], T]
    ) -> T:
        """``work`` on the tokens of ``texts`` on a worker thread, admitted as ``items`` pairs of so many tokens."""
        return await self.scheduler.call_on_tokens(self.caller, texts, check, items, work)

    def read(self, texts: TextList, truncate: bool = False) -> tuple[list[str], Check]:
        """``texts`` [B] within the limits, and the check on their tokens."""
        texts = texts.cut(self.limits.max_text_chars) if truncate else texts
        texts.check(self.limits)
        return texts.texts, self._check(texts.positions, texts.texts, truncate)

    def pairs(self, sides: Sides, truncate: bool = False) -> tuple[SentencePairs, Check]:
        """The pairs of ``sides`` within the limits, and the check on their tokens."""
        sides = sides.cut(self.limits.max_text_chars) if truncate else sides
        pairs = sides.pairs(self.limits)
        return pairs, self._check(sides.positions, pairs.texts, truncate)

    def _check(self, positions: Callable[[], Positions], texts: Sequence[str], truncate: bool) -> Check:
        def check(packed: PackedTokens) -> None:
            check_tokens(positions(), texts, packed)
            if not truncate:
                check_uncut(positions(), texts, packed, self.manifest.max_tokens)

        return check


async def _model(scheduler: SchedulerDep, caller: CallerDep, settings: SettingsDep) -> Model:
    return Model(scheduler, caller, settings)


ModelDep = Annotated[Model, Depends(_model)]
