"""Pairs of texts as distinct sentences and an index, so that each sentence is read and encoded once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cmow.service.errors import (
    EmptyListError,
    LengthMismatchError,
    TooManyPairsError,
)
from cmow.service.text.texts import TextLimits, Texts, all_ascii, check_characters, cut, positions


@dataclass(frozen=True)
class SentencePairs:
    """``texts`` are B distinct sentences, ``index`` int64 [P, 2] holds the rows of each pair."""

    texts: list[str]
    index: NDArray[np.int64]

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, ...]]) -> SentencePairs:
        """``pairs`` [P] with every repeated sentence kept once, in the order of appearance."""
        rows: dict[str, int] = {}
        flat = [rows.setdefault(text, len(rows)) for pair in pairs for text in pair]
        return cls(list(rows), np.array(flat, np.int64).reshape(-1, 2))


@dataclass(frozen=True)
class Sides:
    """The two sides of a request, under their field names; a string is paired with every entry of the other side."""

    left: Texts
    right: Texts
    names: tuple[str, str]

    def pairs(self, limits: TextLimits) -> SentencePairs:
        """The pairs, checked against ``limits``; raises ``InvalidInputError`` naming the position at fault."""
        size = self._check_size(limits.max_pairs)
        left, right = ([side] * size if isinstance(side, str) else side for side in (self.left, self.right))
        pairs = SentencePairs.of(zip(left, right, strict=True))
        if not all_ascii(pairs.texts, limits.max_text_chars):
            check_characters(self.positions(), limits.max_text_chars)
        return pairs

    def cut(self, max_chars: int) -> Self:
        """The same with each text cut to ``max_chars`` characters."""
        return replace(self, left=cut(self.left, max_chars), right=cut(self.right, max_chars))

    def _check_size(self, max_pairs: int) -> int:
        """Number of pairs P."""
        if isinstance(self.left, str) and isinstance(self.right, str):
            return 1
        sizes = {name: len(side) for name, side in self._named() if not isinstance(side, str)}
        for name, size in sizes.items():
            if size == 0:
                raise EmptyListError(f"{name}: expected at least one sentence, got an empty list", name)
            if size > max_pairs:
                raise TooManyPairsError(f"{name}: expected at most {max_pairs} sentences, got {size}", name)
        if len(set(sizes.values())) > 1:
            raise LengthMismatchError(
                "expected two lists of one length, or a string on one side, got "
                + " and ".join(f"{size} in {name}" for name, size in sizes.items())
            )
        return next(iter(sizes.values()), 1)

    def _named(self) -> Iterator[tuple[str, Texts]]:
        yield from zip(self.names, (self.left, self.right), strict=True)

    def positions(self) -> Iterator[tuple[str, str]]:
        """(position such as ``sentence2[3]``, text) of every text."""
        for name, side in self._named():
            yield from positions(name, side)
