"""Small edits that change what a sentence says, or leave a part of it out: pairs that differ in just one thing."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

AUXILIARIES = (
    *("is", "are", "was", "were", "am", "be", "has", "have", "had", "does", "do", "did"),
    *("can", "could", "will", "would", "should", "shall", "may", "might", "must"),
)
NUMBER_WORDS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
PREPOSITIONS = (
    *("in", "on", "at", "near", "with", "by", "under", "over", "behind", "beside"),
    *("during", "after", "before", "while", "through", "along"),
)
CONTENT = 4  # letters from which a word counts as one of content

Edit = Callable[[list[str], random.Random], list[str] | None]


def negate(words: list[str], chance: random.Random) -> list[str] | None:
    """Put "not" after the first auxiliary, or take it away."""
    for place, word in enumerate(words[:-1]):
        if word.lower() in AUXILIARIES:
            if words[place + 1].lower() == "not":
                return words[: place + 1] + words[place + 2 :]
            return [*words[: place + 1], "not", *words[place + 1 :]]
    return None


def change_number(words: list[str], chance: random.Random) -> list[str] | None:
    """Another number in the place of one."""
    for place, word in enumerate(words):
        if word.lower() in NUMBER_WORDS:
            return [*words[:place], chance.choice([w for w in NUMBER_WORDS if w != word.lower()]), *words[place + 1 :]]
        if re.fullmatch(r"\d{1,4}", word):
            return [*words[:place], str(int(word) + chance.choice([1, 2, 5, 10])), *words[place + 1 :]]
    return None


def swap_words(words: list[str], chance: random.Random) -> list[str] | None:
    """Two words of content exchanged."""
    places = [place for place, word in enumerate(words) if len(word) >= CONTENT and word.isalpha()]
    if len(places) < 2:
        return None
    first, second = sorted(chance.sample(places, 2))
    edited = list(words)
    edited[first], edited[second] = edited[second], edited[first]
    return edited


def drop_word(words: list[str], chance: random.Random) -> list[str] | None:
    """One word of content left out."""
    places = [place for place, word in enumerate(words) if len(word) >= CONTENT and word.isalpha()]
    if len(words) < 4 or not places:
        return None
    place = chance.choice(places)
    return words[:place] + words[place + 1 :]


def drop_phrase(words: list[str], chance: random.Random) -> list[str] | None:
    """The sentence up to a comma or a preposition."""
    places = [
        place
        for place, word in enumerate(words)
        if place >= 3 and (word.lower() in PREPOSITIONS or words[place - 1].endswith(","))
    ]
    if not places:
        return None
    return [*words[: chance.choice(places)]]


EDITS: dict[str, Edit] = {
    "negate": negate,
    "change_number": change_number,
    "swap_words": swap_words,
    "drop_word": drop_word,
    "drop_phrase": drop_phrase,
}


def replace_word(words: list[str], other: list[str], chance: random.Random) -> list[str] | None:
    """One word of content replaced by one of another sentence."""
    places = [place for place, word in enumerate(words) if len(word) >= CONTENT and word.isalpha()]
    donors = [word for word in other if len(word) >= CONTENT and word.isalpha() and word not in words]
    if not places or not donors:
        return None
    place = chance.choice(places)
    return [*words[:place], chance.choice(donors), *words[place + 1 :]]


def edited_pairs(texts: Sequence[str], neighbours: Sequence[str], chance: random.Random) -> list[tuple[str, str]]:
    """Each of ``texts`` with one edit of it that applies, in either order; ``neighbours`` lend words."""
    pairs = []
    for text, neighbour in zip(texts, neighbours, strict=True):
        words = text.split()
        edits: list[list[str] | None] = [edit(words, chance) for edit in EDITS.values()]
        edits.append(replace_word(words, neighbour.split(), chance))
        changed = [edited for edited in edits if edited and edited != words]
        if changed:
            pair = (text, " ".join(chance.choice(changed)))
            pairs.append(pair if chance.random() < 0.7 else pair[::-1])
    return pairs
