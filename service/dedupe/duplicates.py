"""Duplicates among texts, or of known texts: ``cmow.dedupe``.

Letters: B texts, U distinct ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

import numpy as np

from cmow.service.dedupe.distinct import find_distinct
from cmow.service.dedupe.grouping import DECISION, Decisions, Grouping, Rule
from cmow.service.dedupe.index import CosineIndex
from cmow.service.dedupe.options import CANDIDATES, THRESHOLD, Keep, require_faiss
from cmow.service.errors import SchemaError
from cmow.service.model.engine import Engine, Floats, Ints
from cmow.service.model.model import Model, open_model
from cmow.service.text.columns import as_texts
from cmow.service.text.texts import TextList, check_tokens

BLOCK = 2048  # texts decided on at once


@dataclass(frozen=True)
class Duplicates:
    """Of B texts: ``duplicate_of`` int64 [B] is the text that is kept instead, -1 where a text is kept itself.

    ``scores`` float32 [B] are the probabilities that both say the same: 1 where they are the same to the model, NaN
    where a text is kept. ``unread`` counts texts that are compared by hash alone, since the model cannot read them
    whole.
    """

    duplicate_of: Ints
    scores: Floats
    unread: int

    @property
    def kept(self) -> Ints:
        """The texts that are kept, ascending."""
        return np.flatnonzero(self.duplicate_of < 0)

    @property
    def dropped(self) -> Ints:
        """The texts that are not, ascending."""
        return np.flatnonzero(self.duplicate_of >= 0)


class Search:
    """Duplicates among ``texts`` [B], or, where ``known`` is not ``None``, of the first ``known`` of them."""

    def __init__(self, engine: Engine, texts: Sequence[str], known: int | None, rule: Rule, keep: Keep) -> None:
        self._engine, self._rule, self._linking, self._known = engine, rule, known is not None, known or 0
        self._distinct = find_distinct(engine.tokenizer, texts, self._known, keep)
        self._texts = [texts[row] for row in self._distinct.first]
        whole = np.flatnonzero(self._distinct.whole)
        self._given = whole[whole < self._distinct.known]
        self.asked = whole[whole >= self._distinct.known]  # int64: what needs a decision

    def decisions(self, before: Decisions) -> Iterator[Decisions]:
        """Decisions on all that are ``asked``, block by block, after those that were made ``before``."""
        embed, verify = self._engine.embed, partial(self._engine.answer, "paraphrase")
        grouping = Grouping(self._texts, embed, verify, self._index(), self._rule, self._linking)
        kept = self._given if self._linking else before["text"][before["text"] == before["kept"]]
        for rows in _blocks(kept):
            grouping.add(rows)
        for rows in _blocks(self.asked[len(before) :]):
            yield grouping.decide(rows)

    def duplicates(self, decisions: Decisions) -> Duplicates:
        """What the ``decisions`` on all that are ``asked`` mean for the texts that are not known."""
        found = self._distinct
        kept, scores = np.arange(len(found.first)), np.ones(len(found.first), np.float32)
        kept[decisions["text"]], scores[decisions["text"]] = decisions["kept"], decisions["score"]
        of = found.of[self._known :]
        other = found.first[kept[of]]
        stays = kept[of] >= found.known if self._linking else other == np.arange(len(of))
        unread = int(np.count_nonzero(~found.whole[of]))
        return Duplicates(np.where(stays, -1, other), np.where(stays, np.float32(np.nan), scores[of]), unread)

    def _index(self) -> CosineIndex:
        members = np.concatenate([self._given, self.asked])

        def sample(count: int) -> Floats:
            chosen = members[np.linspace(0, len(members) - 1, count).astype(np.int64)]
            return self._engine.embed([self._texts[number] for number in chosen])

        width = self._engine.bundle.manifest.dims.similarity_dim
        size = len(self._given) if self._linking else len(members)
        return CosineIndex(width, size, sample, self._engine.threads)


def dedupe(
    texts: Any,
    known: Any = None,
    model: Model | None = None,
    threshold: float = THRESHOLD,
    keep: Keep = "first",
    candidates: int = CANDIDATES,
) -> Duplicates:
    """Near duplicates among ``texts`` [B], or, with ``known`` texts, those of ``texts`` that duplicate one of them.

    A duplicate says the same as the very text that is kept instead, with a probability from ``threshold`` on; ``keep``
    the ``first`` or the ``longest``. Each text is verified against its ``candidates`` nearest kept ones. ``model`` is
    the one that comes with the package unless given. Needs faiss, the extra ``dedupe``.

    Raises ``InvalidInputError`` that names the text at fault, and ``UsageError`` where faiss is missing.
    """
    require_faiss()
    if keep not in get_args(Keep):
        raise SchemaError(f"keep: expected first or longest, got {str(keep)[:40]!r}", "keep")
    if not 0 <= threshold <= 1:
        raise SchemaError(f"threshold: expected a number from 0 to 1, got {threshold}", "threshold")
    if candidates < 1:
        raise SchemaError(f"candidates: expected a number from 1 on, got {candidates}", "candidates")
    if model is None:
        with open_model(None, "auto", 0, require_fused_op=False) as model:
            return dedupe(texts, known, model, threshold, keep, candidates)
    there = [] if known is None else _checked(model, known, "known")
    rows = there + _checked(model, texts, "texts")
    search = Search(model.engine, rows, None if known is None else len(there), Rule(threshold, candidates), keep)
    none = np.empty(0, DECISION)
    return search.duplicates(np.concatenate([none, *search.decisions(none)]))


def _checked(model: Model, value: Any, name: str) -> list[str]:
    """The texts of the argument ``name``; raises ``InvalidInputError``."""
    named = TextList(name, as_texts(value, name))
    named.check(model.limits)
    check_tokens(named.positions(), named.texts, model.engine.tokenizer.encode(named.texts))
    return named.texts


def _blocks(rows: Ints) -> Iterator[Ints]:
    for start in range(0, len(rows), BLOCK):
        yield rows[start : start + BLOCK]
