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
    from sentencex import get_sentence_boundaries  # a compiled library, which most that import the model never need

    for paragraph in PARAGRAPH.finditer(text):
        for chunk in _pieces(text, Span(*paragraph.span()), CHUNK):
            for found in get_sentence_boundaries("en", text[chunk.start : chunk.stop]):
                sentence = Span(chunk.start + found["start_index"], chunk.start + found["end_index"])
                pieces = (_stripped(text, piece) for piece in _pieces(text, sentence, LONGEST))
                yield from (piece for piece in pieces if piece.start < piece.stop)


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
