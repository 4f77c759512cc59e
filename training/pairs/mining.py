"""Unlabelled pairs for the pair teacher to judge: found by nearness, by neighbourhood and by edits."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from math import ceil
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from training.data.files import read_lines, split_files
from training.data.labelled import LabelledPairs, TextPair, read_labelled, read_split
from training.data.labels import Gold
from training.pairs.edits import edited_pairs
from training.pairs.kinds import (
    NEAR_CAPTIONS,
    NEAR_PREMISES,
    NEAR_QUESTIONS,
    NEAR_RUNNING_TEXT,
    NEAR_SCORED,
    Counts,
    Nearest,
)
from training.pairs.neighbours import Neighbours, normal

T = TypeVar("T")

CAPTION_NLI = ("snli", "counterfactual", "sick")  # NLI data written about captions of images
EDITED = 100_000  # sentences edited where no number is given


@dataclass(frozen=True)
class Mine:
    """Where pairs come from: a data folder, sentences with their neighbours and a source of randomness."""

    data: Path
    neighbours: Neighbours
    chance: random.Random
    counts: Counts = field(default_factory=Counts)

    def nli(self, accept: Callable[[str], bool]) -> LabelledPairs:
        """The NLI training pairs of the folders that ``accept`` takes."""
        paths = [path for path in split_files(self.data, "train", ("nli",)) if accept(path.parent.name)]
        return LabelledPairs.joined([LabelledPairs.of([]), *(read_labelled(path, "entailment") for path in paths)])

    def side(self, side: int, accept: Callable[[str], bool]) -> list[str]:
        """The premises (0) or hypotheses (1) of those pairs."""
        return [pair[side] for pair in self.nli(accept).texts]

    def texts(self, task: Gold) -> list[str]:
        """Both texts of every training pair for ``task``."""
        files = read_split(self.data, "train", task).values()
        return [text for pairs in files for pair in pairs.texts for text in pair]

    def images(self) -> list[list[str]]:
        """Captions of each image that has several."""
        paths = sorted((self.data / "text").glob("*captions*.tsv.gz"))
        images = ([normal(text) for text in line.split("\t")] for path in paths for _, line in read_lines(path))
        return [captions for captions in images if len(captions) > 1]

    def some(self, values: Sequence[T], count: int | None) -> Sequence[T]:
        """``count`` of ``values`` at random, or all where there is no such number or are not so many."""
        return values if count is None else self.chance.sample(values, min(count, len(values)))

    def near(
        self, queries: Sequence[str], pool: Sequence[str], nearest: Nearest, count: int | None = None
    ) -> list[TextPair]:
        """Each of ``queries`` second, with those of ``pool`` that ``nearest`` takes first; ``count`` pairs at most."""
        queries, pool = self.neighbours.known(queries), self.neighbours.known(pool)
        if not queries or not pool or count == 0:
            return []
        pool = self.chance.sample(pool, min(self.counts.pool, len(pool)))
        if count is not None:
            queries = self.some(queries, count)
            nearest = nearest.taking(ceil(count / len(queries)))
        found = self.neighbours.nearest(queries, pool, nearest.among)
        pairs = [
            (text, query)
            for query, texts in zip(queries, found, strict=True)
            for text in self.chance.sample(texts, min(nearest.taken, len(texts)))
        ]
        return pairs[:count]

    def exchanged(self) -> list[TextPair]:
        """NLI pairs with premise and hypothesis exchanged."""
        return [*self.some([(right, left) for left, right in self.nli(anywhere).texts], self.counts.exchanged)]

    def captions(self) -> list[TextPair]:
        """Two captions of one image."""
        images, count = self.images(), self.counts.captions
        if count is None or not images:
            return [(first, second) for texts in images for first, second in [self.chance.sample(texts, 2)]]
        each = ceil(count / len(images))
        pairs = [pair for texts in images for pair in self.some([*permutations(texts, 2)], each)]
        return [*self.some(pairs, count)]

    def caption_hypotheses(self) -> list[TextPair]:
        """Hypotheses written about captions, under captions of other images."""
        hypotheses = self.side(1, lambda name: name in CAPTION_NLI)
        captions = [text for texts in self.images() for text in texts]
        return self.near(hypotheses, captions, NEAR_CAPTIONS, self.counts.caption_hypotheses)

    def other_hypotheses(self) -> list[TextPair]:
        """The other hypotheses, under near premises."""
        premises, hypotheses = (self.side(side, lambda name: name not in CAPTION_NLI) for side in (0, 1))
        return self.near(hypotheses, premises, NEAR_PREMISES, self.counts.other_hypotheses)

    def near_questions(self) -> list[TextPair]:
        """Questions that are near each other."""
        texts = self.texts("paraphrase")
        return self.near(texts, texts, NEAR_QUESTIONS, self.counts.near_questions)

    def running_text(self) -> list[TextPair]:
        """Sentences of running text that are near each other."""
        # The sentences end with running text.
        plain = list(self.neighbours.rows)[-self.counts.plain :] if self.counts.plain else []
        third = len(plain) // 3
        return self.near(plain[:third], plain[third:], NEAR_RUNNING_TEXT, self.counts.running_text)

    def edits(self) -> list[TextPair]:
        """Sentences with one edit of each."""
        count = EDITED if self.counts.edits is None else self.counts.edits
        texts = self.chance.sample(list(self.neighbours.rows), min(count, len(self.neighbours.rows)))
        return edited_pairs(texts, texts[1:] + texts[:1], self.chance)

    def near_captions(self) -> list[TextPair]:
        """Captions that are near each other."""
        captions = [text for texts in self.images() for text in texts]
        return self.near(captions, captions, NEAR_CAPTIONS, self.counts.near_captions)

    def near_premises(self) -> list[TextPair]:
        """Premises that are near each other."""
        premises = self.side(0, anywhere)
        return self.near(premises, premises, NEAR_PREMISES, self.counts.near_premises)

    def near_hypotheses(self) -> list[TextPair]:
        """Hypotheses that are near each other."""
        hypotheses = self.side(1, anywhere)
        return self.near(hypotheses, hypotheses, NEAR_PREMISES, self.counts.near_hypotheses)

    def scored_sentences(self) -> list[TextPair]:
        """Sentences of scored pairs that are near each other."""
        texts = self.texts("similarity")
        return self.near(texts, texts, NEAR_SCORED, self.counts.scored_sentences)

    def all(self, most: int) -> list[TextPair]:
        """At most ``most`` pairs of every other kind, mixed, and those of scored sentences, each once."""
        kinds = (
            self.exchanged,
            self.captions,
            self.caption_hypotheses,
            self.other_hypotheses,
            self.near_questions,
            self.running_text,
            self.edits,
            self.near_captions,
            self.near_premises,
            self.near_hypotheses,
        )
        pairs = list(dict.fromkeys(pair for kind in kinds for pair in said(kind) if pair[0] != pair[1]))
        self.chance.shuffle(pairs)
        return list(dict.fromkeys([*pairs[:most], *said(self.scored_sentences)]))


def anywhere(name: str) -> bool:
    """Takes every folder."""
    return True


def said(kind: Callable[[], list[TextPair]]) -> list[TextPair]:
    """The pairs of ``kind``, whose number is shown."""
    pairs = kind()
    if pairs:
        tqdm.write(f"mined {len(pairs):,} pairs: {(kind.__doc__ or '').rstrip('.')}")
    return pairs
