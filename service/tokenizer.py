"""Text to packed token ids, with Hugging Face ``tokenizers`` as the authority."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import tokenizers
from numpy.typing import NDArray

from service.errors import BundleError

PARALLEL_FROM = 32  # texts; below, waking the library's thread pool costs more than it saves


@dataclass(frozen=True)
class PackedTokens:
    """B sentences without padding: those of sentence b are ``token_ids[cu_seqlens[b]:cu_seqlens[b + 1]]``.

    ``token_ids`` int64 [N], ``cu_seqlens`` int64 [B+1], ``truncated`` bool [B] (the sentence was cut to the limit).
    """

    token_ids: NDArray[np.int64]
    cu_seqlens: NDArray[np.int64]
    truncated: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.truncated)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each sentence, int64 [B]."""
        return np.diff(self.cu_seqlens)

    def take(self, rows: NDArray[np.int64]) -> PackedTokens:
        """The sentences ``rows`` [R], in that order."""
        lengths = self.lengths[rows]
        cu_seqlens = _offsets(lengths)
        # Each token's old position: a run of consecutive numbers for every sentence.
        positions = np.arange(cu_seqlens[-1]) + np.repeat(self.cu_seqlens[rows] - cu_seqlens[:-1], lengths)
        return PackedTokens(self.token_ids[positions], cu_seqlens, self.truncated[rows])


class Tokenizer:
    """The tokenizer of a bundle; it adds no special tokens and cuts what is longer than ``max_tokens``.

    With ``threads`` = 1 the library's own thread pool is never used. Otherwise the pool takes its size from
    ``RAYON_NUM_THREADS``, or from the machine.
    """

    def __init__(self, path: Path, max_tokens: int, threads: int = 0) -> None:
        self.max_tokens = max_tokens
        self._parallel = threads != 1
        self._tokenizer = _load(path)

    @property
    def vocab_size(self) -> int:
        """The largest token id plus one."""
        return 1 + max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)

    def encode(self, texts: Sequence[str]) -> PackedTokens:
        """``texts`` [B] as packed tokens; a text without a token gives an empty sentence.

        Raises ``TypeError`` on a text with a lone surrogate, which is no Unicode text.
        """
        rows = [encoding.ids for encoding in self._encode(list(texts))]
        truncated = np.fromiter((len(row) > self.max_tokens for row in rows), np.bool_, len(rows))
        rows = [row[: self.max_tokens] for row in rows]
        cu_seqlens = _offsets(np.fromiter(map(len, rows), np.int64, len(rows)))
        token_ids = np.fromiter(chain.from_iterable(rows), np.int64, int(cu_seqlens[-1]))
        return PackedTokens(token_ids, cu_seqlens, truncated)

    def _encode(self, texts: list[str]) -> list[tokenizers.Encoding]:
        encode = self._tokenizer.encode_batch_fast
        if self._parallel and len(texts) >= PARALLEL_FROM:
            return encode(texts, add_special_tokens=False)
        return [encode([text], add_special_tokens=False)[0] for text in texts]


def _load(path: Path) -> tokenizers.Tokenizer:
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise BundleError(f"{path}: expected a Hugging Face tokenizer: {error}") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _offsets(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Lengths [B] to offsets [B+1]."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
