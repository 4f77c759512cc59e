"""Questions with and without the same meaning, as many of one as of the other.

Duplicates link questions in clusters; what is near a question and in another cluster is taken for a different one.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from training.data.labelled import LabelledPairs, TextPair
from training.pairs.neighbours import Neighbours, normal

CLOSE_QUESTIONS = 8  # nearest questions that a mined negative is drawn from, less those linked to it


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
