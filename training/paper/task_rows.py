"""The rows of a task, tokenised as its model takes them, with what is known of each.

Letters: P rows, C outputs of the task.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cmow.service.text.tokenizer import PackedTokens, Tokenizer
from training.paper.classifier import join_pairs
from training.paper.tasks import Examples
from training.student.packing import PackedBatch, tokenize
from training.student.vocabulary import VocabularyError, read_vocabulary

SEPARATOR = "[SEP]"


@dataclass(frozen=True)
class Rows:
    """P rows of ``width`` sentences each, ``targets`` float64 [P] and, where there is one, the ``teacher``'s [P, C]."""

    sentences: PackedTokens
    width: int
    targets: NDArray[np.float64]
    teacher: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.targets)

    @staticmethod
    def of(
        examples: Examples, tokenizer: Path, max_tokens: int, joint: bool, teacher: NDArray[np.float32] | None = None
    ) -> Rows:
        """``examples`` as they are, or, where a row has two texts and ``joint`` is set, with both in one sequence."""
        sentences = tokenize(Tokenizer(tokenizer, max_tokens), list(chain.from_iterable(examples.texts)))
        width = len(examples.texts[0])
        if width == 2 and joint:
            sentences, width = join_pairs(sentences, separator_id(tokenizer)), 1
        return Rows(sentences, width, examples.targets, teacher)

    def packed(self) -> PackedBatch:
        """All sentences."""
        return torch.from_numpy(self.sentences.token_ids), torch.from_numpy(self.sentences.cu_seqlens)

    def take(self, rows: NDArray[np.int64]) -> Rows:
        """The rows ``rows``, in that order."""
        of_sentences = (rows[:, None] * self.width + np.arange(self.width)).ravel()
        teacher = None if self.teacher is None else self.teacher[rows]
        return Rows(self.sentences.take(of_sentences), self.width, self.targets[rows], teacher)


def separator_id(tokenizer: Path) -> int:
    """The token between two texts in one sequence; ``VocabularyError`` where the tokeniser has none."""
    vocabulary = read_vocabulary(tokenizer)
    if SEPARATOR not in vocabulary:
        raise VocabularyError(f"{tokenizer}: expected {SEPARATOR}, which joint encoding puts between the texts")
    return vocabulary[SEPARATOR]
