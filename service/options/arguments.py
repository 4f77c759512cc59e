"""Types of command-line arguments: numbers, characters, encodings and texts."""

from __future__ import annotations

import codecs
from argparse import ArgumentTypeError
from math import inf, isfinite

MOST = 2**31 - 1  # what everything that takes a count can hold


def count(text: str) -> int:
    """A whole number from 1 to ``MOST``; raises ``ArgumentTypeError``."""
    number = int(text) if text.isdecimal() and len(text) <= len(str(MOST)) else 0
    if not 1 <= number <= MOST:
        raise ArgumentTypeError(f"expected a whole number from 1 to {MOST}, got {text[:40]!r}")
    return number


def positive(text: str) -> float:
    """A number above 0; raises ``ArgumentTypeError``."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not (isfinite(number) and number > 0):
        raise ArgumentTypeError(f"expected a number above 0, got {text[:40]!r}")
    return number


def score(text: str) -> float:
    """A number from -1 to 1; raises ``ArgumentTypeError``."""
    return _up_to_one(text, -1)


def probability(text: str) -> float:
    """A number from 0 to 1; raises ``ArgumentTypeError``."""
    return _up_to_one(text, 0)


def _up_to_one(text: str, least: int) -> float:
    try:
        number = float(text)
    except ValueError:
        number = inf
    if not least <= number <= 1:
        raise ArgumentTypeError(f"expected a number from {least} to 1, got {text[:40]!r}")
    return number


def delimiter(text: str) -> str:
    r"""One character that may stand between cells, of which ``\t`` is a tab; raises ``ArgumentTypeError``."""
    character = "\t" if text == "\\t" else text
    if len(character) != 1 or character in '"\r\n\0' or (not character.isprintable() and character != "\t"):
        raise ArgumentTypeError(f"expected one character, such as ; or \\t, got {text[:40]!a}")
    return character


def encoding(text: str) -> str:
    """The name of an encoding of text, as Python spells it; raises ``ArgumentTypeError``."""
    try:
        "".encode(text)
        codecs.getincrementaldecoder(text)
        return codecs.lookup(text).name
    except (LookupError, ValueError):
        raise ArgumentTypeError(f"expected an encoding such as utf-8, utf-16 or cp1252, got {text[:40]!a}") from None


def unicode(text: str) -> str:
    """``text``, which the system gave as UTF-8; raises ``ArgumentTypeError`` where it was none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ArgumentTypeError(f"expected UTF-8, got {text[:40]!a}") from None
    return text
