"""Kinds of minimal pairs about how much and how many: comparatives, numbers, quantifiers, units, dates and names.

Adjectives, units, months and numbers are the same in both splits; frames and whatever has an adjective are not.
"""

from __future__ import annotations

import random
import re

from training.minimal_pairs.grammar import (
    Extras,
    Fill,
    Section,
    Way,
    contrast,
    said,
    sections_of,
    some_way,
    ways,
)
from training.minimal_pairs.harvest import listed
from training.minimal_pairs.inflection import in_words, plural, with_article
from training.minimal_pairs.kinds.roles import EXCHANGED, IMPLIED, IMPLYING, NEUTRAL, OPPOSED, SAME
from training.minimal_pairs.relations import Item, Relation
from training.minimal_pairs.words import Lexicon

# Adjectives with their comparatives and opposites: what is more of one is less of the other.
SCALES = tuple(
    (of, *line.split("/"))
    for of, lines in (
        (
            "people",
            """
            tall/taller/short/shorter|old/older/young/younger|fast/faster/slow/slower|rich/richer/poor/poorer
            strong/stronger/weak/weaker|loud/louder/quiet/quieter|happy/happier/sad/sadder|heavy/heavier/light/lighter
            kind/kinder/cruel/crueler|smart/smarter/dumb/dumber|brave/braver/cowardly/more cowardly
            polite/politer/rude/ruder|lazy/lazier/diligent/more diligent|healthy/healthier/sick/sicker
            friendly/friendlier/hostile/more hostile|clever/cleverer/stupid/more stupid|thin/thinner/fat/fatter
            patient/more patient/impatient/more impatient|honest/more honest/dishonest/more dishonest
            famous/more famous/obscure/more obscure|calm/calmer/nervous/more nervous|early/earlier/late/later
            skilled/more skilled/clumsy/clumsier|generous/more generous/stingy/stingier|neat/neater/messy/messier
            optimistic/more optimistic/pessimistic/more pessimistic|careful/more careful/careless/more careless
            """,
        ),
        (
            "things",
            """
            big/bigger/small/smaller|heavy/heavier/light/lighter|expensive/more expensive/cheap/cheaper
            wide/wider/narrow/narrower|long/longer/short/shorter|clean/cleaner/dirty/dirtier|hot/hotter/cold/colder
            large/larger/small/smaller|old/older/new/newer|hard/harder/soft/softer|thick/thicker/thin/thinner
            bright/brighter/dark/darker|sharp/sharper/blunt/blunter|strong/stronger/fragile/more fragile
            beautiful/more beautiful/ugly/uglier|useful/more useful/useless/more useless|wet/wetter/dry/drier
            simple/simpler/complicated/more complicated|good/better/bad/worse|smooth/smoother/rough/rougher
            modern/more modern/ancient/more ancient|common/more common/rare/rarer|tight/tighter/loose/looser
            full/fuller/empty/emptier|close/closer/distant/more distant|high/higher/low/lower|fast/faster/slow/slower
            """,
        ),
        (
            "places",
            """
            big/bigger/small/smaller|old/older/young/younger|rich/richer/poor/poorer|hot/hotter/cold/colder
            warm/warmer/cool/cooler|noisy/noisier/quiet/quieter|safe/safer/dangerous/more dangerous
            expensive/more expensive/cheap/cheaper|clean/cleaner/dirty/dirtier|wet/wetter/dry/drier
            crowded/more crowded/empty/emptier|beautiful/more beautiful/ugly/uglier|near/nearer/far/farther
            large/larger/small/smaller|interesting/more interesting/boring/more boring|good/better/bad/worse
            """,
        ),
    )
    for line in listed(lines)
)
WAYS = tuple(
    tuple(line.split("/"))
    for line in listed(
        """
        fast/faster/slower|quickly/more quickly/more slowly|early/earlier/later|loudly/more loudly/more quietly
        well/better/worse|often/more often/less often|carefully/more carefully/more carelessly|long/longer/shorter
        much/more/less|high/higher/lower|hard/harder/less hard|easily/more easily/less easily|far/farther/less far
        """
    )
)
MONTHS = listed("""
    January February March April May June July August September October November December
    """)
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
UNITS = (
    *(("time", "hours", "minutes", 60), ("time", "weeks", "days", 7), ("time", "minutes", "seconds", 60)),
    *(("time", "years", "months", 12), ("time", "days", "hours", 24), ("time", "decades", "years", 10)),
    *(("length", "kilometers", "meters", 1000), ("length", "meters", "centimeters", 100)),
    *(("length", "km", "m", 1000), ("length", "feet", "inches", 12), ("length", "yards", "feet", 3)),
    *(("length", "centimeters", "millimeters", 10), ("length", "cm", "mm", 10)),
    *(("weight", "kilograms", "grams", 1000), ("weight", "kg", "g", 1000), ("weight", "tons", "kilograms", 1000)),
    *(
        ("weight", "pounds", "ounces", 16),
        ("volume", "liters", "milliliters", 1000),
        ("volume", "gallons", "quarts", 4),
    ),
    *(("money", "dollars", "cents", 100), ("money", "euros", "cents", 100), ("count", "dozen eggs", "eggs", 12)),
    *(("count", "pairs of shoes", "shoes", 2), ("count", "dozen roses", "roses", 12)),
)


def comparatives(words: Lexicon, chance: random.Random) -> Item:
    """Taller than, shorter than, not as tall as."""
    each = sections_of("measures", "comparatives")
    (section,) = chance.choices(each, [_OFTEN.get(section.name, 1) for section in each])
    if section.name in ("adjective", "ask", "search"):
        return _graded(section, words, chance)
    a, b = words.listed("things", chance) if section.name == "costs" else words.agents(chance)
    how, more, less = chance.choice(WAYS)
    if chance.random() < 0.4:
        more, less = less, more
        how = {"fast": "slowly", "early": "late", "well": "badly"}.get(how, how)
    plain = [frame for frame in section.frames[words.split] if "{how}" not in frame[0] or more in _POSITIVE]
    kept = Section(section.kind, section.name, section.mood, (), {words.split: tuple(plain)})
    extras = Extras(words, chance, more=more, less=less, how=how, N=chance.choice(words.others["counted"]))
    found = ways(kept, words, chance, 2)
    meant, exchanged = Fill(extras, A=a, B=b), Fill(extras, A=b, B=a)
    return contrast("comparatives", found, meant, exchanged, OPPOSED, plain=chance.random() < 0.4)


_OFTEN = {"adjective": 8, "ask": 4, "search": 2, "having": 2, "doing": 2}
_POSITIVE = frozenset(more for _, more, _ in WAYS)


def _graded(section: Section, words: Lexicon, chance: random.Random) -> Item:
    of, adjective, more, opposite, less = chance.choice(SCALES)
    if chance.random() < 0.5:
        adjective, more, opposite, less = opposite, less, adjective, more
    a, b = words.listed("agents" if of == "people" else of, chance)
    extras = Extras(words, chance, M=more, L=less, adj=adjective, rev=opposite)
    found = ways(section, words, chance, 2)
    extra: list[tuple[str, Relation]] = []
    if section.mood == "statement" and chance.random() < 0.4:
        extra = [
            chance.choice(
                [
                    (said(f"{a} is as {adjective} as {b}"), OPPOSED),
                    (said(f"{a} is not {more} than {b}"), OPPOSED),
                    (said(f"{a} and {b} are equally {adjective}"), OPPOSED),
                    (said(f"{a} and {b} are not equally {adjective}"), IMPLIED),
                ]
            )
        ]
    meant, exchanged = Fill(extras, A=a, B=b), Fill(extras, A=b, B=a)
    wrong = OPPOSED if section.mood == "statement" else EXCHANGED
    return contrast("comparatives", found, meant, exchanged, wrong, extra, plain=chance.random() < 0.4)


def some_number(chance: random.Random) -> int:
    """Small ones, larger ones and round ones."""
    return chance.choice([chance.randint(2, 12), chance.randint(13, 99), 10 * chance.randint(10, 90)])


def _bought(way: Way) -> bool:
    """Whether what is counted cannot be people."""
    free = (
        *("there are", "there were", "counted", "saw", "mentions", "pictures", "will find", "passed", "in a row"),
        *("in the park", "seen", "are there"),
    )
    return way.mood != "statement" or not any(words in way.frame for words in free)


def numbers(words: Lexicon, chance: random.Random) -> Item:
    """Three is not four, in digits or in words; and what at least, more than and exactly say."""
    section = chance.choice(_COUNTING)
    way = some_way(section, words, chance, None)
    extras, thing = Extras(words, chance), chance.choice(words.others["counted" if _bought(way) else "met"])
    n = some_number(chance)
    high, low = n + chance.randint(1, max(2, n // 3)), n - chance.randint(1, max(1, n // 3))
    if low < 2:
        high, low = n + 3, n - 1

    def put(amount: str) -> str:
        return way.say(Fill(extras, N=f"{amount} {thing}"))

    def either(number: int) -> str:
        return in_words(number) if number < 21 and chance.random() < 0.4 else str(number)

    exact = in_words(n) if n < 21 else f"exactly {n}"
    if way.mood != "statement":
        wrong = chance.sample([either(high), either(low), f"exactly {high}", f"{n * 10}"], 2)
        return Item(
            "numbers",
            put(str(n)),
            tuple({put(exact): SAME, **dict.fromkeys(map(put, wrong), EXCHANGED)}.items()),
            way.mood,
        )
    anchors: dict[str, tuple[tuple[str, Relation], ...]] = {
        str(n): (
            *((exact, SAME), (either(high), OPPOSED), (either(low), OPPOSED), (f"at least {either(low)}", IMPLIED)),
            *((f"fewer than {n}", OPPOSED), (f"more than {either(low)}", IMPLIED), (f"more than {n}", OPPOSED)),
            *((f"at most {either(high)}", IMPLIED), (f"fewer than {high}", IMPLIED), (f"at least {high}", OPPOSED)),
        ),
        f"more than {either(n)}": (
            *((f"over {n}", SAME), (f"at least {n + 1}", SAME), (f"fewer than {either(n)}", OPPOSED)),
            *((f"more than {either(low)}", IMPLIED), (f"at most {n}", OPPOSED), (f"at least {low}", IMPLIED)),
            *((f"less than {n}", OPPOSED), (str(low), OPPOSED), (f"no more than {n}", OPPOSED)),
        ),
        f"at least {either(n)}": (
            *((f"{n} or more", SAME), (f"no fewer than {n}", SAME), (f"fewer than {either(n)}", OPPOSED)),
            *((f"at least {either(low)}", IMPLIED), (f"more than {low - 1}", IMPLIED), (f"at most {low}", OPPOSED)),
            *((f"a minimum of {n}", SAME), (str(low), OPPOSED), (f"less than {n}", OPPOSED)),
        ),
        f"at most {either(n)}": (
            *((f"no more than {n}", SAME), (f"{n} or fewer", SAME), (f"more than {either(n)}", OPPOSED)),
            *((f"fewer than {either(high + 1)}", IMPLIED), (f"at most {high}", IMPLIED), (str(high), OPPOSED)),
            *((f"up to {n}", SAME), (f"at least {high}", OPPOSED), (f"a maximum of {n}", SAME)),
        ),
        f"fewer than {either(n)}": (
            *((f"less than {n}", SAME), (f"at most {n - 1}", SAME), (f"more than {either(n)}", OPPOSED)),
            *((f"fewer than {either(high)}", IMPLIED), (f"at least {n}", OPPOSED), (f"over {n}", OPPOSED)),
            *((f"at most {high}", IMPLIED), (str(high), OPPOSED), (f"no fewer than {n}", OPPOSED)),
        ),
        f"{either(low)} to {either(high)}": (
            *((f"between {low} and {high}", SAME), (f"more than {high}", OPPOSED), (f"fewer than {low}", OPPOSED)),
            *((f"at least {low}", IMPLIED), (f"at most {high}", IMPLIED), (f"over {high}", OPPOSED)),
        ),
    }
    anchor = chance.choice(list(anchors))
    claims = (*anchors[anchor], *_stronger(anchor, n, low, high))
    same = [claim for claim in claims if claim[1] is SAME and claim[0] != anchor]
    others = [*chance.sample(same, 1), *chance.sample([claim for claim in claims if claim[1] is OPPOSED], 2)]
    others += chance.sample([claim for claim in claims if claim[1] is IMPLIED], 1)
    others += [claim for claim in claims if claim[1] is IMPLYING][: chance.randrange(3)]
    return Item("numbers", put(anchor), tuple({put(text): relation for text, relation in others}.items()))


def _stronger(anchor: str, n: int, low: int, high: int) -> tuple[tuple[str, Relation], ...]:
    """What says more than ``anchor``: of the least a higher one, of the most a lower one."""
    if anchor.startswith("more"):
        return (f"more than {high}", IMPLYING), (f"{high}", IMPLYING)
    if anchor.startswith("at least"):
        return (f"more than {high}", IMPLYING), (f"at least {high}", IMPLYING), (f"{high}", IMPLYING)
    if anchor.startswith("at most"):
        return ((f"fewer than {low}", IMPLYING), (f"at most {low}", IMPLYING), (f"{low}", IMPLYING))[low < 2 :]
    if anchor.startswith("fewer"):
        return ((f"fewer than {low}", IMPLYING), (f"{low}", IMPLYING))[low < 2 :]
    return ((f"{n}", IMPLYING),) if " to " in anchor else ()


_COUNTING = (*sections_of("measures", "counting")[:1] * 3, *sections_of("measures", "counting")[1:])


def quantifiers(words: Lexicon, chance: random.Random) -> Item:
    """All, some, most and none; with none before them the weaker ones."""
    section = sections_of("measures", "quantified")[0]
    way, extras = some_way(section, words, chance, None), Extras(words, chance)
    verb, kind = chance.choice(words.actions), chance.randrange(4)
    extras["P"] = plural(chance.choice(words.people if kind else words.things))
    extras["V"] = verb.past if kind else f"were {chance.choice(words.looks)}"
    dated = _DATED.search(way.frame) is not None
    if not dated and chance.random() < 0.5:
        now = (verb.plain, f"are {verb.progressive}", f"will {verb.plain}", f"have {verb.participle}")
        extras["V"] = chance.choice(now) if kind else f"are {chance.choice(words.looks)}"
    many = not str(extras["V"]).startswith("will") and extras["V"] != verb.past

    def put(quantifiers_: tuple[str, ...]) -> str:
        fitting = [one for one in quantifiers_ if not (many and _SINGULAR.search(one))]
        return way.say(Fill(extras, Q=chance.choice(fitting)))

    every, none, some, most, few, not_all, half, third = _QUANTIFIERS if chance.random() < 0.6 else _BARE
    table: tuple[tuple[tuple[str, ...], tuple[tuple[tuple[str, ...], Relation], ...]], ...] = (
        (every, ((every, SAME), (some, IMPLIED), (most, IMPLIED), (none, OPPOSED), (not_all, OPPOSED), (few, OPPOSED))),
        (none, ((none, SAME), (some, OPPOSED), (every, OPPOSED), (not_all, IMPLIED), (most, OPPOSED))),
        (some, ((some, SAME), (none, OPPOSED), (every, IMPLYING), (most, IMPLYING), (half, IMPLYING))),
        (most, ((most, SAME), (some, IMPLIED), (few, OPPOSED), (none, OPPOSED), (every, IMPLYING))),
        (not_all, ((not_all, SAME), (every, OPPOSED), (none, IMPLYING))),
        (half, ((half, SAME), (some, IMPLIED), (none, OPPOSED), (every, OPPOSED), (third, OPPOSED))),
    )
    quantifier, claims = chance.choice(table)
    anchor = put(quantifier)
    found: dict[str, Relation] = {}
    for other, relation in claims[:1] + tuple(chance.sample(claims[1:], min(3, len(claims) - 1))):
        found.setdefault(next((text for text in (put(other) for _ in range(6)) if text != anchor), anchor), relation)
    found.pop(anchor, None)
    return Item("quantifiers", anchor, tuple(found.items()), way.mood)


_DATED = re.compile(r"last|yesterday|evening|after|in the end")
_SINGULAR = re.compile(r"\bone of|each of")
# All, none, some, most, few, not all, half, a third: of those there are, and in general.
_QUANTIFIERS: tuple[tuple[str, ...], ...] = (
    ("all the", "all of the", "every one of the", "each of the", "one hundred percent of the"),
    ("none of the", "not one of the", "not a single one of the"),
    ("some of the", "at least one of the", "at least some of the"),
    ("most of the", "the majority of the", "more than half of the"),
    ("very few of the", "hardly any of the"),
    ("not all the", "not all of the", "not every one of the"),
    ("exactly half of the", "exactly fifty percent of the"),
    ("exactly a third of the", "exactly a quarter of the"),
)
_BARE: tuple[tuple[str, ...], ...] = (
    ("all", "one hundred percent of all"),
    ("no", "zero"),
    ("some", "at least some"),
    ("most", "the majority of", "more than half of all"),
    ("very few", "hardly any"),
    ("not all",),
    ("exactly half of all", "exactly fifty percent of all"),
    ("exactly a third of all", "exactly a quarter of all"),
)


def narrower(words: Lexicon, chance: random.Random) -> Item:
    """What is said of a red cup holds for a cup, and not the other way round."""
    look, look2 = chance.sample(list(words.looks), 2)
    thing = chance.choice(words.things)
    who, verb = words.agents(chance, 1)[0], chance.choice(words.on_things)
    what, act = (
        with_article(f"{look} {thing}"),
        chance.choice((verb.past, f"will {verb.plain}", f"has {verb.participle}")),
    )
    more = chance.choice(["", "", " " + chance.choice(words.others["where"])])
    specific, general = said(f"{who} {act} {what}{more}"), said(f"{who} {act} {with_article(thing)}{more}")
    other = said(f"{who} {act} {with_article(chance.choice([w for w in words.things if w != thing]))}{more}")
    looks = said(f"{who} {act} {with_article(f'{look2} {thing}')}{more}")
    others = [(general, IMPLIED), (other, NEUTRAL), (looks, EXCHANGED)]
    if act == verb.past:
        others.append((said(f"{what} was {verb.participle} by {who}{more}"), SAME))
        others.append((said(f"{who} did not {verb.plain} {with_article(thing)}{more}"), OPPOSED))
    if more and chance.random() < 0.5:
        others.append((said(f"{who} {act} {what}"), IMPLIED))
    return Item("narrower", specific, tuple(others))


def units(words: Lexicon, chance: random.Random) -> Item:
    """An amount in another unit is the same amount; dev has other frames and other amounts, of the same units."""
    of, large, small, factor = chance.choice(UNITS)
    section = next(found for found in sections_of("measures", "amounts") if found.name == of)
    amounts = [n for n in range(2, 31) if (n % 5 == 3) == (words.split == "dev")]
    n, wrong = chance.sample(amounts[:6] if chance.random() < 0.7 else amounts, 2)
    way, extras = some_way(section, words, chance, None), Extras(words, chance)

    def put(number: int, unit: str) -> str:
        times = 1 if unit == large else factor
        value = in_words(number) if unit == large and chance.random() < 0.4 else f"{number * times:,}"
        return way.say(Fill(extras, X=f"{value} {unit}"))

    unit, unit2 = (large, small) if chance.random() < 0.5 else (small, large)
    others = {put(n, unit2): SAME, put(wrong, unit2): OPPOSED, put(wrong, unit): OPPOSED}
    return Item("units", put(n, unit), tuple(others.items()))


def dates(words: Lexicon, chance: random.Random) -> Item:
    """Days, months and hours of what happens once."""
    section = chance.choice(sections_of("measures", "once")[:1] * 2 + sections_of("measures", "once"))
    way, extras = some_way(section, words, chance, None), Extras(words, chance)
    meant, *others = chance.choice((_days, _hours, _clock))(chance)
    anchor, same = chance.sample(meant, 2)
    relation = OPPOSED if way.mood == "statement" else EXCHANGED
    wrong = [chance.choice(forms) for forms in others]
    put = {when: way.say(Fill(extras, X=when)) for when in (anchor, same, *wrong)}
    return Item(
        "dates",
        put[anchor],
        ((put[same], SAME), *((put[when], relation) for when in dict.fromkeys(chance.sample(wrong, 2)))),
        way.mood,
    )


def _days(chance: random.Random) -> list[tuple[str, ...]]:
    def forms(day: int, month: int, year: int) -> tuple[str, ...]:
        name = MONTHS[month]
        return (f"on {name} {day}, {year}", f"on {day} {name} {year}", f"on the {_nth(day)} of {name} {year}")

    month, other = chance.sample(range(12), 2)
    day, year = chance.randint(1, 28), chance.randint(1950, 2035)
    return [
        forms(day, month, year),
        forms(day, other, year),
        forms(day % 28 + 1, month, year),
        forms(day, month, year + 1),
    ]


def _nth(day: int) -> str:
    return f"{day}{'th' if 10 < day < 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')}"


def _hours(chance: random.Random) -> list[tuple[str, ...]]:
    def forms(day: str, hour: int) -> tuple[str, ...]:
        half = "pm" if hour > 11 else "am"
        return (
            f"on {day} at {hour % 12 or 12} {half}",
            f"on {day} at {hour}:00",
            f"at {hour % 12 or 12} {half} on {day}",
        )

    day, other = chance.sample(DAYS, 2)
    hour = chance.choice([*range(1, 12), *range(13, 24)])
    return [
        forms(day, hour),
        forms(other, hour),
        forms(day, (hour + 12) % 24),
        forms(day, hour - 1 if hour > 13 else hour + 1),
    ]


def _clock(chance: random.Random) -> list[tuple[str, ...]]:
    def forms(hour: int, minute: int) -> tuple[str, ...]:
        spoken = {15: f"quarter past {in_words(hour)}", 30: f"half past {in_words(hour)}"}
        spoken[45] = f"quarter to {in_words(hour % 12 + 1)}"
        return f"at {hour}:{minute}", f"at {spoken[minute]}"

    hour, minute = chance.randint(1, 11), chance.choice([15, 30, 45])
    other = chance.choice([each for each in (15, 30, 45) if each != minute])
    return [forms(hour, minute), forms(hour, other), forms(hour % 11 + 1, minute)]


def names(words: Lexicon, chance: random.Random) -> Item:
    """Another name is somebody else."""
    first, other = chance.sample(words.names, 2)
    family, other_family = chance.sample(words.surnames, 2)
    section = chance.choice(sections_of("measures", "called"))
    way, extras = some_way(section, words, chance, None), Extras(words, chance)

    def put(first: str, family: str, title: str = "") -> str:
        return way.say(Fill(extras, X=f"{title}{first} {family}"))

    title = chance.choice(["Dr. ", "Professor ", "Doctor ", "President ", "Judge "])
    wrong = {put(other, family): EXCHANGED, put(first, other_family): EXCHANGED}
    known = put(first, family, title)
    initial = put(first, f"{chance.choice('ABCDEFGHJKLMNPRST')}. {family}")
    others = ((chance.choice([known, initial]), SAME), *wrong.items())
    return Item("names", put(first, family), others, way.mood)
