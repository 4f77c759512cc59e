"""Words to build sentences of: lists, what a data folder's training text adds, and their split by hash.

Lists (``lists/words.txt``) are by hand where construction depends on them (who can chase whom).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Literal, TypeVar

from training.data.files import plain_sentences
from training.data.sentences import task_sentences
from training.minimal_pairs.harvest import harvest, word_lists
from training.minimal_pairs.inflection import Verb, with_article

Split = Literal["train", "dev"]
T = TypeVar("T")


DEV_SHARE = 0.2  # of words and of frames
RUNNING_TEXT = 150_000  # sentences of running text among those to edit

OTHERS = (
    *("spots", "vehicles", "groups", "foods", "pastimes", "languages", "formats", "money", "measures", "software"),
    *("acts on things", "modifiers", "titles", "companies", "countries", "teams", "colors"),
    *("happenings", "looks", "traits", "beasts", "moments", "later", "where", "counted", "met", "alike"),
)

ACTS_OF = ("animal acts", "vehicle acts", "group acts", "country acts", "team acts")


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
    """Words of one split; ``others`` holds those of the lists that have no field of their own."""

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
    others: Mapping[str, Sequence[str]]
    verbs: Mapping[str, Sequence[Verb]]  # of animals, vehicles, groups and others, and all that have a passive
    sentences: Sequence[str]
    matching: dict[str, list[str]] = field(default_factory=dict, compare=False, repr=False)  # sentences by pattern

    @classmethod
    def of(cls, split: Split, sentences: Iterable[str] = ()) -> Lexicon:
        """The listed words of ``split``, and what ``sentences`` add; of these a share is kept, to be edited."""
        texts = of_split(sentences, split)
        found = harvest(texts)
        lists = word_lists()

        def words(name: str, more: Iterable[str] = ()) -> list[str]:
            return of_split([*lists[name], *more], split)

        seen = _alike_in_training() if split == "dev" else frozenset[str]()

        def verbs(name: str, more: Iterable[str] = ()) -> list[Verb]:
            return [Verb.of(word) for word in words(name, more) if word not in seen]

        return cls(
            split=split,
            names=words("names", found.names),
            surnames=words("surnames"),
            places=words("places", found.places),
            animals=words("animals"),
            looks=words("looks"),
            people=words("people", found.people),
            things=words("things", found.things),
            between=[verb for verb in verbs("between") if split == "train" or verb.plain not in _alike_in_training()],
            on_things=[
                verb for verb in verbs("on things") if split == "train" or verb.plain not in _alike_in_training()
            ],
            actions=verbs("actions"),
            others={name: words(name) for name in OTHERS} | {"nouns": words("things", found.nouns)},
            verbs={name: verbs(name) for name in ACTS_OF} | {"passivised": verbs("between", found.verbs)},
            sentences=texts,
        )

    @classmethod
    def harvest(cls, data: Path, split: Split) -> Lexicon:
        """The lexicon of ``split`` with words from the training text below ``data``; its dev files are not read."""
        known = sorted({*task_sentences(data), *islice(plain_sentences(data), RUNNING_TEXT)})
        return cls.of(split, known)

    def agents(self, chance: random.Random, count: int = 2) -> list[str]:
        """``count`` different people (or animals) as subjects: all by name, or all with an article."""
        kind = chance.random()
        if kind < 0.4:
            return chance.sample(self.names, count)
        nouns = self.animals if kind > 0.88 and len(self.animals) >= count else self.people
        found = chance.sample(nouns, count)
        if kind < 0.5:
            traits = chance.sample(self.others["beasts" if nouns is self.animals else "traits"], count)
            return [f"the {trait} {noun}" for trait, noun in zip(traits, found, strict=True)]
        return [f"the {noun}" for noun in found]

    def listed(self, name: str, chance: random.Random, count: int = 2) -> list[str]:
        """``count`` different words of the class ``name``, as they stand in a sentence."""
        if name == "agents":
            return self.agents(chance, count)
        if name == "names":
            return chance.sample(self.names, count)
        if name == "things":
            return [f"the {noun}" for noun in chance.sample(self.things, count)]
        if name == "bare":
            return chance.sample([*self.people, *self.animals] if chance.random() < 0.2 else self.people, count)
        if name in ("clauses", "pastclauses"):
            acts = chance.sample(self.actions, count)
            past = name == "pastclauses"
            return [
                f"{who} {act.past if past else act.present}"
                for who, act in zip(self.agents(chance, count), acts, strict=True)
            ]
        return chance.sample(self.places if name == "places" else self.others[name], count)

    def an(self, chance: random.Random) -> str:
        """A thing, with its article."""
        return with_article(chance.choice(self.things))


@cache
def _alike_in_training() -> frozenset[str]:
    """Verbs that training has beside others of their meaning."""
    groups = of_split((*word_lists()["alike"], *word_lists()["acts on things"]), "train")
    return frozenset(verb for group in groups for verb in group.split("/"))
