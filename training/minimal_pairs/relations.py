"""What two sentences have to do with each other by construction, and what that says of entailment and paraphrase."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal

Label = Literal["entailment", "neutral", "contradiction", "not_entailment"]
Mood = Literal["statement", "question", "command", "query"]


class Relation(Enum):
    """Of a sentence to its anchor: labels there and back, whether both say the same, and how related they are.

    Relatedness is about what people say of such pairs: in SICK's training split, on its scale brought to 0..1, that is
    0.65 for contradictions and 0.58 for neutral pairs with the same words in another order.
    """

    SAME = ("entailment", "entailment", True, 0.95)
    IMPLIED = ("entailment", "neutral", False, 0.75)  # by the anchor, which says more
    IMPLYING = ("neutral", "entailment", False, 0.75)  # the anchor, which says less
    OPPOSED = ("contradiction", "contradiction", False, 0.65)
    EXCHANGED = ("not_entailment", "not_entailment", False, 0.6)  # another event, which may be as well or not
    NEUTRAL = ("neutral", "neutral", False, None)  # may be as well
    UNRELATED = ("neutral", "neutral", False, 0.05)

    def __init__(self, there: Label, back: Label, paraphrase: bool, relatedness: float | None) -> None:
        self.there, self.back, self.paraphrase, self.relatedness = there, back, paraphrase, relatedness


@dataclass(frozen=True)
class Pair:
    """Two sentences with what is known of them; ``None`` where construction does not say."""

    first: str
    second: str
    kind: str
    entailment: Label | None
    paraphrase: bool | None
    relatedness: float | None


@dataclass(frozen=True)
class Triple:
    """An anchor that is nearer to ``rephrased`` than to ``exchanged``."""

    anchor: str
    rephrased: str
    exchanged: str
    kind: str


@dataclass(frozen=True)
class Item:
    """An anchor and sentences related to it, all of one mood.

    Questions, commands and queries do not entail one another: of them only the paraphrase is known.
    """

    kind: str
    anchor: str
    others: tuple[tuple[str, Relation], ...]
    mood: Mood = "statement"

    def pairs(self) -> Iterator[Pair]:
        """The anchor with each of the others, and each of the others with the anchor."""
        for other, relation in self.others:
            pair = Pair(self.anchor, other, self.kind, relation.there, relation.paraphrase, relation.relatedness)
            back = replace(pair, first=other, second=self.anchor, entailment=relation.back)
            for each in (pair, back):
                yield each if self.mood == "statement" else replace(each, entailment=None)

    def triples(self) -> Iterator[Triple]:
        """Each sentence that says the same, with each that does not but looks alike."""
        different = (Relation.OPPOSED, Relation.EXCHANGED)
        for same in (other for other, relation in self.others if relation is Relation.SAME):
            for exchanged in (other for other, relation in self.others if relation in different):
                yield Triple(self.anchor, same, exchanged, self.kind)
