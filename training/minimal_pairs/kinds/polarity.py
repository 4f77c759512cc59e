"""Kinds of minimal pairs about yes and no: negation, its scope, opposites, implicatives, modality, aspect.

Opposites of both splits are the same, but for a share that is dev's alone (kind "opposites unseen"); frames and all
other words are not.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from training.minimal_pairs.grammar import LISTS, Extras, Fill, Section, contrast, said, sections_of, some_way, ways
from training.minimal_pairs.inflection import Verb, with_article
from training.minimal_pairs.kinds.roles import EXCHANGED, IMPLIED, NEUTRAL, OPPOSED, SAME
from training.minimal_pairs.relations import Item, Relation
from training.minimal_pairs.words import Lexicon, Split, in_split

SHELLS = ("fact", "fact", "said", "report", "thought", "whether")
STATES = {
    **{"people": "people", "things": "things", "places": "spots", "affairs": "happenings", "food": "foods"},
}
LEVELS = (
    *("the temperature", "the price", "the number of visitors", "the level of the river", "unemployment", "the demand"),
    *(
        "the population",
        "sales",
        "the rent",
        "the value of the house",
        "the speed",
        "traffic",
        "the profit",
        "the risk",
    ),
)


@dataclass(frozen=True)
class Opposites:
    """Two words of which one takes the place of the other; ``complete`` where what is not the one is the other."""

    of: str
    one: str
    other: str
    complete: bool


@cache
def opposites_of(split: Split, unseen: bool = False) -> tuple[Opposites, ...]:
    """All of ``lists/opposites.txt`` for training, and those that are dev's alone when asked for."""
    found, of = [], ""
    for line in (LISTS / "opposites.txt").read_text().splitlines():
        if line.startswith("["):
            of = line.strip("[]")
        elif line and not line.startswith("#"):
            for pair in line.removeprefix("= ").split(", "):
                one, _, other = pair.partition("/")
                found.append(Opposites(of, one, other, line.startswith("=")))
    kept = [pair for pair in found if in_split("/".join(sorted((pair.one, pair.other))), "dev") == unseen]
    known = {word for pair in found if pair not in kept for word in (pair.one, pair.other)} if unseen else set()
    return tuple(pair for pair in kept if not {pair.one, pair.other} & known)


def negation(words: Lexicon, chance: random.Random) -> Item:
    """Did and did not; the second denial takes the first away."""
    verb = chance.choice(words.on_things)
    who, thing = words.agents(chance, 1)[0], f"the {chance.choice(words.things)}"
    yes, no, passive, denied = chance.choice(
        (
            (verb.past, f"did not {verb.plain}", f"was {verb.participle}", f"was not {verb.participle}"),
            (verb.past, f"did not {verb.plain}", f"was {verb.participle}", f"was not {verb.participle}"),
            (verb.past, f"didn't {verb.plain}", f"was {verb.participle}", f"wasn't {verb.participle}"),
            (
                *(f"will {verb.plain}", f"will not {verb.plain}"),
                *(f"will be {verb.participle}", f"will not be {verb.participle}"),
            ),
            (
                *(f"has {verb.participle}", f"has not {verb.participle}"),
                *(f"has been {verb.participle}", f"has not been {verb.participle}"),
            ),
            (
                *(f"is {verb.progressive}", f"is not {verb.progressive}"),
                *(f"is being {verb.participle}", f"is not being {verb.participle}"),
            ),
        )
    )
    extras = Extras(words, chance)
    did = Fill(extras, A=who, X=thing, yes=yes, no=no, pyes=passive)
    did_not = Fill(extras, A=who, X=thing, yes=no, no=yes, pyes=denied)
    if chance.random() < 0.5:
        did, did_not = did_not, did
    (section,) = sections_of("polarity", "negation")
    found = ways(section, words, chance, 2)
    return contrast("negation", found, did, did_not, OPPOSED, plain=chance.random() < 0.5)


def scope(words: Lexicon, chance: random.Random) -> Item:
    """What the denial is of."""
    first, second = chance.sample(words.actions, 2)
    a, b = words.agents(chance)
    yes, no, wrong_yes, wrong_no = (
        f"{a} {first.past}",
        f"{b} did not {second.plain}",
        f"{b} {second.past}",
        f"{a} did not {first.plain}",
    )
    joints = ("{0} but {1}", "{0} and {1}", "{0}, while {1}", "{0}; {1}", "{0}, whereas {1}", "{0}, yet {1}")
    joint, other = chance.sample(joints, 2)
    others = (
        (said(chance.choice([joint.format(no, yes), other.format(yes, no)])), SAME),
        (said(chance.choice([joint, other]).format(wrong_no, wrong_yes)), OPPOSED),
        (said(yes), IMPLIED),
        (said(no), IMPLIED),
        (said(wrong_yes), OPPOSED),
        (said(wrong_no), OPPOSED),
    )
    exchanged = said(chance.choice([joint, other]).format(f"{b} {first.past}", f"{a} did not {second.plain}"))
    kept = (*others[:2], (exchanged, EXCHANGED), *chance.sample(others[2:4], 1), *chance.sample(others[4:], 1))
    return Item("negation scope", said(joint.format(yes, no)), kept)


def opposites(words: Lexicon, chance: random.Random) -> Item:
    """Open and closed; what is not open is closed, what is not hot need not be cold."""
    return _opposed("opposites", chance.choice(opposites_of("train")), words, chance)


def unseen_opposites(words: Lexicon, chance: random.Random) -> Item | None:
    """The same, of opposites that training does not tell."""
    if words.split == "train":
        return None
    return _opposed("opposites unseen", chance.choice(opposites_of("dev", unseen=True)), words, chance)


def _opposed(kind: str, pair: Opposites, words: Lexicon, chance: random.Random) -> Item:
    one, other = (pair.one, pair.other) if chance.random() < 0.5 else (pair.other, pair.one)
    a, b = words.agents(chance)
    extras = Extras(words, chance, A=a, B=b, N=chance.choice(LEVELS))
    if pair.of in STATES:
        name = STATES[pair.of]
        found = chance.choice(_nouns(words, name))
        extras["X"] = found if name in ("spots", "happenings") else f"the {found}"
    section = _one_frame("people" if pair.of in STATES and pair.of != "things" else pair.of, words, chance)
    found_ways = ways(section, words, chance, 2, chance.choice(SHELLS))
    forms = [_form(pair.of, word) for word in (one, other)]
    meant, opposed = (Fill(extras, O=form) for form in forms)
    wrong = OPPOSED if pair.of in STATES or pair.of in ("frequency", "prepositions") else EXCHANGED
    more: list[tuple[str, Relation]] = []
    if pair.of in STATES and found_ways[0].mood == "statement":
        way = found_ways[0]
        denied, not_so = (way.say(Fill(extras, O=f"not {word}")) for word in (other, one))
        more = [(denied, SAME if pair.complete else IMPLIED), (not_so, OPPOSED)]
    return contrast(kind, found_ways, meant, opposed, wrong, more, plain=chance.random() < 0.5)


def _nouns(words: Lexicon, name: str) -> Sequence[str]:
    if name in ("people", "things"):
        return words.people if name == "people" else words.things
    return [word for word in words.others[name] if name != "foods" or not word.endswith("s")]


def _one_frame(kind: str, words: Lexicon, chance: random.Random) -> Section:
    """The section with one of its frames alone: they do not say the same."""
    (section,) = sections_of("polarity", kind)
    frame = chance.choice(chance.choice(section.frames[words.split]))
    return replace(section, frames={words.split: ((frame,),)})


def _form(of: str, word: str) -> Verb | str:
    if of in ("transitive", "intransitive", "levels"):
        return Verb.of(word)
    return with_article(word) if of == "nouns" else word


def implicatives(words: Lexicon, chance: random.Random) -> Item:
    """Managed to, failed to, hoped to: whether it was done."""
    verb, who = chance.choice(words.on_things), words.agents(chance, 1)[0]
    extras = Extras(words, chance, A=who, v=verb, X=f"the {chance.choice(words.things)}")
    did, did_not = f"{who} {verb.past} {extras['X']}", f"{who} did not {verb.plain} {extras['X']}"
    if chance.random() < 0.3:
        place = chance.choice(words.others["where"])
        extras["X"], did, did_not = f"{extras['X']} {place}", f"{did} {place}", f"{did_not} {place}"
    name = chance.choice(["done", "undone", "unknown"])
    way = some_way(sections_of("polarity", name)[0], words, chance, None)
    of_did, of_did_not = {
        "done": (IMPLIED, OPPOSED),
        "undone": (OPPOSED, IMPLIED),
        "unknown": (NEUTRAL, NEUTRAL),
    }[name]
    others = ((said(did), of_did), (said(did_not), of_did_not))
    return Item("implicatives", way.say(Fill(extras)), others)


def factives(words: Lexicon, chance: random.Random) -> Item:
    """What is known is so; what is believed need not be."""
    a, b = words.agents(chance)
    verb = chance.choice(words.actions)
    fact, denied = f"{b} {verb.past}", f"{b} did not {verb.plain}"
    if chance.random() < 0.3:
        fact, denied = denied, fact
    name = chance.choice(["known", "claimed"])
    way = some_way(sections_of("polarity", name)[0], words, chance, None)
    of_fact, of_denied = (IMPLIED, OPPOSED) if name == "known" else (NEUTRAL, NEUTRAL)
    others = ((said(fact), of_fact), (said(denied), of_denied))
    return Item("factives", way.say(Fill(Extras(words, chance), A=a, C=fact)), others)


# What a sentence with one auxiliary is not compatible with.
EXCLUDED = {
    "must": ("mustnot", "neednot"),
    "may": ("mustnot",),
    "mustnot": ("must", "may"),
    "neednot": ("must",),
    "already": ("notyet",),
    "notyet": ("already",),
    "still": ("nolonger",),
    "nolonger": ("still",),
}


def modality(words: Lexicon, chance: random.Random) -> Item:
    """Must, may, must not, need not."""
    return _excluding("modality", chance.choice(["must", "may", "mustnot", "neednot"]), words, chance)


def aspect(words: Lexicon, chance: random.Random) -> Item:
    """Already, not yet, still, no longer."""
    return _excluding("aspect", chance.choice(["already", "notyet", "still", "nolonger"]), words, chance)


def _excluding(kind: str, name: str, words: Lexicon, chance: random.Random) -> Item:
    thing, who = f"the {chance.choice(words.things)}", words.agents(chance, 1)[0]
    fill = Fill(Extras(words, chance, A=who, X=thing, v=chance.choice(words.on_things)))
    anchor, *same = ways(sections_of("polarity", name)[0], words, chance, 1)
    found = {way.say(fill): SAME for way in same}
    for other in (EXCLUDED[name] * 2)[:2]:
        found.setdefault(some_way(sections_of("polarity", other)[0], words, chance, None).say(fill), OPPOSED)
    text = anchor.say(fill)
    found.pop(text, None)
    return Item(kind, text, tuple(found.items()))
