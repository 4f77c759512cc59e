"""Kinds of minimal pairs whose act decides: turn it on, turn it off.

Acts of both splits are the same, but for some rows that are dev's alone (kind "switches unseen"); frames and things are
not.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache

from training.minimal_pairs.grammar import LISTS, Extras, Fill, Section, Way, read_frames, said, sections_of, ways
from training.minimal_pairs.inflection import Verb
from training.minimal_pairs.kinds.roles import EXCHANGED, NEUTRAL, OPPOSED, SAME
from training.minimal_pairs.relations import Item, Relation
from training.minimal_pairs.words import Lexicon, Split, frames_of

PARTICLES = frozenset({"on", "off", "up", "down", "in", "out", "away"})
ON, OFF = ("on", "enabled", "active", "switched on", "turned on"), ("off", "disabled", "switched off", "turned off")


@dataclass(frozen=True)
class Acts:
    """Ways to do something, ways to undo it, and things with their names that it is done to."""

    on: tuple[str, ...]
    off: tuple[str, ...]
    things: tuple[tuple[str, ...], ...]


def _split(text: str, mark: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(mark))


@cache
def acts(split: Split) -> tuple[Acts, ...]:
    """Rows of ``lists/acts.txt`` for ``split``, with its things; those that are dev's alone with all things."""
    lists: dict[str, list[str]] = {}
    for line in (LISTS / "acts.txt").read_text().splitlines():
        if line.startswith("["):
            found = lists.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            found.append(line)
    border = lists["rows"].index("--")
    rows = lists["rows"][:border] if split == "train" else lists["rows"]
    return tuple(_row(line, lists, split) for line in rows if line != "--")


def _row(line: str, lists: dict[str, list[str]], split: Split) -> Acts:
    sides, _, name = line.partition(" : @")
    on, off = (_split(side, ",") for side in sides.split(" / "))
    things = [_split(thing, "=") for entry in lists[name] for thing in entry.split(",")]
    kept = frames_of(things, split)
    return Acts(on, off, tuple(kept if len(kept) > 1 else things))


@cache
def unseen() -> tuple[Acts, ...]:
    """Rows that training has not."""
    return acts("dev")[len(acts("train")) :]


def _words(act: str, thing: str, chance: random.Random) -> tuple[str, str]:
    """``turn on``, ``dark mode`` or ``turn``, ``dark mode on``."""
    base, _, particle = act.rpartition(" ")
    if particle in PARTICLES and base and " " not in base and chance.random() < 0.3:
        return base, f"{thing} {particle}"
    return act, thing


def switches(words: Lexicon, chance: random.Random) -> Item:
    """Commands, questions and searches whose single word decides."""
    return _switched("switches", chance.choice(acts("train")), words, chance)


def unseen_switches(words: Lexicon, chance: random.Random) -> Item | None:
    """The same, of acts whose opposites training does not tell."""
    return _switched("switches unseen", chance.choice(unseen()), words, chance) if words.split == "dev" else None


def _of_split(row: Acts, split: Split) -> Acts:
    return next(found for found in acts(split) if (found.on, found.off) == (row.on, row.off))


def _switched(kind: str, row: Acts, words: Lexicon, chance: random.Random) -> Item:
    row = _of_split(row, words.split)
    on, off = (row.on, row.off) if chance.random() < 0.5 else (row.off, row.on)
    thing = chance.choice(row.things)
    another = chance.choice([each for each in row.things if each != thing])[0]
    section = chance.choice(_frames())
    first, *others = ways(section, words, chance, 2)
    extras = Extras(words, chance)

    def put(way: Way, ways_: tuple[str, ...], names: tuple[str, ...]) -> str:
        act, what = _words(chance.choice(ways_), chance.choice(names), chance)
        return way.say(Fill(extras, S=act, X=what))

    anchor = put(first, on, thing)
    found: dict[str, Relation] = {}
    if len(on) > 1 or len(thing) > 1:
        others.append(Way(first.frame, first.shell, first.mood, first.loose))
    for way in others:
        found.setdefault(put(way, on, thing), SAME)
        found.setdefault(put(way, off, thing), EXCHANGED)
    if chance.random() < 0.5:
        found.setdefault(put(chance.choice(others), on, (another,)), EXCHANGED)
    if chance.random() < 0.15 and section.name != "forbidding":
        (denied,) = ways(sections_of("switching", "forbidding")[0], words, chance, 0)
        if denied.mood == first.mood:
            found.setdefault(put(denied, on, thing), EXCHANGED)
    found.pop(anchor, None)
    return Item(kind, anchor, tuple(found.items()), first.mood)


@cache
def _frames() -> tuple[Section, ...]:
    """Sections of commands, questions, searches and now and then what not to do."""
    each = [section for section in read_frames("switching") if section.kind != "doing"]
    often = [section for section in each if section.kind in ("switching", "how", "searching")]
    return (*often, *often, *each)


def switched(words: Lexicon, chance: random.Random) -> Item:
    """The same as statements: who did it, and what did not follow."""
    row = _of_split(chance.choice(acts("train")), words.split)
    on, off = (row.on, row.off) if chance.random() < 0.5 else (row.off, row.on)
    thing = chance.choice(row.things)
    who = words.agents(chance, 1)[0]
    (section,) = sections_of("switching", "doing")
    first, *others = ways(section, words, chance, 2)
    extras = Extras(words, chance)

    def put(way: Way, ways_: tuple[str, ...]) -> str:
        return way.say(Fill(extras, A=who, S=Verb.of(chance.choice(ways_)), X=chance.choice(thing)))

    anchor = put(first, on)
    found: dict[str, Relation] = {}
    for way in others:
        found.setdefault(put(way, on), SAME)
        found.setdefault(put(way, off), EXCHANGED)
    found.setdefault(said(f"{who} did not {chance.choice(on)} {thing[0]}"), OPPOSED)
    found.pop(anchor, None)
    return Item("switches", anchor, tuple(found.items()))


STATES = (
    "{X} {b} {O}",
    "{X} {b} {O} now",
    "{X} {b} now {O}",
    "{X} {b} currently {O}",
    "I see that {X} {b} {O}",
    "at the moment, {X} {b} {O}",
    "right now {X} {b} {O}",
    "they keep {X} {O}",
    "the settings say that {X} {b} {O}",
    "it looks like {X} {b} {O}",
    "{X} {b} {O} again",
    "by default, {X} {b} {O}",
)


def states(words: Lexicon, chance: random.Random) -> Item:
    """What is on is not off."""
    row = _of_split(acts("train")[0], words.split)
    thing, *aliases = chance.choice(row.things)
    another = chance.choice([each for each in row.things if each[0] != thing])[0]
    on, off = (ON, OFF) if chance.random() < 0.5 else (OFF, ON)
    frames = [frame for frame in frames_of(STATES, words.split) if "again" not in frame]
    first, other = chance.sample(frames, 2)

    def put(frame: str, what: str, states_: tuple[str, ...]) -> str:
        many = what.endswith("s") and not what.endswith(("ss", "gps"))
        return said(frame.format(X=what, b="are" if many else "is", O=chance.choice(states_)))

    anchor = put(first, thing, on)
    found = {put(other, chance.choice([thing, *aliases]), on): SAME, put(other, thing, off): OPPOSED}
    found.setdefault(put(first, thing, off), OPPOSED)
    found.setdefault(put(other, another, on), NEUTRAL)
    if "keep" not in other:
        found.setdefault(put(other, thing, tuple(f"not {state}" for state in on)), OPPOSED)
    found.pop(anchor, None)
    return Item("switches", anchor, tuple(found.items()))
