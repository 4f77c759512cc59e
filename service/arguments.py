"""Types of command-line arguments: numbers above zero."""

from __future__ import annotations

from argparse import ArgumentTypeError
from math import isfinite

MOST = 2**31 - 1  # what the C functions behind a number take
DIGITS = 10


def count(text: str) -> int:
    """A whole number from 1 to ``MOST``; raises ``ArgumentTypeError``."""
    if not text.isdecimal() or len(text) > DIGITS or not 1 <= int(text) <= MOST:
        raise ArgumentTypeError(f"expected a whole number from 1 to {MOST}, got {text[:40]!r}")
    return int(text)


def positive(text: str) -> float:
    """A number above 0; raises ``ArgumentTypeError``."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not (isfinite(number) and number > 0):
        raise ArgumentTypeError(f"expected a number above 0, got {text[:40]!r}")
    return number
