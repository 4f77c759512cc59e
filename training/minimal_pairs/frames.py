"""Kinds of minimal pairs about who did what to whom, where to and when: order decides what they say.

A frame is a way to say something; each is in one split, by the hash of its name, and so are all words.
"""

from __future__ import annotations

import random

from training.minimal_pairs.inflection import Verb, sentence, with_article
from training.minimal_pairs.relations import Item, Relation
from training.minimal_pairs.words import MOMENTS, WHERE, Lexicon, frames_of

SAME, EXCHANGED, OPPOSED = Relation.SAME, Relation.EXCHANGED, Relation.OPPOSED
IMPLIED, NEUTRAL = Relation.IMPLIED, Relation.NEUTRAL

# Verbs of giving and their converses: "A {0} X to B" says the same as "B {1} X from A".
CONVERSES = (
    ("sell", "buy"),
    ("give", "receive"),
    ("lend", "borrow"),
    ("send", "get"),
    ("teach", "learn"),
    ("rent", "rent"),
)
# Relations and their converses, between A and B.
RELATIONS = (
    ("{A} is the parent of {B}", "{B} is the child of {A}"),
    ("{A} is the teacher of {B}", "{B} is the student of {A}"),
    ("{A} employs {B}", "{B} works for {A}"),
    ("{A} is above {B}", "{B} is below {A}"),
    ("{A} sits to the left of {B}", "{B} sits to the right of {A}"),
    ("{A} stands in front of {B}", "{B} stands behind {A}"),
    ("{A} beat {B} in the final", "{B} lost to {A} in the final"),
    ("{A} arrived before {B}", "{B} arrived after {A}"),
    ("{A} follows {B}", "{B} is followed by {A}"),
    ("{A} is ahead of {B}", "{B} trails {A}"),
    ("{A} is the aunt of {B}", "{B} is the nephew of {A}"),
    ("{A} owes money to {B}", "{B} is owed money by {A}"),
    ("{A} finished ahead of {B}", "{B} finished behind {A}"),
    ("{A} inherited the house from {B}", "{B} left the house to {A}"),
)
JOURNEYS = (
    ("statement", "{W} travelled from {A} to {B}", "{W} travelled to {B} from {A}"),
    ("statement", "{W} flew from {A} to {B} {T}", "{T}, {W} took a flight from {A} to {B}"),
    ("statement", "{W} moved from {A} to {B}", "{W} left {A} and moved to {B}"),
    ("statement", "The train goes from {A} to {B}", "The train leaves {A} and goes to {B}"),
    ("statement", "{W} drove to {B} from {A}", "{W} went by car from {A} to {B}"),
    ("question", "how do I get from {A} to {B}", "what is the way to {B} from {A}"),
    ("question", "how long does the train from {A} to {B} take", "how much time does a train take from {A} to {B}"),
    ("question", "is there a direct flight from {A} to {B}", "can I fly directly to {B} from {A}"),
    ("question", "how far is it from {A} to {B}", "what is the distance to {B} when I start in {A}"),
    ("command", "book a train from {A} to {B}", "get me a train ticket to {B} from {A}"),
    ("command", "transfer the files from {A} to {B}", "move the files to {B} from {A}"),
    ("command", "send the package from {A} to {B}", "ship the parcel to {B} out of {A}"),
    ("query", "cheap flights {A} to {B}", "low price flight from {A} to {B}"),
    ("query", "bus {A} to {B} timetable", "schedule of buses from {A} to {B}"),
)
MOODS = {"statement": ".", "question": "?", "command": ".", "query": ""}


def finish(text: str, mood: str) -> str:
    """``text`` as a sentence of ``mood``; a search query stays as it is."""
    return text if mood == "query" else sentence(text, MOODS[mood])


def said(text: str) -> str:
    """A statement."""
    return sentence(text)


def moment(chance: random.Random) -> str:
    """A time or a place to add, or nothing."""
    return chance.choice(["", "", " " + chance.choice(MOMENTS), " " + chance.choice(WHERE)])


def roles(words: Lexicon, chance: random.Random) -> Item:
    """Who did it to whom: active, passive, cleft; the exchanged ones say another thing."""
    verb = chance.choice(words.between)
    a, b = words.agents(chance)
    more = moment(chance)
    active, passive = f"{a} {verb.past} {b}{more}", f"{b} was {verb.participle} by {a}{more}"
    cleft, asked = f"it was {a} who {verb.past} {b}{more}", f"it was {b} that {a} {verb.past}{more}"
    exchanged = f"{b} {verb.past} {a}{more}"
    exchanged_passive = f"{a} was {verb.participle} by {b}{more}"
    anchor, same = chance.choice(
        [(active, passive), (passive, active), (active, cleft), (cleft, passive), (active, asked)]
    )
    wrong = chance.sample([exchanged, exchanged_passive, f"it was {b} who {verb.past} {a}{more}"], 2)
    kind = "passive" if (anchor == passive) != (same == passive) else "roles"
    return Item(kind, said(anchor), ((said(same), SAME), *((said(text), EXCHANGED) for text in wrong)))


def scene(words: Lexicon, chance: random.Random) -> Item:
    """As in a caption: the same two, the other way round, in one scene."""
    verb = chance.choice(words.between)
    a, b = chance.sample([*words.people, *words.animals], 2)
    place = chance.choice(["", " " + chance.choice(WHERE)])
    active = f"{with_article(a)} is {verb.progressive} {with_article(b)}{place}"
    passive = f"{with_article(b)} is being {verb.participle} by {with_article(a)}{place}"
    wrong = f"{with_article(b)} is {verb.progressive} {with_article(a)}{place}"
    wrong_passive = f"{with_article(a)} is being {verb.participle} by {with_article(b)}{place}"
    anchor, same = chance.choice([(active, passive), (passive, active)])
    less = f"{with_article(a)} is {verb.progressive} someone{place}"
    others = ((said(same), SAME), (said(wrong), OPPOSED), (said(wrong_passive), OPPOSED), (said(less), IMPLIED))
    return Item("scene", said(anchor), others)


def converse_verbs(words: Lexicon, chance: random.Random) -> Item:
    """Selling and buying, giving and getting."""
    to, from_ = (Verb(base) for base in chance.choice(frames_of(CONVERSES, words.split)))
    a, b = words.agents(chance)
    thing = (
        with_article(chance.choice(words.things))
        if to.base != "teach"
        else chance.choice(["chess", "French", "the song"])
    )
    more = moment(chance)
    giving, getting = f"{a} {to.past} {thing} to {b}{more}", f"{b} {from_.past} {thing} from {a}{more}"
    wrong = (f"{b} {to.past} {thing} to {a}{more}", f"{a} {from_.past} {thing} from {b}{more}")
    anchor, same = chance.choice([(giving, getting), (getting, giving)])
    return Item("converse", said(anchor), ((said(same), SAME), *((said(text), EXCHANGED) for text in wrong)))


def converse_relations(words: Lexicon, chance: random.Random) -> Item:
    """Parent and child, above and below: each says the same with its sides exchanged."""
    there, back = chance.choice(frames_of(RELATIONS, words.split))
    a, b = words.agents(chance)
    anchor, same, wrong, other = (
        template.format(A=one, B=two)
        for template, one, two in ((there, a, b), (back, a, b), (there, b, a), (back, b, a))
    )
    if chance.random() < 0.5:
        anchor, same, wrong, other = same, anchor, other, wrong
    return Item("converse", said(anchor), ((said(same), SAME), (said(wrong), OPPOSED), (said(other), OPPOSED)))


def direction(words: Lexicon, chance: random.Random) -> Item:
    """From A to B is not from B to A."""
    mood, one, other = chance.choice(frames_of(JOURNEYS, words.split))
    a, b = chance.sample(words.places, 2)
    who, when = chance.choice(words.names), chance.choice(MOMENTS)
    if chance.random() < 0.5:
        one, other = other, one
    anchor, same, wrong, wrong_other = (
        finish(template.format(A=x, B=y, W=who, T=when), mood)
        for template, x, y in ((one, a, b), (other, a, b), (one, b, a), (other, b, a))
    )
    return Item("direction", anchor, ((same, SAME), (wrong, EXCHANGED), (wrong_other, EXCHANGED)), mood)  # type: ignore[arg-type]


def order_of_events(words: Lexicon, chance: random.Random) -> Item:
    """What came first: before, after, then."""
    first, second = chance.sample(words.actions, 2)
    a, b = words.agents(chance)
    before = f"{a} {first.past} before {b} {second.past}"
    after = f"{b} {second.past} after {a} {first.past}"
    fronted = f"after {a} {first.past}, {b} {second.past}"
    wrong = chance.sample(
        [
            f"{b} {second.past} before {a} {first.past}",
            f"{a} {first.past} after {b} {second.past}",
            f"before {a} {first.past}, {b} {second.past}",
        ],
        2,
    )
    anchor, same = chance.sample([before, after, fronted], 2)
    part = said(f"{a} {first.past}")
    others = ((said(same), SAME), *((said(text), OPPOSED) for text in wrong), (part, IMPLIED))
    return Item("time order", said(anchor), others)


def attributes(words: Lexicon, chance: random.Random) -> Item:
    """Which of two things is the red one."""
    one, other = chance.sample(words.things, 2)
    look, look2 = chance.sample(words.looks, 2)
    frame = chance.choice(
        frames_of(
            [
                "{W} has {X} and {Y}",
                "there is {X} next to {Y}",
                "{W} bought {X} and {Y}",
                "{X} and {Y} are on the floor",
                "{W} is carrying {X} and {Y}",
                "{X} and {Y} were sold",
                "we need {X} and {Y}",
                "{W} lost {X} and {Y}",
            ],
            words.split,
        )
    )
    who = chance.choice(words.names)

    def put(first: str, second: str) -> str:
        return said(frame.format(W=who, X=first, Y=second))

    x, y = with_article(f"{look} {one}"), with_article(f"{look2} {other}")
    wrong_x, wrong_y = with_article(f"{look2} {one}"), with_article(f"{look} {other}")
    others = (
        (put(y, x), SAME),
        (put(wrong_x, wrong_y), EXCHANGED),
        (put(wrong_y, wrong_x), EXCHANGED),
        (put(with_article(one), with_article(other)), IMPLIED),
    )
    return Item("attributes", put(x, y), others)


def who_did_both(words: Lexicon, chance: random.Random) -> Item:
    """Two verbs and one subject: whom the second one belongs to."""
    first, second = chance.sample(words.between, 2)
    a, b, c = words.agents(chance, 3)
    anchor = said(f"{a} {first.past} {b} and {second.past} {c}")
    others = (
        (said(f"{a} {second.past} {c} and {first.past} {b}"), SAME),
        (said(f"{a} {second.past} {c}"), IMPLIED),
        (said(f"{b} {second.past} {c}"), EXCHANGED),
        (said(f"{a} {first.past} {c} and {second.past} {b}"), EXCHANGED),
    )
    return Item("coordination", anchor, others)


def relative_clauses(words: Lexicon, chance: random.Random) -> Item:
    """Whom the clause is about."""
    verb, action = chance.choice(words.between), chance.choice(words.actions)
    a, b = (f"the {noun}" for noun in chance.sample(words.people, 2))
    anchor = said(f"{a} who {verb.past} {b} {action.past}")
    others = (
        (said(f"{a} by whom {b} was {verb.participle} {action.past}"), SAME),
        (said(f"{a} {action.past}"), IMPLIED),
        (said(f"{a} who was {verb.participle} by {b} {action.past}"), EXCHANGED),
        (said(f"{b} who {verb.past} {a} {action.past}"), EXCHANGED),
    )
    return Item("relative clauses", anchor, others)


def possessives(words: Lexicon, chance: random.Random) -> Item:
    """Whose brother."""
    a, b = chance.sample(words.names, 2)
    kin = chance.choice(["brother", "sister", "friend", "boss", "neighbor", "doctor", "cousin", "lawyer"])
    verb = chance.choice(words.between)
    anchor, same = f"{a}'s {kin} {verb.past} {b}", f"the {kin} of {a} {verb.past} {b}"
    if chance.random() < 0.5:
        same = f"{b} was {verb.participle} by {a}'s {kin}"
    wrong = (f"{b}'s {kin} {verb.past} {a}", f"{a} {verb.past} {b}'s {kin}")
    return Item("possessives", said(anchor), ((said(same), SAME), *((said(text), EXCHANGED) for text in wrong)))


def causes(words: Lexicon, chance: random.Random) -> Item:
    """What was the reason and what came of it."""
    first, second = chance.sample(words.actions, 2)
    a, b = words.agents(chance)
    because = f"{a} {first.past} because {b} {second.past}"
    so = f"{b} {second.past}, so {a} {first.past}"
    fronted = f"because {b} {second.past}, {a} {first.past}"
    wrong = (f"{b} {second.past} because {a} {first.past}", f"{a} {first.past}, so {b} {second.past}")
    anchor, same = chance.sample([because, so, fronted], 2)
    part = said(f"{b} {second.past}")
    return Item(
        "causes", said(anchor), ((said(same), SAME), *((said(text), OPPOSED) for text in wrong), (part, IMPLIED))
    )


def conditions(words: Lexicon, chance: random.Random) -> Item:
    """If A then B does not say: if B then A."""
    first, second = chance.sample(words.actions, 2)
    a, b = words.agents(chance)
    one, other = f"{a} {first.present}", f"{b} {second.present}"
    anchor, same = chance.sample([f"if {one}, {other}", f"{other} if {one}", f"whenever {one}, {other}"], 2)
    wrong = chance.sample([f"if {other}, {one}", f"{one} if {other}", f"{one} and {other}"], 2)
    return Item("conditions", said(anchor), ((said(same), SAME), *((said(text), EXCHANGED) for text in wrong)))
