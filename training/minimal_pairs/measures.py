"""Kinds of minimal pairs about how much and how many: comparatives, numbers, quantifiers, units, dates and names."""

from __future__ import annotations

import random

from training.minimal_pairs.frames import EXCHANGED, IMPLIED, NEUTRAL, OPPOSED, SAME, finish, said
from training.minimal_pairs.inflection import in_words, plural, with_article
from training.minimal_pairs.relations import Item, Relation
from training.minimal_pairs.words import Lexicon, frames_of, listed

# Adjectives with their comparatives and opposites: what is more of one is less of the other.
SCALES = (
    *(
        ("tall", "taller", "short", "shorter"),
        ("old", "older", "young", "younger"),
        ("fast", "faster", "slow", "slower"),
    ),
    *(
        ("big", "bigger", "small", "smaller"),
        ("heavy", "heavier", "light", "lighter"),
        ("rich", "richer", "poor", "poorer"),
    ),
    *(
        ("strong", "stronger", "weak", "weaker"),
        ("loud", "louder", "quiet", "quieter"),
        ("hot", "hotter", "cold", "colder"),
    ),
    *(("expensive", "more expensive", "cheap", "cheaper"), ("happy", "happier", "sad", "sadder")),
    *(
        ("wide", "wider", "narrow", "narrower"),
        ("long", "longer", "short", "shorter"),
        ("hard", "harder", "easy", "easier"),
    ),
    *(
        ("clean", "cleaner", "dirty", "dirtier"),
        ("early", "earlier", "late", "later"),
        ("near", "nearer", "far", "farther"),
    ),
)
HUMAN = frozenset({"tall", "old", "fast", "heavy", "rich", "strong", "loud", "happy"})
COUNTED = listed("""
    apples books cars chairs children coins cups dogs eggs emails errors flowers houses letters people photos
    players points songs students tickets trees users votes windows workers files orders rooms seats
    """)
COUNTING = (
    ("statement", "{W} has {N}"),
    ("statement", "{W} bought {N}"),
    ("statement", "there are {N} in the building"),
    ("statement", "{W} counted {N}"),
    ("statement", "the report mentions {N}"),
    ("statement", "{W} needs {N}"),
    ("question", "does {W} have {N}"),
    ("question", "can I order {N}"),
    ("command", "order {N}"),
    ("command", "show me {N}"),
    ("query", "buy {N}"),
)
MONTHS = listed("""
    January February March April May June July August September October November December
    """)
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
UNITS = (
    *(("{n} hours", "{m} minutes", 60), ("{n} kilometers", "{m} meters", 1000), ("{n} kg", "{m} grams", 1000)),
    *(("{n} weeks", "{m} days", 7), ("{n} years", "{m} months", 12), ("{n} meters", "{m} centimeters", 100)),
    *(("{n} minutes", "{m} seconds", 60), ("{n} dozen eggs", "{m} eggs", 12), ("{n} dollars", "{m} cents", 100)),
    *(("{n} days", "{m} hours", 24), ("{n} liters", "{m} milliliters", 1000), ("{n} decades", "{m} years", 10)),
)
AMOUNTS = ("the walk is {X}", "it took {X}", "we need {X}", "the limit is {X}", "the total is {X}", "they ordered {X}")
QUANTIFIED = ("{Q} {P} {V}", "{Q} {P} in the room {V}", "{Q} {P} {V} last year", "{Q} {P} at the station {V}")


def comparatives(words: Lexicon, chance: random.Random) -> Item:
    """Taller than, shorter than, not as tall as."""
    adjective, more, opposite, less = chance.choice(frames_of(SCALES, words.split))
    if chance.random() < 0.5:
        adjective, more, opposite, less = opposite, less, adjective, more
    if {adjective, opposite} & HUMAN and chance.random() < 0.6:
        a, b = words.agents(chance)
    else:
        a, b = (f"the {noun}" for noun in chance.sample(words.things, 2))
    if chance.random() < 0.25:
        return _asked(a, b, more, less)
    one, other = f"{a} is {more} than {b}", f"{b} is {less} than {a}"
    anchor, same = chance.choice([(one, other), (other, one)])
    wrong = chance.sample(
        [
            f"{b} is {more} than {a}",
            f"{a} is {less} than {b}",
            f"{a} is not {more} than {b}",
            f"{a} is as {adjective} as {b}",
        ],
        2,
    )
    others = (
        (said(same), SAME),
        *((said(text), OPPOSED) for text in wrong),
        (said(f"{b} is not as {adjective} as {a}"), IMPLIED),
    )
    return Item("comparatives", said(anchor), others)


def _asked(a: str, b: str, more: str, less: str) -> Item:
    asked = [f"is {a} {more} than {b}", f"is {b} {less} than {a}", f"is {b} {more} than {a}", f"is {a} {less} than {b}"]
    anchor, same, wrong, other = (finish(text, "question") for text in asked)
    return Item("comparatives", anchor, ((same, SAME), (wrong, EXCHANGED), (other, EXCHANGED)), "question")


def numbers(words: Lexicon, chance: random.Random) -> Item:
    """Three is not four, in digits or in words; and what at least, more than and exactly say."""
    mood, frame = chance.choice(frames_of(COUNTING, words.split))
    thing, who = chance.choice(COUNTED), chance.choice(words.names)
    n = chance.choice([chance.randint(2, 12), chance.randint(13, 99), 10 * chance.randint(10, 90)])
    more, fewer = n + chance.randint(1, max(2, n // 3)), n - chance.randint(1, max(1, n // 3))
    if fewer < 1:
        more, fewer = n + 2, n - 1

    def put(amount: str) -> str:
        return finish(frame.format(W=who, N=f"{amount} {thing}"), mood)

    if mood != "statement":
        others: tuple[tuple[str, Relation], ...] = ((put(in_words(n) if n < 21 else f"exactly {n}"), SAME),)
        others += ((put(str(more)), EXCHANGED), (put(str(fewer)), EXCHANGED))
        return Item("numbers", put(str(n)), others, mood)  # type: ignore[arg-type]
    claims: tuple[tuple[str, Relation], ...]
    case = chance.randrange(4)
    if case == 0:
        spelled = in_words(n) if n < 21 else f"exactly {n}"
        claims = ((spelled, SAME), (str(more), OPPOSED), (f"at least {fewer}", IMPLIED), (f"fewer than {n}", OPPOSED))
        return Item(
            "numbers", put(f"exactly {n}" if spelled == str(n) else str(n)), tuple((put(x), r) for x, r in claims)
        )
    if case == 1:
        claims = ((f"{n + 1} or more", SAME), (f"fewer than {n}", OPPOSED), (f"more than {fewer}", IMPLIED))
        claims += ((f"at most {n}", OPPOSED), (f"more than {more}", Relation.NEUTRAL))
        return Item("numbers", put(f"more than {n}"), tuple((put(x), r) for x, r in _implied_back(claims)))
    if case == 2:
        claims = ((f"{n} or more", SAME), (f"fewer than {n}", OPPOSED), (f"at least {fewer}", IMPLIED))
        claims += ((f"no fewer than {n}", SAME), (f"exactly {more}", NEUTRAL))
        return Item("numbers", put(f"at least {n}"), tuple((put(x), r) for x, r in _implied_back(claims)))
    claims = (
        (f"no more than {n}", SAME),
        (f"more than {n}", OPPOSED),
        (f"fewer than {more + 1}", IMPLIED),
        (f"{more}", OPPOSED),
    )
    return Item("numbers", put(f"at most {n}"), tuple((put(x), r) for x, r in claims))


def _implied_back(claims: tuple[tuple[str, Relation], ...]) -> tuple[tuple[str, Relation], ...]:
    """Without what would entail the anchor: a neutral relation holds both ways."""
    return tuple((text, relation) for text, relation in claims if relation is not NEUTRAL)


def quantifiers(words: Lexicon, chance: random.Random) -> Item:
    """All, some, most and none; with none before them the weaker ones."""
    frame = chance.choice(frames_of(QUANTIFIED, words.split))
    noun, verb = plural(chance.choice(words.people)), chance.choice(words.actions).past

    def put(quantifier: str) -> str:
        return said(frame.format(Q=quantifier, P=noun, V=verb))

    every, none = put("all the"), put("none of the")
    some, most, few = put("some of the"), put("most of the"), put("very few of the")
    table = {
        every: (
            (put("all of the"), SAME),
            (some, IMPLIED),
            (most, IMPLIED),
            (none, OPPOSED),
            (put("not all the"), OPPOSED),
        ),
        none: ((put("not one of the"), SAME), (some, OPPOSED), (every, OPPOSED), (put("not all of the"), IMPLIED)),
        some: ((put("at least a few of the"), SAME), (none, OPPOSED), (put("no"), OPPOSED)),
        most: ((put("the majority of the"), SAME), (some, IMPLIED), (few, OPPOSED), (none, OPPOSED)),
        put("not all the"): ((put("not every one of the"), SAME), (every, OPPOSED), (put("every one of the"), OPPOSED)),
    }
    anchor = chance.choice(list(table))
    return Item("quantifiers", anchor, table[anchor])


def narrower(words: Lexicon, chance: random.Random) -> Item:
    """What is said of a red cup holds for a cup, and not the other way round."""
    look, thing = chance.choice(words.looks), chance.choice(words.things)
    who, verb = chance.choice(words.names), chance.choice(words.on_things)
    specific = said(f"{who} {verb.past} {with_article(f'{look} {thing}')}")
    general = said(f"{who} {verb.past} {with_article(thing)}")
    other = said(f"{who} {verb.past} {with_article(chance.choice([w for w in words.things if w != thing]))}")
    denied = said(f"{who} did not {verb.plain} {with_article(thing)}")
    passive = said(f"{with_article(f'{look} {thing}')} was {verb.participle} by {who}")
    return Item("narrower", specific, ((passive, SAME), (general, IMPLIED), (denied, OPPOSED), (other, NEUTRAL)))


def units(words: Lexicon, chance: random.Random) -> Item:
    """An amount in another unit is the same amount."""
    large, small, factor = chance.choice(frames_of(UNITS, words.split))
    frame, n = chance.choice(frames_of(AMOUNTS, words.split)), chance.randint(2, 9)
    wrong = chance.choice([k for k in (n - 1, n + 1, n + 2) if k > 1 and k != n])

    def put(template: str, number: int) -> str:
        return said(frame.format(X=template.format(n=number, m=f"{number:,}")))

    one, other = put(large, n), put(small, n * factor)
    anchor, same = chance.choice([(one, other), (other, one)])
    wrong_ones = ((put(large, wrong), OPPOSED), (put(small, wrong * factor), OPPOSED))
    return Item("units", anchor, ((same, SAME), *wrong_ones))


def dates(words: Lexicon, chance: random.Random) -> Item:
    """Days, months and hours of what happens once."""
    event = chance.choice(
        ["the meeting is", "the concert starts", "the wedding is", "the office opens", "the exam begins"]
    )
    if chance.random() < 0.5:
        month, other = chance.sample(MONTHS, 2)
        day, year = chance.randint(1, 28), chance.randint(1990, 2030)
        forms = (f"on {month} {day}, {year}", f"on {day} {month} {year}")
        wrong = (f"on {other} {day}, {year}", f"on {month} {day % 28 + 1}, {year}", f"on {day} {month} {year + 1}")
    else:
        day_name, other = chance.sample(DAYS, 2)
        hour = chance.randint(1, 11)
        forms = (f"on {day_name} at {hour} pm", f"on {day_name} at {hour + 12}:00")
        wrong = (f"on {other} at {hour} pm", f"on {day_name} at {hour} am", f"on {day_name} at {hour % 11 + 1} pm")
    anchor, same = chance.sample(forms, 2)
    others = (
        (said(f"{event} {same}"), SAME),
        *((said(f"{event} {text}"), OPPOSED) for text in chance.sample(wrong, 2)),
    )
    return Item("dates", said(f"{event} {anchor}"), others)


def names(words: Lexicon, chance: random.Random) -> Item:
    """Another name is somebody else."""
    first, other = chance.sample(words.names, 2)
    family, other_family = chance.sample(words.surnames, 2)
    mood, frame = chance.choice(
        frames_of(
            [
                ("question", "who is {X}"),
                ("query", "{X} phone number"),
                ("command", "call {X}"),
                ("statement", "{X} called"),
                ("question", "where does {X} live"),
                ("statement", "{X} won the prize"),
                ("command", "send this to {X}"),
            ],
            words.split,
        )
    )
    forms = [f"{first} {family}", f"{first} {family}'s office"] if mood == "command" else [f"{first} {family}"]
    same = f"Ms {first} {family}" if mood != "command" else forms[0].replace(" ", " ")
    wrong = (
        f"{other} {family}",
        f"{first} {other_family}",
        f"{family} {first}" if mood == "query" else f"{other} {other_family}",
    )
    others = tuple((finish(frame.format(X=text), mood), EXCHANGED) for text in chance.sample(wrong, 2))
    same_text = finish(frame.format(X=same), mood)
    anchor = finish(frame.format(X=forms[0]), mood)
    return Item("names", anchor, ((same_text, SAME), *others) if same_text != anchor else others, mood)  # type: ignore[arg-type]
