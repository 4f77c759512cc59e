"""What the contestants have in common.

Letters: B texts, P pairs, m width of an embedding.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cmow.service.text.pairs import SentencePairs
from loadtest.compare.texts import Pair

Floats = NDArray[np.float32]
Task = Literal["similarity", "entailment"]
Embed = Callable[[Sequence[str]], Floats]
Score = Callable[[Sequence[Pair]], Floats]
Encoder = Callable[[Sequence[str], int], Callable[[], object]]


@dataclass(frozen=True)
class Context:
    """What a side is opened with."""

    threads: int
    bundle: Path  # of the student
    models: Path  # of the others, see ``models.py``


@dataclass(frozen=True)
class Side:
    """A loaded contestant; ``None`` stands for what it cannot do."""

    files: Sequence[Path] = ()  # the model on disk
    embed: Embed | None = None  # texts [B] to what a caller compares, [B, m]
    state: Embed | None = None  # texts [B] to the encoder's own output, where heads follow it
    encoder: Encoder | None = None  # of texts [B] cut to so many tokens: a call of the encoder alone, [B, m]
    any_length: bool = False  # whether the encoder reads more tokens than a transformer has positions
    similarity: Score | None = None  # pairs [P] to scores [P]
    entailment: Score | None = None  # pairs [P] to probabilities [P, 3] in the order of ``NLI_LABELS``
    relatedness: Score | None = None  # pairs [P] to how related people would call them [P]
    trained: frozenset[Task] = frozenset()  # whose scores mean something
    processes: Callable[[], list[int]] = lambda: [os.getpid()]  # that hold the model
    close: Callable[[], None] = lambda: None

    @property
    def bytes(self) -> int:
        """The model on disk."""
        return sum(path.stat().st_size for path in self.files)

    def score(self, task: Task) -> Score | None:
        """What scores ``task``, if it does."""
        scores: Mapping[Task, Score | None] = {"similarity": self.similarity, "entailment": self.entailment}
        return scores[task]


def cosines(embed: Embed, pairs: Sequence[Pair]) -> Floats:
    """Cosines [P] of the embeddings of ``pairs``; as in the service, a repeated text is embedded once."""
    sentences = SentencePairs.of(pairs)
    vectors = embed(sentences.texts)
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    left, right = (vectors[sentences.index[:, side]] for side in (0, 1))
    return np.asarray((left * right).sum(axis=1), np.float32)
