"""Pairs as a cross-encoder reads them: each sentence is tokenised once, however many pairs it stands in.

A tokeniser puts marks before, between and behind the two sentences of a pair. Where the marks stand is read off one
pair that it encodes; after that a pair is five runs of tokens, put together by NumPy for many pairs at once.

Letters: B sentences, P pairs, N tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from training.errors import TeacherError

Ints = NDArray[np.int64]
BLOCK = 8192  # sentences in one call of the tokeniser, which shares them among the cores and lets other threads run


class Marks(NamedTuple):
    """Token ids ``before``, ``between`` and ``behind`` two sentences, and the segments of the five runs of a pair."""

    before: list[int]
    between: list[int]
    behind: list[int]
    segments: list[int]

    @property
    def total(self) -> int:
        """Marks of a pair."""
        return len(self.before) + len(self.between) + len(self.behind)

    @staticmethod
    def of(tokenizer: Tokenizer) -> Marks:
        """Those of ``tokenizer``; ``TeacherError`` where it does anything but put marks around two sentences."""
        alone, pair = tokenizer.encode("a", add_special_tokens=False).ids, tokenizer.encode("a", "a")
        sides = pair.sequence_ids
        first, second = (sides.index(side) if side in sides else 0 for side in (0, 1))
        cuts = [0, first, first + len(alone), second, second + len(alone), len(sides)]
        ids = [pair.ids[start:stop] for start, stop in pairwise(cuts)]
        segments = [set(pair.type_ids[start:stop]) for start, stop in pairwise(cuts)]
        if not alone or cuts != sorted(cuts) or ids[1::2] != [alone, alone] or max(map(len, segments)) > 1:
            raise TeacherError(f"expected a tokeniser that puts marks around sentences, found {pair.tokens} for a pair")
        return Marks(ids[0], ids[2], ids[4], [next(iter(segment), 0) for segment in segments])


class Texts(NamedTuple):
    """B tokenised sentences: those of sentence b are ``ids[starts[b]:starts[b] + lengths[b]]``, int32 [N]."""

    ids: NDArray[np.int32]
    starts: Ints
    lengths: Ints


class PairTokenizer:
    """What ``tokenizer`` makes of a pair, cut to ``max_tokens`` (the longer sentence first)."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> None:
        # A copy, since transformers switches truncation on and off in its own, which threads cannot share.
        self.tokenizer = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.marks, self.max_tokens = Marks.of(self.tokenizer), max_tokens

    def pairs(self, pairs: Sequence[tuple[str, str]]) -> PairTokens:
        """P ``pairs`` of texts."""
        rows: dict[str, int] = {}
        index = [[rows.setdefault(text, len(rows)) for text in pair] for pair in pairs]
        return PairTokens.of(self, self.texts(list(rows)), np.array(index, np.int64).reshape(-1, 2))

    def texts(self, texts: Sequence[str]) -> Texts:
        """Each of B ``texts``, without marks and uncut."""
        ids, lengths = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
        starts = range(0, len(texts), BLOCK)
        for start in tqdm(starts, "tokenising", unit=" blocks", disable=len(starts) < 16):
            part = list(texts[start : start + BLOCK])
            encoded = [each.ids for each in self.tokenizer.encode_batch_fast(part, add_special_tokens=False)]
            lengths.append(np.array([len(each) for each in encoded], np.int64))
            ids.append(np.fromiter(chain.from_iterable(encoded), np.int32, int(lengths[-1].sum())))
        counts = np.concatenate(lengths)
        return Texts(np.concatenate(ids), counts.cumsum() - counts, counts)


@dataclass(frozen=True)
class PairTokens:
    """P pairs, put together on demand: int64 ``lengths`` [P] with marks, and ``runs``, five of ``texts`` for each."""

    texts: Texts
    runs: NDArray[np.int32]  # rows of ``texts`` [P, 5]
    counts: NDArray[np.int32]  # tokens taken of each [P, 5]
    segments: list[int]

    def __len__(self) -> int:
        return len(self.runs)

    @property
    def lengths(self) -> Ints:
        """Tokens of each pair, int64 [P]."""
        return self.lengths_of(slice(None))

    def lengths_of(self, rows: slice | Ints) -> Ints:
        """Tokens of each of the pairs ``rows`` [R], int64 [R]."""
        return np.asarray(self.counts[rows].sum(axis=1), np.int64)

    @staticmethod
    def of(tokenizer: PairTokenizer, texts: Texts, pairs: NDArray[Any]) -> PairTokens:
        """The ``pairs`` [P, 2] of ``texts`` as ``tokenizer`` would encode them."""
        marks = tokenizer.marks
        own = [marks.before, marks.between, marks.behind]
        ids = np.concatenate([texts.ids, *(np.array(each, np.int32) for each in own)])
        lengths = np.concatenate([texts.lengths, [len(each) for each in own]]).astype(np.int64)
        store = Texts(ids, lengths.cumsum() - lengths, lengths)
        before, between, behind = (np.full(len(pairs), len(texts.lengths) + mark, np.int64) for mark in range(3))
        runs = np.column_stack([before, pairs[:, 0], between, pairs[:, 1], behind]).astype(np.int64)
        counts = lengths[runs]
        counts[:, [1, 3]] = cut_longest(counts[:, 1], counts[:, 3], tokenizer.max_tokens - marks.total)
        return PairTokens(store, runs.astype(np.int32), counts.astype(np.int32), marks.segments)

    def put_together(self, rows: Sequence[int] | Ints) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """Token ids int32 [N] and segments uint8 [N] of the pairs ``rows``, one after another."""
        counts = self.counts[rows].ravel().astype(np.int64)
        ends = counts.cumsum()
        total = int(ends[-1]) if len(ends) else 0
        # Each token's place among the texts: a run of consecutive numbers for every run of a pair.
        places = np.arange(total) + np.repeat(self.texts.starts[self.runs[rows].ravel()] - (ends - counts), counts)
        segments = np.repeat(np.tile(np.array(self.segments, np.uint8), len(counts) // 5), counts)
        return self.texts.ids[places], segments


def cut_longest(first: Ints, second: Ints, most: int) -> Ints:
    """How much to keep [P, 2] of texts of ``first`` and ``second`` tokens so that each pair has ``most`` at most.

    As ``longest_first`` of the tokenizers library: from the longer one until both are even, then from both.
    """
    short, long = np.minimum(first, second), np.maximum(first, second)
    kept_long = np.where(short > most, short, np.maximum(short, most - short))
    fits, even = short + long <= most, short + kept_long > most
    kept_short = np.where(even & ~fits, most // 2, short)
    kept_long = np.where(fits, long, np.where(even, kept_short + most % 2, kept_long))
    swapped = first > second
    return np.column_stack([np.where(swapped, kept_long, kept_short), np.where(swapped, kept_short, kept_long)])
