"""What every side does, as far as it can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from loadtest.compare.side import Score, Side
from loadtest.compare.texts import Corpus

Kind = Literal[
    "tokens to embedding",
    "any length",
    "text to state",
    "text to embedding",
    "similarity",
    "relatedness",
    "entailment",
]
Shape = Literal["separate", "1-100"]
Ready = Callable[[], object]

WORDS = {"short": 14, "medium": 60, "long": 400}
ANY_LENGTH_TOKENS = 65_536  # in all, so that every length has the same number of tokens to read
LENGTHS = (16, 256, 4096, 65_536)


@dataclass(frozen=True)
class Workload:
    """``count`` texts or pairs of ``words`` words each (for ``encoder`` kinds: tokens) in one call."""

    kind: Kind
    count: int
    words: int
    shape: Shape = "separate"
    whole: bool = False  # a bar rests on it: no side gets a smaller batch

    @property
    def name(self) -> str:
        """As in ``similarity, 256 x 14``."""
        return f"{self.kind}, {self.shape if self.shape != 'separate' else self.count} x {self.words}"

    @property
    def tokens(self) -> bool:
        """Whether the lengths are in tokens, not in words."""
        return self.kind in ("tokens to embedding", "any length")

    def fits(self, side: Side) -> bool:
        """Whether ``side`` can do it."""
        if self.kind == "any length":
            return side.any_length
        able = {
            "tokens to embedding": side.encoder,
            "text to state": side.state,
            "text to embedding": side.embed,
            **pair_scores(side),
        }
        return able[self.kind] is not None

    def ready(self, side: Side, corpus: Corpus, count: int) -> Ready:
        """A call that does ``count`` of it."""
        if self.tokens:
            assert side.encoder is not None
            return side.encoder(corpus.texts(count, self.words), self.words)
        if self.kind in (scores := pair_scores(side)):
            score = scores[self.kind]
            assert score is not None
            pairs = corpus.one_to_many if self.shape == "1-100" else corpus.pairs
            return partial(score, pairs(count, self.words))
        embed = side.state if self.kind == "text to state" else side.embed
        assert embed is not None
        return partial(embed, corpus.texts(count, self.words))


def pair_scores(side: Side) -> dict[Kind, Score | None]:
    """What ``side`` makes of pairs, by the kind of the workload."""
    return {"similarity": side.similarity, "relatedness": side.relatedness, "entailment": side.entailment}


ENCODER = Workload("tokens to embedding", 256, 64, whole=True)
STATE, EMBEDDING = (Workload(kind, 256, WORDS["short"]) for kind in ("text to state", "text to embedding"))
SIMILARITY, RELATEDNESS, ENTAILMENT = (
    Workload(kind, 256, WORDS["short"], whole=True) for kind in ("similarity", "relatedness", "entailment")
)
ONE_SIMILARITY, ONE_ENTAILMENT = (Workload(kind, 1, WORDS["short"]) for kind in ("similarity", "entailment"))
ANY_LENGTH = tuple(Workload("any length", ANY_LENGTH_TOKENS // tokens, tokens) for tokens in LENGTHS)


def _scoring(kind: Kind, batch: Workload, one: Workload) -> list[Workload]:
    short = WORDS["short"]
    longer = [Workload(kind, count, WORDS[length]) for length in ("medium", "long") for count in (1, 256)]
    return [one, Workload(kind, 100, short, "1-100"), Workload(kind, 32, short), batch, *longer]


WORKLOADS = (
    ENCODER,
    *ANY_LENGTH,
    STATE,
    *(Workload("text to embedding", count, words) for words in WORDS.values() for count in (1, 32, 256)),
    *_scoring("similarity", SIMILARITY, ONE_SIMILARITY),
    RELATEDNESS,
    *_scoring("entailment", ENTAILMENT, ONE_ENTAILMENT),
)
QUICK = (ENCODER, *ANY_LENGTH, STATE, EMBEDDING, ONE_SIMILARITY, SIMILARITY, RELATEDNESS, ONE_ENTAILMENT, ENTAILMENT)


def by_name(name: str) -> Workload:
    """The workload called ``name``."""
    return next(workload for workload in WORKLOADS if workload.name == name)
