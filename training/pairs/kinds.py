"""The kinds of mined pairs: how many of each, and how far from a sentence its partner may stand."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import NamedTuple

from training.options import Count, Natural

USUAL = "; as many as one look at each sentence brings unless given"


class Nearest(NamedTuple):
    """For each query, ``taken`` random ones of its ``among`` nearest sentences.

    The more sentences of one kind there are, the further a near one may stand without being about something else.
    """

    among: int
    taken: int

    def taking(self, taken: int) -> Nearest:
        """Another number of them, from as much further away where there are more."""
        return Nearest(max(self.among, self.among * taken // self.taken), taken)


NEAR_CAPTIONS = Nearest(among=40, taken=4)
NEAR_PREMISES = Nearest(among=5, taken=1)
NEAR_QUESTIONS = Nearest(among=6, taken=1)
NEAR_RUNNING_TEXT = Nearest(among=2, taken=1)
NEAR_SCORED = Nearest(among=20, taken=4)


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How many pairs of each kind to mine at most; for a larger number, more partners of each sentence are taken."""

    exchanged: Count = field(
        default=None, metadata={"help": "NLI pairs with premise and hypothesis exchanged; all unless given"}
    )
    captions: Count = field(default=None, metadata={"help": "two captions of an image; one pair of each unless given"})
    caption_hypotheses: Count = field(
        default=None, metadata={"help": "hypotheses about captions, under near captions" + USUAL}
    )
    other_hypotheses: Count = field(default=None, metadata={"help": "other hypotheses, under near premises" + USUAL})
    near_questions: Count = field(default=None, metadata={"help": "questions near each other" + USUAL})
    running_text: Count = field(default=None, metadata={"help": "sentences of running text near each other" + USUAL})
    edits: Count = field(default=None, metadata={"help": "sentences with one edit of each; 100,000 unless given"})
    near_captions: Natural = field(default=0, metadata={"help": "captions near each other"})
    near_premises: Natural = field(default=0, metadata={"help": "premises near each other"})
    near_hypotheses: Natural = field(default=0, metadata={"help": "hypotheses near each other"})
    scored_sentences: Count = field(
        default=None, metadata={"help": "sentences of scored pairs near each other, besides --mined" + USUAL}
    )
    pool: int = field(default=40_000, metadata={"help": "sentences of a kind that are searched for near ones"})
    plain: Natural = field(
        default=120_000, metadata={"help": "sentences of running text: a third asks, two thirds are searched"}
    )

    @staticmethod
    def names() -> tuple[str, ...]:
        """Of the options."""
        return tuple(known.name for known in fields(Counts))
