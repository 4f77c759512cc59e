"""Rows to look for duplicates in: sentences of a data folder, and variants of them."""

from __future__ import annotations

import random
from pathlib import Path

from training.data.sentences import distinct_sentences
from training.pairs.edits import EDITS

VARIANTS = 0.3  # share of all rows; half of them say the same in other characters, half say something else
CONTRACTIONS = {"What is": "What's", "is not": "isn't", "do not": "don't", "I am": "I'm", "cannot": "can't"}


def make_rows(data: Path, count: int, seed: int) -> list[str]:
    """``count`` rows in an order by ``seed``: the sentences of training splits, running text, and variants of both."""
    chance = random.Random(seed)
    sentences = distinct_sentences(data, count, seed)[: round(count * (1 - VARIANTS))]
    variants = [variant(chance.choice(sentences), chance) for _ in range(count - len(sentences))]
    rows = sentences + variants
    chance.shuffle(rows)
    return rows


def variant(text: str, chance: random.Random) -> str:
    """``text`` spelt differently, or edited so that it says something else."""
    if chance.random() < 0.5:
        return chance.choice(SPELLINGS)(text, chance)
    words = text.split()
    edits = [edited for edit in EDITS.values() if (edited := edit(words, chance))]
    return " ".join(chance.choice(edits or [words]))


def capitals(text: str, chance: random.Random) -> str:
    """``text`` in capitals."""
    return text.upper()


def contracted(text: str, chance: random.Random) -> str:
    """``text`` with contractions."""
    for long, short in CONTRACTIONS.items():
        text = text.replace(long, short)
    return text


def unpunctuated(text: str, chance: random.Random) -> str:
    """``text`` without its last mark and its commas."""
    return text.rstrip(".?!").replace(",", "")


def mistyped(text: str, chance: random.Random) -> str:
    """``text`` with two letters of it exchanged."""
    place = chance.randrange(max(1, len(text) - 1))
    return text[:place] + text[place + 1 : place + 2] + text[place : place + 1] + text[place + 2 :]


SPELLINGS = [capitals, contracted, unpunctuated, mistyped]
