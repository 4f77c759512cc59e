"""Words listed by hand, and words that a text has: by frequent, simple patterns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from training.minimal_pairs.inflection import Verb

WORDS = Path(__file__).parent / "lists" / "words.txt"
LEAST = 4  # times that a harvested word must have been seen


def listed(text: str) -> tuple[str, ...]:
    """The words of ``text``, between bars where there are any, else between spaces."""
    words = re.split(r"[|\n]", text) if "|" in text else text.split()
    return tuple(word.strip() for word in words if word.strip())


@cache
def word_lists() -> dict[str, tuple[str, ...]]:
    """Words by class, each once, in the order of ``lists/words.txt``."""
    lists: dict[str, list[str]] = {}
    for line in WORDS.read_text().splitlines():
        if line.startswith("["):
            found = lists.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            found += [word.strip() for word in line.split(",") if word.strip()]
    return {name: tuple(dict.fromkeys(words)) for name, words in lists.items()}


# Acts of people in captions: what does one of these is somebody.
ACTS = (
    "standing|walking|sitting|smiling|wearing|running|talking|looking|laughing|dancing|reading|cooking|waiting|sleeping"
)
HANDLED = (
    "holding|carrying|wearing|using|pushing|throwing|pulling|catching|kicking|riding|cutting|washing|painting|fixing"
)
_AGENT = re.compile(rf"^(?:An?|The) (?:(?:young|old|little|small|tall) )?([a-z]{{3,12}}) is (?:{ACTS})\b", re.MULTILINE)
_THING = re.compile(
    rf"\b(?:{HANDLED}) (?:an?|the|his|her) (?:[a-z]{{3,10}} )?([a-z]{{3,12}})(?=[.,]| (?:in|on|at|while|and|near)\b)"
)

NOT_PEOPLE = frozenset(
    listed("""
    women men female male other adult individual foreground author animal suit vest tie people group team crowd one
    some others band couple family sun water ball car train snow bus
    """)
)
NOT_THINGS = frozenset(
    listed("""
    daughter son scene ride outside drink object wave nose hair front large small other young little very same red
    blue green white black big long air water down top side back beautiful old something someone people each next
    new game time ground street way picture
    """)
)


# Who says or does something is somebody (or an office, which does as well); where something is, is a place.
_NAME = re.compile(r"\b([A-Z][a-z]{2,12}) (?:said|told|asked|married|died|wrote|thinks|wants|knows|went|lived|says)\b")
_PLACE = re.compile(r"\bin ([A-Z][a-z]{3,12})(?=[.,]| and\b| with\b|$)", re.MULTILINE)
_SUBJECT = re.compile(r"\b[Tt]he ([a-z]{4,12}) (?:is|was|has)\b")
_PASSIVE = re.compile(r"\b(?:was|were|been) ([a-z]{3,14}ed) by\b")
_INFINITIVE = re.compile(r"\bto ([a-z]{3,12})\b")
NOT_NAMES = frozenset(
    listed("""
    He She They That This What Who Which There One Everyone Someone Nobody Everybody Somebody The You And But When Then
    Each Both Some Many Most All Others Anyone Nothing Something Everything God Sir Lord Mother Father Mom Dad Officials
    Police People Men Women Students Scientists Experts Critics Authorities Lawyers How Why Where Not Just Also Men
    January February March April May June July August September October November December Monday Tuesday Wednesday
    Thursday Friday Saturday Sunday English French German Spanish Latin Chinese Russian Greek Part Chapter Section
    """)
)
# What one does to the other is done to the one as well.
SYMMETRIC = frozenset(listed("accompany match equal marry join resemble face encounter divorce"))
NOT_NOUNS = frozenset(
    listed("""
    first second third last latter former same other only rest following next best worst most least fact reason result
    idea problem question answer truth point thing issue difference such more less above below dead poor rich young old
    whole majority number rate time year month week days case others purpose goal main aim plot name title total amount
    """)
)


@dataclass(frozen=True)
class Found:
    """Words of a text, by what they seem to be."""

    people: Sequence[str]
    things: Sequence[str]
    names: Sequence[str]
    places: Sequence[str]
    nouns: Sequence[str]  # of any kind, with an article
    verbs: Sequence[str]  # that have a passive


def harvest(texts: Sequence[str]) -> Found:
    """The frequent words of ``texts`` that some patterns find."""
    text = "\n".join(texts)
    patterns = (_AGENT, _THING, _NAME, _PLACE, _SUBJECT, _PASSIVE, _INFINITIVE)
    found = {pattern: Counter[str](pattern.findall(text)) for pattern in patterns}
    agents, lists = found[_AGENT], word_lists()
    # A thing is what is never seen to act; plurals and words of more than one kind are left out.
    people = (noun for noun in _often(agents, LEAST) if not noun.endswith(("s", "ing", "ed")))
    things = (noun for noun in _often(found[_THING], 2 * LEAST) if noun not in agents)
    not_things = {*NOT_THINGS, *lists["looks"], *lists["animals"]}
    names = [name for name in _often(found[_NAME], LEAST) if name not in NOT_NAMES]
    return Found(
        people=[noun for noun in people if noun not in {*lists["things"], *lists["animals"], *NOT_PEOPLE}],
        things=[noun for noun in things if not noun.endswith(("s", "ing", "ed", "ly")) and noun not in not_things],
        names=names,
        places=[name for name in _often(found[_PLACE], LEAST) if name not in {*NOT_NAMES, *names}],
        nouns=[
            noun
            for noun in _often(found[_SUBJECT], 2 * LEAST)
            if noun not in NOT_NOUNS and not noun.endswith(("s", "ing", "ed", "ly", "ern", "est", "men", "people"))
        ],
        verbs=_bases(_often(found[_PASSIVE], LEAST), found[_INFINITIVE]),
    )


def _often(counts: Counter[str], least: int) -> list[str]:
    return [word for word, times in counts.items() if times >= least]


def _bases(participles: Iterable[str], infinitives: Counter[str]) -> list[str]:
    """Of each regular participle the base that is seen after "to" and has it as its past."""
    bases = []
    for word in participles:
        stems = (word[:-1], word[:-2], word[:-3], f"{word[:-3]}y")
        fitting = [stem for stem in stems if infinitives[stem] >= LEAST and Verb(stem).past == word]
        bases += fitting[:1]
    return [base for base in dict.fromkeys(bases) if base not in SYMMETRIC]
