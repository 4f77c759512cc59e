"""Unlabelled pairs for the pair teacher to judge: found by nearness, by neighbourhood and by edits.

Nearness is the cosine of the sentence teacher's embeddings, which the cache of ``training.teacher`` holds.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from training.data.files import read_lines, split_files
from training.data.labelled import LabelledPairs, TextPair, read_nli, read_paraphrases, read_scored
from training.pairs.edits import edited_pairs
from training.teachers.cache import TeacherCache

CAPTION_NLI = ("snli", "counterfactual", "sick")  # NLI data written about captions of images
POOL = 40_000  # sentences searched for neighbours; more cost time and bring little
EDITED = 100_000  # sentences edited at most
CLOSE_QUESTIONS = 8  # nearest questions that a mined negative is drawn from, less those linked to it
RUNNING_TEXT = 3 * POOL  # sentences of running text read at most: a third asks, two thirds are searched


class Nearest(NamedTuple):
    """For each query, ``taken`` random ones of its ``among`` nearest sentences.

    The more sentences of one kind there are, the further a near one may stand without being about something else.
    """

    among: int
    taken: int


CAPTIONS_NEAR_HYPOTHESES = Nearest(among=40, taken=4)
PREMISES_NEAR_HYPOTHESES = Nearest(among=5, taken=1)
QUESTIONS = Nearest(among=6, taken=1)
PLAIN_SENTENCES = Nearest(among=2, taken=1)
SCORED_SENTENCES = Nearest(among=20, taken=4)


def normal(text: str) -> str:
    """``text`` with its white space as the teacher cache has it."""
    return " ".join(text.split())


class Neighbours:
    """Nearest sentences of a teacher cache."""

    def __init__(self, cache: TeacherCache) -> None:
        self.rows = {text: row for row, text in enumerate(cache.sentences[: cache.done])}
        self.targets = cache.targets

    def known(self, texts: Sequence[str]) -> list[str]:
        """Those of ``texts`` that the cache holds, each once."""
        return [text for text in dict.fromkeys(map(normal, texts)) if text in self.rows]

    def vectors(self, texts: Sequence[str]) -> NDArray[Any]:
        """Unit-length embeddings float32 [len(texts), m]."""
        rows = np.array([self.rows[text] for text in texts], np.int64)
        order = rows.argsort()  # the file is read front to back
        result = np.empty((len(rows), self.targets.shape[1]), np.float32)
        result[order] = self.targets[rows[order]]
        return result

    def nearest(self, queries: Sequence[str], pool: Sequence[str], count: int, block: int = 2048) -> list[list[str]]:
        """For each query the ``count`` nearest other sentences of ``pool``, nearest first."""
        targets, table = torch.from_numpy(self.vectors(pool)), self.vectors(queries)
        found: list[list[str]] = []
        for start in range(0, len(queries), block):
            scores = torch.from_numpy(table[start : start + block]) @ targets.T
            best = scores.topk(min(count + 1, len(pool)), dim=1).indices.tolist()
            for query, row in zip(queries[start : start + block], best, strict=True):
                found.append([pool[index] for index in row if pool[index] != query][:count])
        return found


def clusters(pairs: Sequence[TextPair]) -> dict[str, str]:
    """A representative for each text: the same for all texts that ``pairs`` link, directly or not."""
    parent: dict[str, str] = {}

    def find(text: str) -> str:
        while parent.setdefault(text, text) != text:
            parent[text] = parent[parent[text]]
            text = parent[text]
        return text

    for left, right in pairs:
        parent[find(left)] = find(right)
    return {text: find(text) for text in list(parent)}


def balanced_questions(pairs: LabelledPairs, neighbours: Neighbours, mined: int, seed: int) -> LabelledPairs:
    """All negatives of ``pairs``, ``mined`` more, and as many positives.

    A mined negative is a question with one of its nearest that no chain of positives links to it.
    """
    chance = random.Random(seed)
    texts = [(normal(left), normal(right)) for left, right in pairs.texts]
    positives = [pair for pair, label in zip(texts, pairs.paraphrase, strict=True) if label]
    negatives = [pair for pair, label in zip(texts, pairs.paraphrase, strict=True) if not label]
    cluster = clusters(positives)
    pool = neighbours.known([text for pair in texts for text in pair])
    queries = chance.sample(pool, min(mined, len(pool)))
    for query, found in zip(queries, neighbours.nearest(queries, pool, CLOSE_QUESTIONS), strict=True):
        strange = [text for text in found if cluster.get(text, text) != cluster.get(query, query)]
        if strange:
            negatives.append((query, chance.choice(strange)))
    positives = chance.sample(positives, min(len(positives), len(negatives)))
    labels = np.repeat([0.0, 1.0], [len(negatives), len(positives)])
    return LabelledPairs.of(negatives + positives, paraphrase=labels)


@dataclass(frozen=True)
class Mine:
    """Where pairs come from: a data folder, the sentence teacher's cache and a source of randomness."""

    data: Path
    neighbours: Neighbours
    chance: random.Random

    def nli(self, accept: Callable[[str], bool]) -> LabelledPairs:
        """The NLI training pairs of the folders that ``accept`` takes."""
        paths = [path for path in split_files(self.data, "train", ("nli",)) if accept(path.parent.name)]
        return LabelledPairs.joined([LabelledPairs.of([]), *(read_nli(path) for path in paths)])

    def images(self) -> list[list[str]]:
        """Captions of each image that has several."""
        paths = sorted((self.data / "text").glob("*captions*.tsv.gz"))
        images = ([normal(text) for text in line.split("\t")] for path in paths for _, line in read_lines(path))
        return [captions for captions in images if len(captions) > 1]

    def near(self, queries: Sequence[str], pool: Sequence[str], nearest: Nearest) -> list[TextPair]:
        """Each of ``queries`` second, with those of ``pool`` that ``nearest`` takes first."""
        queries, pool = self.neighbours.known(queries), self.neighbours.known(pool)
        if not queries or not pool:
            return []
        pool = self.chance.sample(pool, min(POOL, len(pool)))
        found = self.neighbours.nearest(queries, pool, nearest.among)
        return [
            (text, query)
            for query, texts in zip(queries, found, strict=True)
            for text in self.chance.sample(texts, min(nearest.taken, len(texts)))
        ]

    def reversed(self) -> list[TextPair]:
        """Every NLI pair with premise and hypothesis exchanged."""
        return [(right, left) for left, right in self.nli(lambda name: True).texts]

    def captions(self) -> list[TextPair]:
        """Two captions of one image."""
        return [(first, second) for texts in self.images() for first, second in [self.chance.sample(texts, 2)]]

    def caption_hypotheses(self) -> list[TextPair]:
        """Hypotheses written about captions, under captions of other images."""
        hypotheses = [right for _, right in self.nli(lambda name: name in CAPTION_NLI).texts]
        captions = [text for texts in self.images() for text in texts]
        return self.near(hypotheses, captions, CAPTIONS_NEAR_HYPOTHESES)

    def other_hypotheses(self) -> list[TextPair]:
        """The other hypotheses, under near premises."""
        pairs = self.nli(lambda name: name not in CAPTION_NLI).texts
        premises, hypotheses = ([pair[side] for pair in pairs] for side in (0, 1))
        return self.near(hypotheses, premises, PREMISES_NEAR_HYPOTHESES)

    def questions(self) -> list[TextPair]:
        """Questions that are near each other."""
        texts = [
            text
            for path in split_files(self.data, "train", ("paraphrase/qqp",))
            for pair in read_paraphrases(path).texts
            for text in pair
        ]
        return self.near(texts, texts, QUESTIONS)

    def running_text(self) -> list[TextPair]:
        """Sentences of running text that are near each other."""
        plain = list(self.neighbours.rows)[-RUNNING_TEXT:]  # the cache ends with running text
        third = len(plain) // 3
        return self.near(plain[:third], plain[third:], PLAIN_SENTENCES)

    def edits(self) -> list[TextPair]:
        """Sentences with one edit of each."""
        texts = self.chance.sample(list(self.neighbours.rows), min(EDITED, len(self.neighbours.rows)))
        return edited_pairs(texts, texts[1:] + texts[:1], self.chance)

    def scored_sentences(self) -> list[TextPair]:
        """Sentences of scored pairs that are near each other."""
        paths = split_files(self.data, "train", ("similarity",))
        texts = [text for path in paths for pair in read_scored(path).texts for text in pair]
        return self.near(texts, texts, SCORED_SENTENCES)

    def all(self, most: int) -> list[TextPair]:
        """At most ``most`` pairs of every other kind, mixed, and those of scored sentences, each once."""
        kinds = (
            self.reversed,
            self.captions,
            self.caption_hypotheses,
            self.other_hypotheses,
            self.questions,
            self.running_text,
            self.edits,
        )
        pairs = list(dict.fromkeys(pair for kind in kinds for pair in kind() if pair[0] != pair[1]))
        self.chance.shuffle(pairs)
        return list(dict.fromkeys([*pairs[:most], *self.scored_sentences()]))
