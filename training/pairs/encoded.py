"""Pairs with the states of their sentences, computed once by an encoder that stays as it is.

Letters: B sentences, D state size, R pairs of a batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from training.pairs.pairset import PairBatch, PairSet
from training.student.model import HybridEncoder


@dataclass(frozen=True)
class Encoded:
    """Pairs with the embeddings float16 [B, D] of their sentences."""

    pairs: PairSet
    embeddings: Tensor

    def batch(self, rows: NDArray[np.int64], device: torch.device) -> tuple[PairBatch, Tensor]:
        """The pairs ``rows`` [R], and the embeddings [2 R, D] of their sentences."""
        sentences = torch.from_numpy(self.pairs.pairs[rows].ravel())
        return self.pairs.batch(rows).to(device), self.embeddings[sentences].to(device).float()


@torch.no_grad()
def encoded(pairs: PairSet, encoder: HybridEncoder, device: torch.device, block: int = 8192) -> Encoded:
    """``pairs`` with what ``encoder`` says of their sentences."""
    encoder, parts = encoder.to(device), []
    starts = range(0, len(pairs.sentences), block)
    for start in tqdm(starts, "encoding", unit=" blocks", disable=len(starts) < 2):
        taken = pairs.sentences.take(np.arange(start, min(start + block, len(pairs.sentences))))
        ids, offsets = torch.from_numpy(taken.token_ids).to(device), torch.from_numpy(taken.cu_seqlens).to(device)
        parts.append(encoder(ids, offsets).half().cpu())
    return Encoded(pairs, torch.cat(parts))
