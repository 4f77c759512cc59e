"""Texts that are the same to the model, found by hash: each is compared with others once.

Letters: B texts, U distinct ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cmow.service.dedupe.options import Keep
from cmow.service.model.engine import Ints
from cmow.service.text.tokenizer import PackedTokens, Tokenizer

BLOCK = 8192  # texts tokenised at once


@dataclass(frozen=True)
class Distinct:
    """``first`` int64 [U] is the text to keep of each distinct one, ``of`` int64 [B] the distinct one of each text.

    The distinct ones are numbered in the order in which they are decided on, those of known texts first: ``known`` of
    them. ``whole`` bool [U] says which the model reads without loss.
    """

    first: Ints
    of: Ints
    whole: NDArray[np.bool_]
    known: int


def find_distinct(tokenizer: Tokenizer, texts: Sequence[str], known: int, keep: Keep) -> Distinct:
    """The distinct of ``texts`` [B], of which the first ``known`` are there already.

    Two texts of the same tokens are the same, whatever their case and white space, unless one of them has a token that
    the vocabulary lacks or is longer than the model reads: such texts are the same only where every character is.
    """
    numbers: dict[bytes, int] = {}
    first, whole, of = list[int](), list[bool](), np.empty(len(texts), np.int64)
    order = _order(texts, known, keep)
    known_distinct = 0
    for start in range(0, len(order), BLOCK):
        rows = order[start : start + BLOCK].tolist()
        packed = tokenizer.encode([texts[row] for row in rows])
        read = _whole(packed, tokenizer.unknown_id)
        for row, tokens, good in zip(rows, _tokens(packed), read.tolist(), strict=True):
            key = blake2b(tokens if good else texts[row].encode(), digest_size=16, key=b"%d" % good).digest()
            of[row] = number = numbers.setdefault(key, len(first))
            if number == len(first):
                first.append(row)
                whole.append(good)
                known_distinct += row < known
    return Distinct(np.array(first, np.int64), of, np.array(whole, np.bool_), known_distinct)


def _order(texts: Sequence[str], known: int, keep: Keep) -> Ints:
    """Texts [B] in the order in which they are decided on: known ones first, then whichever is rather kept."""
    order = np.arange(len(texts))
    if keep == "longest":
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        order = np.lexsort((order, -lengths, order >= known))
    return order


def _whole(packed: PackedTokens, unknown_id: int) -> NDArray[np.bool_]:
    """Which sentences [B] the model reads without loss."""
    counts = packed.count(unknown_id)
    return ~packed.truncated if counts is None else ~packed.truncated & (counts == 0)


def _tokens(packed: PackedTokens) -> list[bytes]:
    """The token ids of each sentence."""
    content, size = packed.token_ids.tobytes(), packed.token_ids.itemsize
    return [content[size * start : size * stop] for start, stop in pairwise(packed.cu_seqlens.tolist())]
