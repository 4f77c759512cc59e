"""Text to packed token ids, with Hugging Face ``tokenizers`` as the authority.

The native tokeniser takes the texts whose ids it can prove; the library takes the others, and all where there is none.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
import tokenizers
from numpy.typing import NDArray

from cmow.service.errors import BundleError
from cmow.service.machine import native
from cmow.service.machine.cpu import usable_cpus
from cmow.service.wordpiece.native import NativeWordPiece
from cmow.service.wordpiece.recipe import UnsupportedError, read_recipe

logger = logging.getLogger(__name__)

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
        return self.cu_seqlens[1:] - self.cu_seqlens[:-1]  # np.diff takes ten times as long on a few

    @cached_property
    def plain(self) -> bool:
        """Whether every sentence has a token and none was cut."""
        return not np.count_nonzero(self.truncated) and np.count_nonzero(self.lengths) == len(self)

    def count(self, token_id: int) -> NDArray[np.int64] | None:
        """How often each sentence has ``token_id``, int64 [B]; ``None`` where none has it."""
        places = np.flatnonzero(self.token_ids == token_id)
        if not len(places):
            return None
        return np.bincount(np.searchsorted(self.cu_seqlens, places, side="right") - 1, minlength=len(self))

    def take(self, rows: NDArray[np.int64]) -> PackedTokens:
        """The sentences ``rows`` [R], in that order."""
        lengths = self.lengths[rows]
        cu_seqlens = _offsets(lengths)
        # Each token's old position: a run of consecutive numbers for every sentence.
        positions = np.arange(cu_seqlens[-1]) + np.repeat(self.cu_seqlens[rows] - cu_seqlens[:-1], lengths)
        return PackedTokens(self.token_ids[positions], cu_seqlens, self.truncated[rows])


@dataclass(frozen=True, slots=True)
class Part:
    """The sentences ``start`` to ``stop`` of ``whole``, cut out of it only where somebody asks."""

    whole: PackedTokens
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def tokens(self) -> int:
        """Tokens of all its sentences."""
        return int(self.whole.cu_seqlens[self.stop] - self.whole.cu_seqlens[self.start])

    @property
    def packed(self) -> PackedTokens:
        """The sentences alone; no number is copied but the offsets."""
        if len(self) == len(self.whole):
            return self.whole
        cu_seqlens = self.whole.cu_seqlens[self.start : self.stop + 1]
        token_ids = self.whole.token_ids[cu_seqlens[0] : cu_seqlens[-1]]
        return PackedTokens(token_ids, cu_seqlens - cu_seqlens[0], self.whole.truncated[self.start : self.stop])


class LibraryTokenizer:
    """Hugging Face ``tokenizers`` alone: the authority, and the slow twin of the native code.

    It adds no special tokens and cuts what is longer than ``max_tokens``. With ``threads`` = 1 the library's own thread
    pool is never used. Otherwise the pool takes its size from ``RAYON_NUM_THREADS``, or from the machine.
    """

    def __init__(self, path: Path, max_tokens: int, threads: int = 0) -> None:
        self.max_tokens = max_tokens
        self.library = load_tokenizer(path)
        self._parallel = threads != 1

    def encode(self, texts: Sequence[str]) -> PackedTokens:
        """``texts`` [B] as packed tokens; raises ``TypeError`` on a lone surrogate."""
        rows = [encoding.ids for encoding in self._encode(list(texts))]
        truncated = np.fromiter((len(row) > self.max_tokens for row in rows), np.bool_, len(rows))
        rows = [row[: self.max_tokens] for row in rows]
        cu_seqlens = _offsets(np.fromiter(map(len, rows), np.int64, len(rows)))
        token_ids = np.fromiter(chain.from_iterable(rows), np.int64, int(cu_seqlens[-1]))
        return PackedTokens(token_ids, cu_seqlens, truncated)

    def _encode(self, texts: list[str]) -> list[tokenizers.Encoding]:
        encode = self.library.encode_batch_fast
        if self._parallel and len(texts) >= PARALLEL_FROM:
            return encode(texts, add_special_tokens=False)
        return [encode([text], add_special_tokens=False)[0] for text in texts]


class Tokenizer:
    """The tokenizer of a bundle; it adds no special tokens and cuts what is longer than ``max_tokens``.

    ``threads`` = 0 takes what affinity mask and cgroup quota grant, and the library's own pool where that takes over.
    """

    def __init__(self, path: Path, max_tokens: int, threads: int = 0) -> None:
        self.max_tokens = max_tokens
        self.degraded: str | None = None  # why the library takes all texts, if it does
        self._threads = threads or usable_cpus()
        self._authority = LibraryTokenizer(path, max_tokens, threads)
        self._native: NativeWordPiece | None = None
        try:
            self._native = _native(self._authority.library)
        except UnsupportedError as error:
            self.degraded = str(error)
            logger.warning("Hugging Face tokenizers serves alone, many times slower than the native code: %s", error)

    @property
    def name(self) -> str:
        """What tokenises: ``native``, which hands over what it cannot prove, or ``tokenizers``."""
        return "tokenizers" if self._native is None else "native"

    @cached_property
    def unknown_id(self) -> int:
        """What a word becomes that the vocabulary cannot spell; -1, which no word becomes, where it spells all."""
        token = getattr(self._authority.library.model, "unk_token", None)
        found = None if token is None else self._authority.library.token_to_id(token)
        return -1 if found is None else int(found)

    @property
    def vocab_size(self) -> int:
        """The largest token id plus one."""
        if self._native is not None:
            return 1 + self._native.largest_id
        return 1 + max(self._authority.library.get_vocab(with_added_tokens=True).values(), default=-1)

    def encode(self, texts: Sequence[str]) -> PackedTokens:
        """``texts`` [B] as packed tokens; a text without a token gives an empty sentence.

        Raises ``TypeError`` on a text with a lone surrogate, which is no Unicode text.
        """
        if self._native is None:
            return self._authority.encode(texts)
        try:
            encoded = self._native.encode(texts, self.max_tokens, self._threads)
        except UnicodeEncodeError as error:
            raise TypeError(f"expected Unicode texts, got a lone surrogate: {error.reason}") from None
        packed = PackedTokens(encoded.token_ids, encoded.cu_seqlens, encoded.truncated)
        return self._with_beyond(packed, texts, encoded.beyond) if len(encoded.beyond) else packed

    def _with_beyond(self, packed: PackedTokens, texts: Sequence[str], beyond: NDArray[np.int64]) -> PackedTokens:
        """``packed`` with the texts ``beyond`` the native code in their places."""
        others = self._authority.encode([texts[row] for row in beyond])
        rows = np.arange(len(texts))
        rows[beyond] = len(texts) + np.arange(len(others))
        return _joined(packed, others).take(rows)

    def spans(self, text: str) -> list[tuple[int, int, int]]:
        """(token id, first character, character after the last) of every token of ``text``, however many."""
        encoding = self._authority.library.encode(text, add_special_tokens=False)
        return [(token, *span) for token, span in zip(encoding.ids, encoding.offsets, strict=True)]

    def cut(self, text: str, most: int) -> str:
        """The beginning of ``text`` that has its first ``most`` tokens, or all of it where it has no more."""
        spans = self.spans(text)
        return text if len(spans) <= most else text[: spans[most][1]]

    def decode(self, ids: Sequence[int], skip_special_tokens: bool) -> str:
        """The text that the tokens ``ids``, each below ``vocab_size``, spell."""
        return str(self._authority.library.decode(ids, skip_special_tokens))


def load_tokenizer(path: Path) -> tokenizers.Tokenizer:
    """The tokeniser in ``path``, without padding and truncation; ``BundleError`` where it is none."""
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise BundleError(f"{path}: expected a Hugging Face tokenizer: {error}") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _native(tokenizer: tokenizers.Tokenizer) -> NativeWordPiece:
    """The native tokeniser with the ids of ``tokenizer``; raises ``UnsupportedError`` where it is unavailable."""
    library = native.wordpiece_path()
    if library is None:
        raise UnsupportedError(f"no {native.WORDPIECE_LIBRARY} is installed")
    return NativeWordPiece(library, read_recipe(tokenizer))


def _joined(first: PackedTokens, second: PackedTokens) -> PackedTokens:
    """The sentences of both, one after the other."""
    return PackedTokens(
        np.concatenate([first.token_ids, second.token_ids]),
        np.concatenate([first.cu_seqlens, second.cu_seqlens[1:] + first.cu_seqlens[-1]]),
        np.concatenate([first.truncated, second.truncated]),
    )


def _offsets(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Lengths [B] to offsets [B+1]."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
