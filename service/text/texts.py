"""Checks of a request's texts; an error names the position of the text at fault, as in ``sentence2[3]``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cmow.service.errors import (
    EmptyListError,
    EmptyTextError,
    InvalidTextError,
    TextTooLongError,
    TooManyTextsError,
    UnknownTextError,
)
from cmow.service.text.tokenizer import PackedTokens

Texts = str | Sequence[str]
Positions = Iterable[tuple[str, str]]  # (position, text) of every text, in the order of the request


@dataclass(frozen=True)
class TextLimits:
    """What one request may hold; ``max_pairs`` is also the most texts of a list that makes no pairs."""

    max_pairs: int
    max_text_chars: int
    max_request_chars: int  # of what a request is expanded to, as labels in a template


@dataclass(frozen=True)
class TextList:
    """B texts of the field ``name``, where the client may have sent one string instead of a list."""

    name: str
    value: Texts

    @property
    def texts(self) -> list[str]:
        """The texts [B]."""
        return [self.value] if isinstance(self.value, str) else list(self.value)

    def positions(self) -> Iterator[tuple[str, str]]:
        """(position, text) of every text."""
        return positions(self.name, self.value)

    def cut(self, max_chars: int) -> Self:
        """The same with each text cut to ``max_chars`` characters."""
        return replace(self, value=cut(self.value, max_chars))

    def check(self, limits: TextLimits) -> None:
        """Raise ``InvalidInputError`` unless there are some texts, all within ``limits``."""
        check_count(self.name, len(self.texts), limits.max_pairs)
        check_characters(self.positions(), limits.max_text_chars)


def check_count(name: str, count: int, most: int) -> None:
    """Raise ``EmptyListError`` or ``TooManyTextsError`` unless there are 1 to ``most`` texts in the field ``name``."""
    if count == 0:
        raise EmptyListError(f"{name}: expected at least one text, got an empty list", name)
    if count > most:
        raise TooManyTextsError(f"{name}: expected at most {most} texts, got {count}", name)


def positions(name: str, value: Texts) -> Iterator[tuple[str, str]]:
    """(position, text) of each text in the field ``name``: ``name`` itself for a string, ``name[3]`` in a list."""
    if isinstance(value, str):
        yield name, value
    else:
        yield from ((f"{name}[{row}]", text) for row, text in enumerate(value))


def cut(value: Texts, max_chars: int) -> Texts:
    """A text, or each of a list, cut to ``max_chars`` characters."""
    return value[:max_chars] if isinstance(value, str) else [text[:max_chars] for text in value]


def all_ascii(texts: Iterable[str], max_chars: int) -> bool:
    """Whether all ``texts`` are ASCII and within ``max_chars``: all that most requests need to be checked for."""
    return all(text.isascii() and len(text) <= max_chars for text in texts)


def check_characters(positions: Positions, max_chars: int) -> None:
    """Raise ``TextTooLongError`` or ``InvalidTextError`` at the first text that is too long or no Unicode."""
    for where, text in positions:
        if len(text) > max_chars:
            raise TextTooLongError(f"{where}: expected at most {max_chars} characters, got {len(text)}", where)
        if text.isascii():
            continue
        try:
            text.encode()
        except UnicodeEncodeError as error:  # JSON can spell half a surrogate pair
            found = f"U+{ord(text[error.start]):04X} at character {error.start}"
            raise InvalidTextError(f"{where}: expected Unicode text, got a lone surrogate {found}", where) from None


def check_tokens(positions: Positions, texts: Sequence[str], packed: PackedTokens) -> None:
    """Raise ``EmptyTextError`` at the first of ``positions`` of which the tokenizer left nothing.

    ``packed`` are ``texts`` [B].
    """
    if (where := _first(positions, texts, packed.lengths == 0)) is not None:
        raise EmptyTextError(f"{where}: expected text with at least one token, got none", where)


def check_uncut(positions: Positions, texts: Sequence[str], packed: PackedTokens, max_tokens: int) -> None:
    """Raise ``TextTooLongError`` at the first text that the tokenizer had to cut to ``max_tokens``."""
    if (where := _first(positions, texts, packed.truncated)) is not None:
        raise TextTooLongError(f"{where}: expected at most {max_tokens} tokens, got more", where)


def check_known(positions: Positions, texts: Sequence[str], unread: NDArray[np.bool_]) -> None:
    """Raise ``UnknownTextError`` at the first of ``texts`` [B] that is ``unread`` [B]."""
    if (where := _first(positions, texts, unread)) is not None:
        raise UnknownTextError(f"{where}: expected text with a token that the model knows, got none", where)


def _first(positions: Positions, texts: Sequence[str], chosen: NDArray[np.bool_]) -> str | None:
    """The first of ``positions`` whose text is one of ``texts`` [B] that are ``chosen`` [B]."""
    if not np.count_nonzero(chosen):
        return None
    wanted = {texts[row] for row in np.flatnonzero(chosen)}
    return next((where for where, text in positions if text in wanted), None)
