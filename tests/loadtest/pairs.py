"""Pairs that all tiny sides know the words of."""

from __future__ import annotations

PAIRS = [
    ("the man is playing", "a dog"),
    ("it rains", "the woman makes music"),
    ("a", "the dog is not a man"),
    ("it rains", "somebody is playing the guitar"),
]
