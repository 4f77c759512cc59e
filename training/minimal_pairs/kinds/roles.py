"""Kinds of minimal pairs about who did what to whom: order decides what they say."""

from __future__ import annotations

import random
from collections.abc import Sequence

from training.minimal_pairs.grammar import Extras, Fill, Section, Way, contrast, said, sections_of, ways
from training.minimal_pairs.inflection import Verb, plural, with_article
from training.minimal_pairs.kinds.tense import DENIED, STATIVE, TENSES, Phrase, Tense, event, some_tense
from training.minimal_pairs.relations import Item, Relation
from training.minimal_pairs.words import Lexicon, Split, frames_of

SAME, EXCHANGED, OPPOSED = Relation.SAME, Relation.EXCHANGED, Relation.OPPOSED
IMPLIED, IMPLYING, NEUTRAL = Relation.IMPLIED, Relation.IMPLYING, Relation.NEUTRAL

SHELLS = ("plain", "time", "place", "said", "report", "fact", "thought", "whether", "command")
SHELL_WEIGHTS = (60, 12, 6, 8, 6, 8, 4, 8, 3)
PAST, PRESENT, PROGRESSIVE = TENSES[0], TENSES[1], TENSES[2]


def some_shell(chance: random.Random, tense: Tense | None = None) -> str:
    """What to put a statement into; times only where the tense is known to suit them."""
    (shell,) = chance.choices(SHELLS, SHELL_WEIGHTS)
    return "plain" if shell == "time" and tense is not None and not (tense.past or tense.later) else shell


def section(file: str, kind: str, name: str | None = None) -> Section:
    """The section ``name`` (the only one, unless given) of ``kind``."""
    return next(found for found in sections_of(file, kind) if name in (None, found.name))


def cast(words: Lexicon, chance: random.Random) -> tuple[Phrase, Phrase, Verb]:
    """Two who could do it to one another, or one and a thing, and what is done."""
    kind = chance.random()
    if kind < 0.1:
        a, b = _nouns(words.others["nouns"], words.looks, "that", chance)
        return a, b, chance.choice(words.verbs["passivised"])
    if kind < 0.38:
        return *_named(words, chance), chance.choice(words.between if kind < 0.34 else words.verbs["passivised"])
    if kind < 0.66:
        return *_nouns(words.people, words.others["traits"], "who", chance, words), chance.choice(words.between)
    if kind < 0.76:
        nouns = [chance.choice(words.animals), chance.choice([*words.animals, *words.people])]
        if nouns[0] != nouns[1]:
            return *_nouns(nouns, words.others["beasts"], "that", chance), chance.choice(words.verbs["animal acts"])
    if kind < 0.82:
        return *_nouns(words.others["vehicles"], words.looks, "that", chance), chance.choice(
            words.verbs["vehicle acts"]
        )
    if kind < 0.86:
        return *_nouns(words.others["groups"], (), "that", chance), chance.choice(words.verbs["group acts"])
    if kind < 0.93:
        of = chance.choice(["companies", "countries", "teams"])
        acts = {"companies": "group acts", "countries": "country acts", "teams": "team acts"}[of]
        one, other = (
            Phrase(name, name.removeprefix("the "), "that", name.startswith("the ") and of == "teams")
            for name in chance.sample(words.others[of], 2)
        )
        return one, other, chance.choice(words.verbs[acts])
    agent = (
        _named(words, chance)[0]
        if chance.random() < 0.4
        else Phrase(f"the {(who := chance.choice(words.people))}", who)
    )
    thing = chance.choice(words.things)
    return agent, Phrase(f"the {thing}", thing, "that"), chance.choice(words.on_things)


def _named(words: Lexicon, chance: random.Random) -> tuple[Phrase, Phrase]:
    """Two by first name, by both names or by title."""
    kind = chance.random()
    firsts = chance.sample(words.names, 2)
    if kind < 0.7:
        found = firsts
    else:
        first = firsts if kind < 0.85 else chance.sample(words.others["titles"], 2)
        found = [f"{one} {family}" for one, family in zip(first, chance.sample(words.surnames, 2), strict=True)]
    one, other = found
    return Phrase(one, one), Phrase(other, other)


def _alike(verb: Verb, of_things: bool, words: Lexicon, chance: random.Random) -> tuple[Verb, Verb]:
    """``verb`` twice, or now and then two verbs of one meaning in its place."""
    if chance.random() < 0.8:
        return verb, verb
    group = chance.choice(words.others["acts on things" if of_things else "alike"]).split("/")
    one, other = chance.sample(group, 2)
    return Verb.of(one), Verb.of(other)


def _nouns(
    nouns: Sequence[str], looks: Sequence[str], who: str, chance: random.Random, words: Lexicon | None = None
) -> tuple[Phrase, Phrase]:
    """Two of ``nouns``, with an adjective, in the plural or told by more now and then; both alike."""
    one, other = chance.sample(list(dict.fromkeys(nouns)), 2)
    kind = chance.random()
    if kind < 0.12 and looks:
        one, other = (f"{look} {noun}" for look, noun in zip(chance.sample(looks, 2), (one, other), strict=True))
    elif kind < 0.3:
        first, second = chance.choice([(True, False), (False, True), (True, True)])
        return _phrase(one, who, first), _phrase(other, who, second)
    elif kind < 0.4:
        return Phrase(with_article(one), one, who), Phrase(with_article(other), other, who)
    if kind > 0.9 and words is not None:
        more = chance.sample(words.others["modifiers"], 2)
        one, other = (f"{noun} {modifier}" for noun, modifier in zip((one, other), more, strict=True))
    return Phrase(f"the {one}", one, who), Phrase(f"the {other}", other, who)


def _phrase(noun: str, who: str, many: bool) -> Phrase:
    return Phrase(f"the {plural(noun)}", plural(noun), who, True) if many else Phrase(f"the {noun}", noun, who)


def setting(words: Lexicon, chance: random.Random, tense: Tense, a: Phrase, b: Phrase) -> Extras:
    """Words of one item; a time that suits its tense."""
    extras = Extras(words, chance, A=a.text, B=b.text)
    if tense.later:
        extras["T"] = chance.choice(words.others["later"])
    return extras


def _of_dev(words: Lexicon, chance: random.Random) -> tuple[bool, Split | None]:
    """For dev: a tense that training has not, in any frame, or a frame that training has not."""
    dev = words.split == "dev"
    if dev and chance.random() < 0.5:
        return True, "train"
    return False, None


def roles(words: Lexicon, chance: random.Random) -> Item:
    """Who did it to whom: active, passive, cleft; the exchanged ones say another thing."""
    a, b, verb = cast(words, chance)
    of_dev, frames = _of_dev(words, chance)
    tense = some_tense(verb, chance, of_dev)
    if not of_dev and chance.random() < 0.05:
        tense = DENIED
    extras = setting(words, chance, tense, a, b)
    verb, other = _alike(verb, b.who == "that", words, chance) if a.who == "who" else (verb, verb)
    if tense is not DENIED and {verb.base, other.base} & STATIVE and "doing" in tense.name + tense.active:
        tense = PAST
    meant, exchanged = event(a, b, verb, tense, extras), event(b, a, verb, tense, extras)
    again = (event(a, b, other, tense, extras), event(b, a, other, tense, extras)) if other != verb else None
    found = ways(section("roles", "roles"), words, chance, 2, some_shell(chance, tense), frames)
    more: list[tuple[str, Relation]] = []
    if found[0].shell == "{C}" and tense is not DENIED and chance.random() < 0.3:
        (part,) = ways(section("roles", "parts"), words, chance, 0, "plain")
        more = [(part.say(meant), IMPLIED), (part.say(exchanged), EXCHANGED)]
        if "some" in more[0][0].lower() and not (a.who == b.who == "who"):
            more = []
    kind = "passive" if len({"{P}" in way.frame or "{got}" in way.frame for way in found[:2]}) == 2 else "roles"
    return contrast(kind, found, meant, exchanged, more=more, plain=chance.random() < 0.4, again=again)


def asked_roles(words: Lexicon, chance: random.Random) -> Item:
    """Asked, searched or told to be done: who is to do it to whom."""
    a, b, verb = cast(words, chance)
    name = chance.choice(["asked", "asked", "headlines", "captions", "orders"])
    of_dev, frames = _of_dev(words, chance) if name == "asked" else (False, None)
    if name != "asked" and verb.base in STATIVE:
        verb = next(verb for verb in iter(lambda: chance.choice(words.between), None) if verb.base not in STATIVE)
        a, b = (Phrase(text, text) for text in chance.sample(words.names, 2))
    tense = some_tense(verb, chance, of_dev) if name == "asked" else PRESENT
    extras = setting(words, chance, tense, a, b)
    if name in ("headlines", "captions"):
        nouns = chance.sample([*words.people, *words.people, *words.animals], 2)
        if a.many or b.many or name == "captions" or chance.random() < 0.5:
            a, b = (Phrase(f"the {noun}", noun) for noun in nouns)
            verb = chance.choice(words.verbs["animal acts"] if nouns[0] in words.animals else words.between)
    meant, exchanged = event(a, b, verb, tense, extras), event(b, a, verb, tense, extras)
    found = ways(section("roles", name), words, chance, 2, None, frames)
    return contrast("roles", found, meant, exchanged, plain=chance.random() < 0.4)


def scene(words: Lexicon, chance: random.Random) -> Item:
    """As in a caption: the same two, the other way round, in one scene."""
    verb = next(
        verb
        for verb in iter(lambda: chance.choice([*words.between, *words.verbs["animal acts"]]), None)
        if verb.base not in STATIVE
    )
    a, b = _in_caption(words, chance)
    extras = Extras(words, chance)
    meant, exchanged = (event(one, two, verb, PROGRESSIVE, extras) for one, two in ((a, b), (b, a)))
    found = ways(section("roles", "scene"), words, chance, 2, chance.choice(["plain", "place"]))
    less = Way("{A} {V} someone", "{C}", "statement").say(meant)
    more = [(less, IMPLIED), (Way("{A} {V} someone", "{C}", "statement").say(exchanged), EXCHANGED)]
    if not (a.who == b.who == "who") or found[0].shell != "{C}":
        more = []
    return contrast("scene", found, meant, exchanged, OPPOSED, more, plain=chance.random() < 0.4)


def _in_caption(words: Lexicon, chance: random.Random) -> tuple[Phrase, Phrase]:
    nouns = words.people if chance.random() < 0.6 else [*words.people, *words.animals]
    found = chance.sample(nouns, 2)
    if chance.random() < 0.25:
        kept = chance.sample(words.others["traits"], 2)
        found = [f"{look} {noun}" if noun in words.people else noun for look, noun in zip(kept, found, strict=True)]
    if chance.random() < 0.2:
        number = chance.choice(["two", "three", "some", "several"])
        return Phrase(f"{number} {plural(found[0])}", found[0], "who", True), _one(found[1], words)
    return _one(found[0], words), _one(found[1], words)


def _one(noun: str, words: Lexicon) -> Phrase:
    return Phrase(with_article(noun), noun, "that" if noun in words.animals else "who")


def relative_clauses(words: Lexicon, chance: random.Random) -> Item:
    """Whom the clause is about."""
    verb, action = chance.choice(words.between), chance.choice(words.actions)
    nouns = chance.sample(words.people, 2)
    if chance.random() < 0.2:
        nouns = [f"{trait} {noun}" for trait, noun in zip(chance.sample(words.others["traits"], 2), nouns, strict=True)]
    a, b = (Phrase(f"the {noun}", noun) for noun in nouns)
    extras = Extras(words, chance, D=action)
    meant, exchanged = event(a, b, verb, PAST, extras), event(b, a, verb, PAST, extras)
    found = ways(section("roles", "relative"), words, chance, 1, "plain")
    did, other = said(f"{a.text} {action.past}"), said(f"{b.text} {action.past}")
    passive = (said(f"{b.text} was {verb.participle} by {a.text}"), said(f"{a.text} was {verb.participle} by {b.text}"))
    implied, wrong = chance.choice([(did, other), passive])
    more = [(implied, IMPLIED), (wrong, EXCHANGED)]
    return contrast("relative clauses", found, meant, exchanged, more=more, plain=chance.random() < 0.4)


ATTITUDES = (
    "say",
    "think",
    "believe",
    "claim",
    "know",
    "hope",
    "fear",
    "hear",
    "notice",
    "report",
    "announce",
    "admit",
)


def attitudes(words: Lexicon, chance: random.Random) -> Item:
    """Who said it of whom."""
    a, b = words.agents(chance)
    extras = Extras(words, chance, K=Verb(chance.choice(ATTITUDES)))
    found = ways(section("roles", "attitude"), words, chance, 2, "plain")
    return contrast("attitudes", found, Fill(extras, A=a, B=b), Fill(extras, A=b, B=a), plain=chance.random() < 0.4)


BOTH = (
    "{W} has {X} and {Y}",
    "there is {X} next to {Y}",
    "{W} bought {X} and {Y}",
    "{W} sold {X} and {Y}",
    "{X} and {Y} are on the floor",
    "{W} is carrying {X} and {Y}",
    "{X} and {Y} were sold",
    "{W} saw {X} and {Y}",
    "we need {X} and {Y}",
    "{W} lost {X} and {Y}",
    "in the room there is {X} and {Y}",
    "{W} is looking for {X} and {Y}",
    "{W} wants {X} and {Y}",
    "{W} found {X} and {Y} in the street",
    "{X} and {Y} are for sale",
    "we can see {X} and {Y}",
    "{W} will bring {X} and {Y}",
    "{W} packed {X} and {Y}",
    "{X} stood beside {Y}",
    "{W} gave me {X} and {Y}",
)


BOTH_PEOPLE = (
    "{W} knows {X} and {Y}",
    "{W} saw {X} and {Y}",
    "{X} and {Y} are waiting",
    "there is {X} next to {Y}",
    "{X} and {Y} came in",
    "{W} spoke to {X} and {Y}",
    "we met {X} and {Y}",
    "{X} stood next to {Y}",
    "{W} hired {X} and {Y}",
    "{X} and {Y} won the prize",
    "{X} sat down beside {Y}",
    "{W} invited {X} and {Y}",
)


def attributes(words: Lexicon, chance: random.Random) -> Item:
    """Which of two things is the red one."""
    nouns, kinds = (words.things, words.looks) if chance.random() < 0.7 else (words.people, words.others["traits"])
    one, other = chance.sample(nouns, 2)
    look, look2 = chance.sample(list(kinds), 2)
    frame = chance.choice(frames_of(BOTH, words.split))
    if nouns is words.people:
        frame = chance.choice(frames_of(BOTH_PEOPLE, words.split))
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
    joints = frames_of(BOTH_ACTS, words.split)
    one, two = chance.sample(joints, 2)

    def put(frame: str, b: str, c: str) -> str:
        return said(frame.format(A=a, B=b, C=c, first=first, second=second))

    others = (
        (put(two, b, c), SAME),
        (put(two, c, b), EXCHANGED),
        (said(f"{a} {second.past} {c}"), IMPLIED),
        (said(f"{b} {second.past} {c}"), EXCHANGED),
        (put(one, c, b), EXCHANGED),
    )
    return Item("coordination", put(one, b, c), others[: chance.choice([4, 5])])


# What one subject did to two others.
BOTH_ACTS = (
    "{A} {first.past} {B} and also {second.past} {C}",
    "{A} {first.past} {B} and {second.past} {C}",
    "{A} {second.past} {C} and {first.past} {B}",
    "{A} not only {first.past} {B} but also {second.past} {C}",
    "what {A} did was {first.plain} {B} and {second.plain} {C}",
    "{A} {first.past} {B}, and {second.past} {C} as well",
    "it was {A} who {first.past} {B} and {second.past} {C}",
    "{A} both {first.past} {B} and {second.past} {C}",
    "{C} was {second.participle} and {B} was {first.participle} by {A}",
    "{A} {second.past} {C}, and {first.past} {B} too",
    "{B} was {first.participle} by {A}, and {C} was {second.participle} by {A}",
    "it was {C} that {A} {second.past} and {B} that {A} {first.past}",
)


KIN = ("brother", "sister", "friend", "boss", "neighbor", "doctor", "cousin", "lawyer", "mother", "father", "teacher")


def possessives(words: Lexicon, chance: random.Random) -> Item:
    """Whose brother."""
    a, b = chance.sample(words.names, 2)
    kin = chance.choice(KIN)
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
