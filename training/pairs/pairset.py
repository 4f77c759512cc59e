"""Pairs ready to train on: tokenised once, with gold labels and the pair teacher's judgements side by side.

Letters: B distinct sentences, P pairs, R pairs of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cmow.service.text.tokenizer import PackedTokens, Tokenizer
from training.data.labelled import LabelledPairs
from training.student.model import PairOutputs, Student
from training.student.packing import tokenize
from training.teachers.cache import LOGITS, PairCache


class PairBatch(NamedTuple):
    """R pairs: packed sentences (2 r first, 2 r + 1 second) and what is known of each pair.

    ``accepted`` bool [R, 3] (none: unknown), ``similarity`` and ``paraphrase`` float32 [R] in 0..1 and the teacher's
    ``judged`` logits float32 [R, 5]: NaN where unknown.
    """

    token_ids: Tensor
    cu_seqlens: Tensor
    accepted: Tensor
    similarity: Tensor
    paraphrase: Tensor
    judged: Tensor

    @property
    def pairs(self) -> Tensor:
        """Rows int64 [R, 2] of the two sentences of each pair."""
        return torch.arange(len(self.cu_seqlens) - 1, device=self.cu_seqlens.device).view(-1, 2)

    def to(self, device: torch.device) -> PairBatch:
        """The same on ``device``."""
        return PairBatch(*(tensor.to(device) for tensor in self))

    @staticmethod
    def joined(first: PairBatch, second: PairBatch) -> PairBatch:
        """The pairs of both."""
        cu_seqlens = torch.cat([first.cu_seqlens, second.cu_seqlens[1:] + first.cu_seqlens[-1]])
        token_ids, _, *known = (torch.cat(both) for both in zip(first, second, strict=True))
        return PairBatch(token_ids, cu_seqlens, *known)


@dataclass(frozen=True)
class PairSet:
    """P pairs of B packed ``sentences``, int ``pairs`` [P, 2]; the rest as in ``PairBatch``."""

    sentences: PackedTokens
    pairs: NDArray[np.int64]
    accepted: NDArray[np.bool_]
    similarity: NDArray[np.float32]
    paraphrase: NDArray[np.float32]
    judged: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.pairs)

    @staticmethod
    def of(labelled: LabelledPairs, tokenizer: Tokenizer) -> PairSet:
        """Pairs with gold labels alone."""
        rows: dict[str, int] = {}
        pairs = [[rows.setdefault(text, len(rows)) for text in pair] for pair in labelled.texts]
        return PairSet(
            tokenize(tokenizer, list(rows)),
            np.array(pairs, np.int64).reshape(-1, 2),
            labelled.entailment,
            labelled.similarity.astype(np.float32),
            labelled.paraphrase.astype(np.float32),
            np.full((len(pairs), LOGITS), np.nan, np.float32),
        )

    @staticmethod
    def judged_by_teacher(cache: PairCache, tokenizer: Tokenizer) -> PairSet:
        """The pairs of ``cache`` that have a gold label or have been judged."""
        judged = np.where(np.arange(len(cache.pairs))[:, None] < cache.done, cache.logits, np.nan).astype(np.float32)
        pairs = PairSet(
            tokenize(tokenizer, cache.sentences),
            cache.pairs.astype(np.int64),
            cache.entailment,
            cache.similarity.astype(np.float32),
            cache.paraphrase.astype(np.float32),
            judged,
        )
        known = ~np.isnan(np.column_stack([judged, pairs.similarity, pairs.paraphrase])).all(axis=1)
        return pairs.take(np.flatnonzero(known | pairs.accepted.any(axis=1)))

    def merged(self) -> PairSet:
        """Each pair of sentences once, with all that its rows know of it."""
        pairs, rows = np.unique(self.pairs, axis=0, return_inverse=True)
        accepted = np.zeros((len(pairs), self.accepted.shape[1]), bool)
        np.logical_or.at(accepted, rows, self.accepted)
        columns = []
        for values in (self.similarity, self.paraphrase, self.judged):
            column = np.full((len(pairs), *values.shape[1:]), np.nan, np.float32)
            known = ~np.isnan(values.reshape(len(values), -1)[:, 0])
            column[rows[known]] = values[known]
            columns.append(column)
        return PairSet(self.sentences, pairs, accepted, *columns)

    def with_more(self, more: PairSet) -> PairSet:
        """These pairs and those of ``more``, whose sentences follow these."""
        first, second = self.sentences, more.sentences
        sentences = PackedTokens(
            np.concatenate([first.token_ids, second.token_ids]),
            np.concatenate([first.cu_seqlens, second.cu_seqlens[1:] + first.cu_seqlens[-1]]),
            np.concatenate([first.truncated, second.truncated]),
        )
        known = ("accepted", "similarity", "paraphrase", "judged")
        return PairSet(
            sentences,
            np.concatenate([self.pairs, more.pairs + len(first)]),
            *(np.concatenate([getattr(self, name), getattr(more, name)]) for name in known),
        )

    def take(self, rows: NDArray[np.int64]) -> PairSet:
        """The pairs ``rows``, in that order."""
        return PairSet(
            self.sentences,
            self.pairs[rows],
            self.accepted[rows],
            self.similarity[rows],
            self.paraphrase[rows],
            self.judged[rows],
        )

    def batch(self, rows: NDArray[np.int64]) -> PairBatch:
        """The pairs ``rows`` [R]."""
        taken = self.sentences.take(self.pairs[rows].ravel())
        known = (self.accepted, self.similarity, self.paraphrase, self.judged)
        return PairBatch(
            torch.from_numpy(taken.token_ids),
            torch.from_numpy(taken.cu_seqlens),
            *(torch.from_numpy(values[rows]) for values in known),
        )

    def batches(self, batch: int, seed: int, epoch: int, window: int = 32) -> Iterator[NDArray[np.int64]]:
        """Row numbers of every full batch of one epoch, pairs of like length together; the same for the same seed.

        Alignment pads a batch to its longest sentence: within ``window`` batches, pairs are sorted by length.
        """
        random = np.random.default_rng([seed, epoch])
        longest = self.sentences.lengths[self.pairs].max(axis=1, initial=0)
        order = random.permutation(len(self))
        order = order[: len(order) // batch * batch]
        windows = np.split(order, range(window * batch, len(order), window * batch))
        batches = np.concatenate([rows[longest[rows].argsort(kind="stable")] for rows in windows]).reshape(-1, batch)
        yield from batches[random.permutation(len(batches))]


@torch.no_grad()
def outputs(student: Student, pairs: PairSet, block: int = 512) -> PairOutputs:
    """Everything that ``student`` says of all ``pairs``, on the CPU."""
    order = pairs.sentences.lengths[pairs.pairs].max(axis=1).argsort(kind="stable")
    blocks = np.split(order, range(block, len(order), block))
    parts = []
    for rows in blocks:
        taken = pairs.batch(rows).to(student.device)
        parts.append(student(taken.token_ids, taken.cu_seqlens, taken.pairs))
    back = torch.from_numpy(order.argsort())
    return PairOutputs(*(torch.cat(values).cpu()[back] for values in zip(*parts, strict=True)))
