"""Kinds of minimal pairs about both, neither, either and only; and sentences that have nothing in common."""

from __future__ import annotations

import random
import re

from training.minimal_pairs.grammar import Extras, Fill, said, sections_of, some_way, ways
from training.minimal_pairs.kinds import measures, order, polarity, roles
from training.minimal_pairs.kinds.roles import EXCHANGED, IMPLIED, NEUTRAL, OPPOSED, SAME
from training.minimal_pairs.relations import Item, Relation
from training.minimal_pairs.words import Lexicon

# Of a section of ``lists/logic.txt``: what it says of A and of B alone, and which sections it excludes.
SAYS = {
    "both": (True, True, ("neither", "only")),
    "neither": (False, False, ("both", "only", "either")),
    "only": (True, False, ("both", "neither")),
    "either": (None, None, ("neither",)),
}
KINDS = (
    *(roles.roles, roles.scene, roles.asked_roles, roles.attributes, order.direction, order.placing, order.relations),
    *(order.giving, order.order_of_events, measures.comparatives, measures.numbers, measures.dates, measures.names),
    *(measures.units, measures.quantifiers, polarity.negation, polarity.opposites, polarity.implicatives),
)


def connectives(words: Lexicon, chance: random.Random) -> Item:
    """Both, neither, one of them, only one."""
    name = chance.choice(list(SAYS))
    of_a, of_b, excluded = SAYS[name]
    a, b = words.agents(chance)
    act = chance.choice(words.actions)
    extras = Extras(words, chance, D=act)
    fill, turned = Fill(extras, A=a, B=b), Fill(extras, A=b, B=a)
    first, *others = ways(sections_of("logic", name)[0], words, chance, 1)
    found: dict[str, Relation] = {way.say(fill): SAME for way in others}
    if name == "only":
        found.update((way.say(turned), OPPOSED) for way in others)
    for who, does in chance.sample([(a, of_a), (b, of_b)], 1 if name == "only" and chance.random() < 0.4 else 2):
        yes, no = said(f"{who} {act.past}"), said(f"{who} did not {act.plain}")
        if does is None:
            found.setdefault(chance.choice([yes, no]), NEUTRAL)
        else:
            found.setdefault(chance.choice([yes if does else no]), IMPLIED)
            found.setdefault(no if does else yes, OPPOSED)
    found.setdefault(some_way(sections_of("logic", chance.choice(excluded))[0], words, chance, None).say(fill), OPPOSED)
    anchor = first.say(fill)
    found.pop(anchor, None)
    kept = [pair for pair in found.items() if pair[1] in (SAME, EXCHANGED)]
    rest = [pair for pair in found.items() if pair not in kept]
    return Item("connectives", anchor, (*kept, *chance.sample(rest, min(3, len(rest)))))


def nothing_in_common(words: Lexicon, chance: random.Random) -> Item | None:
    """Anchors of two kinds, without a word of content in common."""
    for _ in range(30):
        one, other = (kind(words, chance) for kind in chance.sample(KINDS, 2))
        content = [set(re.findall(r"[a-z]{4,}", each.anchor.lower())) for each in (one, other)]
        if one.mood == other.mood and not content[0] & content[1]:
            return Item("unrelated", one.anchor, ((other.anchor, Relation.UNRELATED),), one.mood)
    return None
