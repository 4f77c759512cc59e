"""Packed sentences as tensors: batches cut from a tokenised corpus, without padding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from cmow.service.text.tokenizer import PackedTokens, Tokenizer

PackedBatch = tuple[Tensor, Tensor]  # ``token_ids`` int64 [N], ``cu_seqlens`` int64 [B+1]


def tokenize(tokenizer: Tokenizer, sentences: Sequence[str], block: int = 20_000) -> PackedTokens:
    """``sentences`` packed by the service's own tokeniser, with a progress bar where there are many."""
    blocks = [sentences[start : start + block] for start in range(0, len(sentences), block)]
    parts = [tokenizer.encode(part) for part in tqdm(blocks, "tokenising", unit=" blocks", disable=len(blocks) < 2)]
    lengths = np.concatenate([np.zeros(1, np.int64), *(part.lengths for part in parts)])
    token_ids = np.concatenate([np.zeros(0, np.int64), *(part.token_ids for part in parts)])
    truncated = np.concatenate([np.zeros(0, np.bool_), *(part.truncated for part in parts)])
    return PackedTokens(token_ids, lengths.cumsum(), truncated)


def batch(sentences: PackedTokens, rows: NDArray[np.int64]) -> PackedBatch:
    """The sentences ``rows`` [B], in that order."""
    taken = sentences.take(rows)
    return torch.from_numpy(taken.token_ids), torch.from_numpy(taken.cu_seqlens)


def placed(packed: PackedBatch, device: torch.device) -> PackedBatch:
    """``packed`` on ``device``."""
    return packed[0].to(device), packed[1].to(device)


def join(first: PackedBatch, second: PackedBatch) -> PackedBatch:
    """One batch with the sentences of ``first`` and then those of ``second``."""
    token_ids = torch.cat([first[0], second[0]])
    return token_ids, torch.cat([first[1], second[1][1:] + first[1][-1]])


def drop_tokens(token_ids: Tensor, cu_seqlens: Tensor, share: float) -> PackedBatch:
    """Leave out ``share`` of all tokens at random; a regulariser that needs no mask token in packed sequences."""
    keep = torch.rand(len(token_ids)) >= share
    kept_before = torch.cat([torch.zeros(1, dtype=torch.long), keep.cumsum(0)])  # [N + 1]
    return token_ids[keep], kept_before[cu_seqlens]


def padded(rows: Tensor, cu_seqlens: Tensor, sentences: Tensor) -> Tensor:
    """The packed ``rows`` [N, w] of ``sentences`` [P] with zeros after their ends, [P, L, w], L at least 1.

    One look-up, whose gradient is one sum: with a copy for each sentence it would take the square of their number.
    """
    starts, lengths = cu_seqlens[sentences], cu_seqlens.diff()[sentences]
    places = torch.arange(max(1, int(lengths.max()) if len(lengths) else 1), device=rows.device)
    index = torch.where(places < lengths[:, None], starts[:, None] + places, len(rows))  # the last row is zeros
    table = F.pad(rows, (0, 0, 0, 1))
    return table.index_select(0, index.flatten()).view(*index.shape, rows.shape[1])
