"""Words to build sentences of: seed lists, what a data folder's training text adds, and their split by hash.

Lists in the code are small on purpose where construction depends on them (who can chase whom); names, people, animals,
things and adjectives grow from captions and NLI premises by frequent, simple patterns.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal, TypeVar

from training.data.files import task_sentences
from training.minimal_pairs.inflection import Verb

Split = Literal["train", "dev"]
T = TypeVar("T")


def listed(text: str) -> tuple[str, ...]:
    """The words of ``text``, between bars where there are any, else between spaces."""
    words = re.split(r"[|\n]", text) if "|" in text else text.split()
    return tuple(word.strip() for word in words if word.strip())


DEV_SHARE = 0.2  # of words and of frames
LEAST = 4  # times that a harvested word must have been seen

NAMES = listed("""
    Ann Ben Carla David Emma Frank Grace Henry Ines Jack Karen Leo Maria Nick Olga Paul Rosa Sam Tina Victor Wendy
    Alice Bob Charlie Diana Eric Fatima George Hannah Ivan Julia Kevin Laura Mark Nora Oscar Peter Quinn Rachel
    Steve Tom Ursula Vera Will Yara Zoe Ahmed Bianca Carlos Daisy Elena Felix Gina Hugo Irene James Kate Luis Mia
    Noah Olivia Pedro Ruth Sara Theo Amir Bruno Clara Dan Eva Finn Gloria Hana Isaac Joan Kofi Lena Max Nina Omar
    Priya Ravi Sofia Tariq Uma
    """)
SURNAMES = listed("""
    Smith Jones Brown Garcia Miller Davis Wilson Moore Taylor Lee Walker Hall Young King Wright Hill Green Baker
    """)
PLACES = listed("""
    London Paris Rome Berlin Madrid Vienna Prague Athens Dublin Lisbon Oslo Warsaw Boston Chicago Denver Seattle
    Miami Dallas Toronto Sydney Tokyo Delhi Cairo Nairobi Lima Bogota Munich Hamburg Milan Naples Lyon Geneva Zurich
    Brussels Amsterdam Stockholm Helsinki Budapest Istanbul Moscow Kyiv Beijing Shanghai Seoul Bangkok Singapore
    Mumbai Karachi Houston Phoenix Atlanta Detroit Montreal Vancouver Porto Valencia Krakow Glasgow Leeds Bristol
    York Oxford
    """)
PEOPLE = listed("""
    man|woman|boy|girl|doctor|teacher|lawyer|farmer|singer|nurse|judge|soldier|student|artist|chef|driver|manager|tourist
    guard|pilot|clerk|banker|writer|painter|player|coach|mayor|waiter|reporter|scientist|actor|dancer|cyclist|runner
    child|lady|father|mother|brother|sister|neighbor|client|engineer|professor|captain|swimmer|plumber|baker|sailor
    """)
ANIMALS = listed("""
    dog cat horse cow goat sheep pig monkey bear fox rabbit duck elephant lion tiger wolf donkey puppy kitten
    """)
THINGS = listed("""
    ball|book|car|bike|cup|table|chair|box|bag|hat|coat|shirt|phone|lamp|guitar|camera|boat|truck|bottle|plate|knife|key
    letter|picture|ticket|watch|ring|bowl|basket|pen|blanket|umbrella|kite|ladder|bench|door|window|rope|helmet|jacket
    """)
COLORS = listed("""
    red blue green yellow black white brown purple orange pink gray golden
    """)
SIZES = listed("""
    big small old new heavy light long short wide narrow wooden plastic clean dirty expensive cheap
    """)
VERBS_BETWEEN_PEOPLE = listed("""
    praise|criticize|thank|blame|follow|help|call|visit|invite|love|hate|trust|admire|ignore|push|hug|kiss|greet|defeat
    beat|hire|fire|teach|warn|accuse|arrest|attack|rescue|save|protect|defend|hurt|insult|interview|interrupt|forgive
    pay|promote|replace|catch|tease|train|treat|marry|miss|notice|recognize|remember|respect|support|welcome|hear|see
    find|meet|photograph|paint|lift|carry|chase|bite|kick|shoot|stop|guide|lead|question|sue|threaten|watch|fool|cheat
    overtake|hide|hit|tickle|mention|describe|advise|betray|comfort|embarrass|encourage|frighten|lecture|mock|punish
    """)
VERBS_ON_THINGS = listed("""
    carry|hold|throw|buy|sell|wash|paint|break|repair|clean|steal|hide|find|lose|move|open|close|lift|drop|kick|draw
    build|burn|collect|deliver|inspect|order|pack|push|pull|rent|return|take|use|wear|photograph|borrow|catch|polish
    """)
ACTIONS = listed("""
    sleep|leave|arrive|laugh|cry|dance|sing|swim|run|work|cook|smile|wait|speak|study|shout|jump|eat|rest|pray|resign
    sneeze|complain|apologize|vote|win|move|travel|exercise|practice|graduate|retire|knock|whisper|yawn|cough|drive
    """)
MOMENTS = listed("""
    yesterday|last week|on Monday|this morning|in May|last night|at noon|on Sunday|in 2019|after lunch
    """)
WHERE = listed("in the park|at the station|on the beach|in the kitchen|near the lake|at school|in the street|at work")

# Acts of people in captions: what does one of these is somebody.
ACTS = (
    "standing|walking|sitting|smiling|wearing|running|talking|looking|laughing|dancing|reading|cooking|waiting|sleeping"
)
HANDLED = (
    "holding|carrying|wearing|using|pushing|throwing|pulling|catching|kicking|riding|cutting|washing|painting|fixing"
)
_AGENT = re.compile(rf"^(?:An?|The) (?:(?:young|old|little|small|tall) )?([a-z]{{3,12}}) is (?:{ACTS})\b")
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


def in_split(word: str, split: Split) -> bool:
    """Whether ``word`` (or a frame) is one of ``split``: by its hash alone, whatever else there is."""
    share = int.from_bytes(sha256(word.encode()).digest()[:4], "big") / 2**32
    return (share < DEV_SHARE) == (split == "dev")


def of_split(words: Iterable[T], split: Split) -> list[T]:
    """Those of ``words`` that are in ``split``, each once, in order."""
    return [word for word in dict.fromkeys(words) if in_split(str(word), split)]


def frames_of(frames: Sequence[T], split: Split) -> list[T]:
    """Those of ``frames`` that are in ``split``: every fourth one, from the first on, is for dev."""
    return [frame for place, frame in enumerate(frames) if (place % 4 == 0) == (split == "dev")]


@dataclass(frozen=True)
class Lexicon:
    """Words of one split."""

    split: Split
    names: Sequence[str]
    surnames: Sequence[str]
    places: Sequence[str]
    people: Sequence[str]
    animals: Sequence[str]
    things: Sequence[str]
    looks: Sequence[str]
    between: Sequence[Verb]
    on_things: Sequence[Verb]
    actions: Sequence[Verb]
    sentences: Sequence[str]

    @classmethod
    def of(cls, split: Split, sentences: Iterable[str] = ()) -> Lexicon:
        """The seed words of ``split``, and what ``sentences`` add; of these a share is kept, to be edited."""
        texts = of_split(sentences, split)
        people, things = _harvest(texts)

        def words(seed: Iterable[str], more: Iterable[str] = ()) -> list[str]:
            return of_split((word.strip() for word in [*seed, *more] if word.strip()), split)

        def verbs(seed: Iterable[str]) -> list[Verb]:
            return [Verb.of(word) for word in words(seed)]

        return cls(
            split=split,
            names=words(NAMES),
            surnames=words(SURNAMES),
            places=words(PLACES),
            people=words(PEOPLE, people),
            animals=words(ANIMALS),
            things=words(THINGS, things),
            looks=words([*COLORS, *SIZES]),
            between=verbs(VERBS_BETWEEN_PEOPLE),
            on_things=verbs(VERBS_ON_THINGS),
            actions=verbs(ACTIONS),
            sentences=texts,
        )

    @classmethod
    def harvest(cls, data: Path, split: Split) -> Lexicon:
        """The lexicon of ``split`` with words from the training text below ``data``; its dev files are not read."""
        return cls.of(split, sorted(set(task_sentences(data))))

    def agents(self, chance: random.Random, count: int = 2) -> list[str]:
        """``count`` different people (or animals) as subjects: all by name, or all with an article."""
        kind = chance.random()
        if kind < 0.45:
            return chance.sample(self.names, count)
        nouns = self.animals if kind > 0.9 and len(self.animals) >= count else self.people
        return [f"the {noun}" for noun in chance.sample(nouns, count)]


def _harvest(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """Nouns that people (or other agents) and things go by in ``texts``, the frequent ones, by simple patterns."""
    agents, things = Counter[str](), Counter[str]()
    for text in texts:
        agents.update(_AGENT.findall(text))
        things.update(_THING.findall(text))
    # A thing is what is never seen to act; plurals and words of more than one kind are left out.
    known = [noun for noun, times in agents.items() if times >= LEAST and not noun.endswith(("s", "ing", "ed"))]
    unmoved = (noun for noun, times in things.items() if times >= 2 * LEAST and noun not in agents)
    return [noun for noun in known if noun not in (*THINGS, *ANIMALS, *NOT_PEOPLE)], [
        noun
        for noun in unmoved
        if not noun.endswith(("s", "ing", "ed", "ly")) and noun not in (*NOT_THINGS, *COLORS, *ANIMALS)
    ]
