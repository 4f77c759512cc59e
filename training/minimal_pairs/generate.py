"""Minimal pairs without end: every kind in turn, deterministic by seed; and a set to score generalisation on.

What is new in dev: every frame, but for a time, a place or nothing put around one (of roles, half of dev's items have
training's frames in a tense that training has not); every name, place, noun, verb and adjective that fills a frame.
Not new: the few frames of "narrower" and "negation scope", and short sentences that follow from an anchor ("A did it");
auxiliaries, quantifiers, numbers, units (dev has other amounts), months, relations that a frame names (parent and
child), opposites, acts and how to undo them. Of the last two some are dev's alone, the kinds of ``UNSEEN``:
"opposites unseen" and "switches unseen". Real sentences are other ones, edited in the same ways. ``HELD_OUT`` kinds are
never generated for training: what is learnt of the others should carry over to them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import count, islice

from training.minimal_pairs.kinds import logic, measures, order, polarity, real, roles, switches
from training.minimal_pairs.relations import Item, Pair, Triple
from training.minimal_pairs.words import Lexicon

Kind = Callable[[Lexicon, random.Random], Item | None]

# How often each kind comes: those that order decides more often than those that one word gives away.
KINDS: dict[Kind, int] = {
    roles.roles: 10,
    roles.asked_roles: 4,
    roles.scene: 4,
    roles.relative_clauses: 2,
    roles.attitudes: 2,
    roles.attributes: 3,
    roles.who_did_both: 2,
    order.direction: 9,
    order.preference: 3,
    order.placing: 4,
    order.giving: 4,
    order.relations: 4,
    order.ditransitives: 2,
    order.order_of_events: 4,
    order.conditions: 3,
    order.symmetric: 3,
    measures.comparatives: 5,
    measures.numbers: 5,
    measures.quantifiers: 3,
    measures.narrower: 2,
    measures.units: 2,
    measures.dates: 2,
    measures.names: 1,
    polarity.negation: 3,
    polarity.scope: 1,
    switches.switches: 7,
    switches.switched: 2,
    switches.states: 1,
    polarity.opposites: 5,
    polarity.implicatives: 3,
    polarity.factives: 3,
    polarity.modality: 2,
    polarity.aspect: 2,
    real.real_scenes: 3,
    real.real_routes: 1,
    real.real_comparisons: 1,
    real.real_numbers: 1,
    real.real_dates: 1,
    real.real_names: 2,
    real.real_nouns: 2,
    real.real_opposites: 2,
    real.real_negations: 2,
    real.unrelated: 3,
    logic.connectives: 3,
    logic.nothing_in_common: 4,
}
HELD_OUT: tuple[Kind, ...] = (roles.possessives, roles.causes)
HELD_OUT_NAMES = ("possessives", "causes")  # as their items name them
# Of kinds of training, what it has not: opposites whose words it never sets against one another.
UNSEEN: tuple[Kind, ...] = (polarity.unseen_opposites, switches.unseen_switches)


def items(lexicon: Lexicon, seed: int, kinds: dict[Kind, int] | None = None) -> Iterator[Item]:
    """Items of ``kinds`` (``KINDS`` unless given) by their weights, without end."""
    table = kinds or KINDS
    for number in count():
        chance = random.Random(f"{seed} {number} {lexicon.split}")
        (kind,) = chance.choices(list(table), list(table.values()))
        item = kind(lexicon, chance)
        if item is not None:
            yield item


def pairs(lexicon: Lexicon, seed: int, count: int) -> Iterator[Pair]:
    """``count`` pairs; those of one item follow one another."""
    return islice((pair for item in items(lexicon, seed) for pair in item.pairs()), count)


def triples(lexicon: Lexicon, seed: int, count: int) -> Iterator[Triple]:
    """``count`` triples."""
    return islice((triple for item in items(lexicon, seed) for triple in item.triples()), count)


def dev_items(lexicon: Lexicon, seed: int, per_kind: int) -> dict[str, list[Item]]:
    """``per_kind`` items of each function, those held out included, by the kind that they name."""
    found: dict[str, list[Item]] = {}
    for kind in (*KINDS, *UNSEEN, *HELD_OUT):
        for item in islice(items(lexicon, seed, {kind: 1}), per_kind if _applies(kind, lexicon) else 0):
            found.setdefault(item.kind, []).append(item)
    return found


def _applies(kind: Kind, lexicon: Lexicon) -> bool:
    """Whether ``kind`` finds anything: kinds of real sentences need some."""
    return any(kind(lexicon, random.Random(number)) is not None for number in range(40))
