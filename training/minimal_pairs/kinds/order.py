"""Kinds of minimal pairs about two that change places: from and to, before and after, above and below, if and then.

They are all lists (``lists/swaps.txt``): what differs is what may be said of the exchanged one.
"""

from __future__ import annotations

import random

from training.minimal_pairs.grammar import Extras, Fill, Section, contrast, said, sections_of, ways
from training.minimal_pairs.inflection import Verb
from training.minimal_pairs.kinds.roles import EXCHANGED, IMPLIED, OPPOSED, SAME
from training.minimal_pairs.relations import Item, Relation
from training.minimal_pairs.words import Lexicon

# Verbs of giving and their converses: "A {0} X to B" says the same as "B {1} X from A".
CONVERSES = (
    *(
        ("sell", "buy"),
        ("give", "receive"),
        ("lend", "borrow"),
        ("send", "receive"),
        ("rent out", "rent"),
        ("hand", "take"),
    ),
    *(("give", "accept"), ("sell", "purchase"), ("mail", "receive"), ("pass", "receive"), ("give", "take")),
    *(("donate", "receive"), ("return", "receive"), ("ship", "receive"), ("lease", "rent"), ("bring", "receive")),
)
STATED = ("plain", "plain", "said", "report", "fact", "thought", "whether", "command")
# Sections in the past tense, of what happens at some time.
DATED = frozenset({"travel", "flight", "drive", "walk", "parcel", "instead", "beat", "met", "talked", "played", "past"})


def swapped(kind: str, words: Lexicon, chance: random.Random, wrong: Relation = EXCHANGED) -> Item:
    """Two that change places, in the frames of one section of ``kind``."""
    section = chance.choice(sections_of("swaps", kind))
    a, b = words.listed(chance.choice(section.words), chance)
    extras = Extras(words, chance, A=a, B=b)
    found = ways(section, words, chance, 2, _shell(section, chance))
    return contrast(kind, found, Fill(extras, A=a, B=b), Fill(extras, A=b, B=a), wrong, plain=chance.random() < 0.4)


def _shell(section: Section, chance: random.Random) -> str | None:
    if section.mood != "statement" or chance.random() < 0.4:
        return None
    return chance.choice((*STATED, "time", "time") if section.name in DATED else STATED)


def direction(words: Lexicon, chance: random.Random) -> Item:
    """From A to B is not from B to A."""
    return swapped("direction", words, chance)


def preference(words: Lexicon, chance: random.Random) -> Item:
    """Which of two is liked, chosen or put in the place of the other."""
    return swapped("preference", words, chance)


def placing(words: Lexicon, chance: random.Random) -> Item:
    """Which of two is above, behind or inside the other."""
    return swapped("placing", words, chance)


def relations(words: Lexicon, chance: random.Random) -> Item:
    """Parent and child, boss and employee: each says the same with its sides exchanged."""
    return swapped("converse", words, chance)


def ditransitives(words: Lexicon, chance: random.Random) -> Item:
    """Who asked whom to do it."""
    return swapped("ditransitive", words, chance)


def conditions(words: Lexicon, chance: random.Random) -> Item:
    """If A then B does not say: if B then A."""
    return swapped("conditions", words, chance)


def order_of_events(words: Lexicon, chance: random.Random) -> Item:
    """What came first: before, after, then."""
    section = chance.choice(sections_of("swaps", "time order"))
    a, b = words.listed(section.words[0], chance)
    extras = Extras(words, chance, A=a, B=b)
    shell = _shell(section, chance) if section.name != "clauses" else None
    found = ways(section, words, chance, 2, None if shell == "time" else shell)
    more: list[tuple[str, Relation]] = []
    if section.name == "clauses" and chance.random() < 0.5:
        more = [(said(chance.choice([a, b])), IMPLIED)]
    meant, exchanged = Fill(extras, A=a, B=b), Fill(extras, A=b, B=a)
    return contrast("time order", found, meant, exchanged, OPPOSED, more, plain=chance.random() < 0.4)


def giving(words: Lexicon, chance: random.Random) -> Item:
    """Selling and buying, giving and getting."""
    section = chance.choice(sections_of("swaps", "giving"))
    to, from_ = map(Verb.of, chance.choice(CONVERSES))
    a, b = words.listed(section.words[0], chance)
    thing = f"the {chance.choice(words.things)}" if chance.random() < 0.5 else words.an(chance)
    extras = Extras(words, chance, A=a, B=b, G=to, R=from_, X=thing, aX=thing.removeprefix("the "))
    found = ways(section, words, chance, 2, _shell(section, chance))
    return contrast("converse", found, Fill(extras, A=a, B=b), Fill(extras, A=b, B=a), plain=chance.random() < 0.4)


def symmetric(words: Lexicon, chance: random.Random) -> Item:
    """Both sides do the same: exchanged, the sentence still says so; with somebody else it does not."""
    section = chance.choice(sections_of("swaps", "symmetric"))
    a, b, c = words.listed(chance.choice(section.words), chance, 3)
    extras = Extras(words, chance, A=a, B=b, C=c)
    extras["W"] = next(name for name in iter(lambda: chance.choice(words.names), None) if name not in (a, b, c))
    first, *others = ways(section, words, chance, 2, None)
    anchor = first.say(Fill(extras, A=a, B=b))
    found: dict[str, Relation] = {}
    for way in (first, *others):
        found.setdefault(way.say(Fill(extras, A=b, B=a)), SAME)
    for way in others:
        found.setdefault(way.say(chance.choice([Fill(extras, A=a, B=c), Fill(extras, A=c, B=b)])), EXCHANGED)
    found.pop(anchor, None)
    return Item("symmetric", anchor, tuple(found.items()), first.mood)
