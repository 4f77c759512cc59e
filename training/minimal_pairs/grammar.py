"""Frames: ways to say something, read from text files, and items whose two kinds of answers look alike.

A file in ``lists`` has sections ``[kind name mood words ...]`` of frames, a line each; those after ``--`` are for dev
alone. All frames of a section say the same. In a frame ``(a|b)`` are words of one meaning, each its own variant;
``{a|b}`` are of different meanings, of which an item takes one throughout; other braces are slots.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

from training.errors import TrainingError
from training.minimal_pairs.inflection import sentence
from training.minimal_pairs.relations import Item, Mood, Relation
from training.minimal_pairs.words import Lexicon, Split

LISTS = Path(__file__).parent / "lists"
MOODS: dict[str, Mood] = {"statement": "statement", "question": "question", "command": "command", "query": "query"}
STOPS: dict[Mood, str] = {"statement": ".", "question": "?", "command": ".", "query": ""}
LOOSE = 0.12  # share of sentences written without capitals and stop
TWINS = 0.25  # share of second ways that differ from the anchor in spelling or shell alone
VARIANTS = 48  # of one frame, at most
_CHOICE = re.compile(r"\(([^()|]*(?:\|[^()|]*)+)\)")

Frame = tuple[str, ...]  # its variants, as templates of ``str.format``


class FrameError(TrainingError, ValueError):
    """A list of frames is not in the documented format."""


@dataclass(frozen=True)
class Section:
    """Frames that say the same, by split."""

    kind: str
    name: str
    mood: Mood
    words: tuple[str, ...]
    frames: dict[Split, tuple[Frame, ...]]


def variants(line: str) -> Frame:
    """All that ``line`` stands for with one of each ``(a|b)``; the first ones where they are many."""
    parts = _CHOICE.split(line)
    choices = [part.split("|") if place % 2 else [part] for place, part in enumerate(parts)]
    found = (" ".join("".join(chosen).split()) for chosen in product(*choices))
    return tuple(text for text, _ in zip(found, range(VARIANTS), strict=False))


@cache
def read_frames(name: str) -> tuple[Section, ...]:
    """Sections of ``lists/{name}.txt``; ``FrameError`` where a line is in none."""
    sections: list[tuple[list[str], dict[str, list[Frame]]]] = []
    split = "train"
    for number, line in enumerate((LISTS / f"{name}.txt").read_text().splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            sections.append((line.strip("[]").split(" "), {"train": [], "dev": []}))
            split = "train"
        elif not sections:
            raise FrameError(f"{name}.txt:{number}: expected a [section] before {line!r}")
        elif line.startswith("--"):
            split = "dev"
        else:
            sections[-1][1][split].append(variants(line))
    return tuple(_section(head, frames) for head, frames in sections)


def _section(head: list[str], frames: dict[str, list[Frame]]) -> Section:
    place = next((place for place, word in enumerate(head) if word in MOODS and place > 0), None)
    if place is None:
        raise FrameError(f"expected a mood of {tuple(MOODS)} in [{' '.join(head)}]")
    if not all(frames.values()):
        raise FrameError(f"expected frames of both splits in [{' '.join(head)}]")
    kind, name = " ".join(head[: place - 1]) or head[0], head[place - 1]
    by_split: dict[Split, tuple[Frame, ...]] = {"train": tuple(frames["train"]), "dev": tuple(frames["dev"])}
    return Section(kind, name, MOODS[head[place]], tuple(head[place + 1 :]), by_split)


@cache
def sections_of(name: str, kind: str) -> tuple[Section, ...]:
    """Sections of ``kind`` in ``lists/{name}.txt``."""
    return tuple(section for section in read_frames(name) if section.kind == kind)


@cache
def shells(name: str) -> Section:
    """The shells ``name``: what a statement can be put into."""
    (found,) = sections_of("shells", name)
    return found


class Extras(dict[str, object]):
    """Words for slots, found when asked for; the same in all sentences of an item."""

    def __init__(self, words: Lexicon, chance: random.Random, **known: object) -> None:
        super().__init__(known)
        self._words, self._chance = words, chance
        self._rank = chance.random()

    def __missing__(self, slot: str) -> object:
        found = self[slot] = self._find(slot)
        return found

    def _find(self, slot: str) -> object:
        words, chance = self._words, self._chance
        if "|" in slot:
            options = slot.split("|")
            return options[int(self._rank * len(options))]
        if slot in ("W", "W2"):
            taken = set(map(str, self.values()))
            return next(name for name in iter(lambda: chance.choice(words.names), None) if name not in taken)
        if slot in ("X", "Y"):
            return f"the {chance.choice(words.things)}"
        if slot == "D":
            return chance.choice(words.actions)
        classes = {"T": "moments", "L": "where", "later": "later", "F": "foods"}
        return chance.choice(words.others[classes[slot]])


class Fill(dict[str, object]):
    """Words for the slots of one meaning: its own, else those of ``extras``."""

    def __init__(self, extras: Extras, **own: object) -> None:
        super().__init__(own)
        self._extras = extras

    def __missing__(self, slot: str) -> object:
        return self._extras[slot]


@dataclass(frozen=True)
class Way:
    """How to say something: a frame, a shell around it, and with or without capital and stop."""

    frame: str
    shell: str
    mood: Mood
    loose: bool = False

    def say(self, fill: Fill) -> str:
        """What ``fill`` holds, in this way."""
        text = self.frame.format_map(fill)
        if self.shell != "{C}":
            fill["C"] = text
            text = self.shell.format_map(fill)
        return text.lower() if self.loose else finish(text, self.mood)


def finish(text: str, mood: str) -> str:
    """``text`` as a sentence of ``mood``; a search query stays as it is."""
    return text if mood == "query" else sentence(text, "" if text.endswith("?") else STOPS[MOODS[mood]])


def said(text: str) -> str:
    """A statement."""
    return sentence(text)


def some_way(
    section: Section, words: Lexicon, chance: random.Random, shell: str | None, frames: Split | None = None
) -> Way:
    """A way to say what ``section`` says; statements in the shells ``shell`` where given."""
    frame = chance.choice(chance.choice(section.frames[frames or words.split]))
    if shell is None:
        return Way(frame, "{C}", section.mood, chance.random() < LOOSE)
    around = shells(shell)
    return Way(frame, chance.choice(chance.choice(around.frames[words.split])), around.mood, chance.random() < LOOSE)


def ways(
    section: Section,
    words: Lexicon,
    chance: random.Random,
    count: int,
    shell: str | None = None,
    frames: Split | None = None,
) -> list[Way]:
    """An anchor's way and up to ``count`` others: mostly of another frame, else of another shell or spelling."""
    first = some_way(section, words, chance, shell, frames)
    found = [first]
    for _ in range(count):
        twin = len(found) > 1 and chance.random() < TWINS
        for tries in range(12):
            other = some_way(section, words, chance, shell, frames)
            if twin:
                other = Way(first.frame, other.shell, first.mood, not first.loose)
            if other not in found and (
                twin or other.frame != first.frame or (tries > 5 and other.shell != first.shell)
            ):
                found.append(other)
                break
    return found


def contrast(
    kind: str,
    found: Sequence[Way],
    meant: Fill,
    exchanged: Fill,
    wrong: Relation = Relation.EXCHANGED,
    more: Sequence[tuple[str, Relation]] = (),
    plain: bool = False,
    again: tuple[Fill, Fill] | None = None,
) -> Item:
    """The anchor, said in the first of ``found``, and each other way twice: of what is meant, and of the other thing.

    So frames and words say nothing of the relation. With ``plain`` the anchor's own frame says the other thing too.
    ``again`` is both in other words, for all but the anchor.
    """
    first = found[0]
    anchor = first.say(meant)
    if again is not None:
        meant, exchanged = again
    others: dict[str, Relation] = {}
    for way in found[1:]:
        others.setdefault(way.say(meant), Relation.SAME)
        others.setdefault(way.say(exchanged), wrong)
    if plain:
        others.setdefault(first.say(exchanged), wrong)
    for text, relation in more:
        others.setdefault(text, relation)
    others.pop(anchor, None)
    return Item(kind, anchor, tuple(others.items()), first.mood)


def all_frames(split: Split) -> Iterator[tuple[str, str]]:
    """(kind, variant) of every frame of ``split`` in all lists."""
    for path in sorted(LISTS.glob("*.txt")):
        if path.stem not in ("words", "acts", "opposites"):
            for section in read_frames(path.stem):
                yield from ((section.kind, text) for frame in section.frames[split] for text in frame)
