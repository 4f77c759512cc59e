"""The sentences of a text, and where they stand in it.

`sentencex` of Wikimedia (MIT) finds them: it knows abbreviations and decimals, keeps every character, and reads hostile
text in time that grows almost with its length; it gets ``CHUNK`` characters of a paragraph at once, so that it does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

PARAGRAPH = re.compile(r"\S.*?(?=\n\s*\n|\Z)", re.DOTALL)
CHUNK = 10_000  # characters
LONGEST = 400  # characters of a sentence; what has no full stop, as a list or a table, is cut to such pieces


class Span(NamedTuple):
    """Characters ``start`` to ``stop`` of a text."""

    start: int
    stop: int


def sentence_spans(text: str) -> Iterator[Span]:
    """The sentences of ``text`` in order, without the space around them; none of them is empty.

    Between them stands only what is space. ``text`` must be Unicode, without lone surrogates.
    """
    for paragraph in PARAGRAPH.finditer(text):
        for sentence in _found(text, *paragraph.span()):
            pieces = (_stripped(text, piece) for piece in _pieces(text, sentence, LONGEST))
            yield from (piece for piece in pieces if piece.start < piece.stop)


def _found(text: str, start: int, stop: int) -> Iterator[Span]:
    """What `sentencex` finds between ``start`` and ``stop``; the last sentence of a chunk begins the next one."""
    from sentencex import get_sentence_boundaries  # a compiled library, which most that import the model never need

    while start < stop:
        chunk = text[start : min(start + CHUNK, stop)]
        found = get_sentence_boundaries("en", chunk)
        last = start + len(chunk) == stop or len(found) == 1
        for sentence in found if last else found[:-1]:
            yield Span(start + sentence["start_index"], start + sentence["end_index"])
        start += len(chunk) if last else found[-1]["start_index"]


def _pieces(text: str, span: Span, most: int) -> Iterator[Span]:
    """``span`` cut into pieces of at most ``most`` characters, after the last space in each where there is one."""
    start, stop = span
    while stop - start > most:
        middle = start + most
        spaces = (middle - back for back in range(most) if text[middle - back - 1].isspace())
        end = next(spaces, middle)
        yield Span(start, end)
        start = end
    yield Span(start, stop)


def _stripped(text: str, span: Span) -> Span:
    """``span`` without the space at its ends."""
    found = text[span.start : span.stop]
    start = span.start + len(found) - len(found.lstrip())
    return Span(start, start + len(found.strip()))
