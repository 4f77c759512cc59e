"""What the shipped model reads of pairs, once: all but its heads stays as it is, so that a step moves a head alone.

Letters: B sentences, P pairs, R of a batch, D state size, w width of the pair encoder.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from training.pairs.encoded import Encoded, encoded
from training.pairs.pairset import PairSet
from training.student.model import HybridEncoder
from training.student.pair_model import PairModel

CPU = torch.device("cpu")


@dataclass(frozen=True)
class PairFeatures:
    """Pairs, the ``states`` float16 [B, D] of their sentences, and what was ``read`` of each, float16 [P, 2, 2 w]."""

    pairs: PairSet
    states: Tensor
    read: Tensor
    model: PairModel

    def __len__(self) -> int:
        return len(self.read)

    def batch(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor]:
        """Of the pairs ``rows`` [R] what heads take: standardised states [R, D] of both sides, and what was read."""
        states = self.model.standardise(self.states[torch.from_numpy(self.pairs.pairs[rows])].float())  # [R, 2, D]
        return states[:, 0], states[:, 1], self.read[torch.from_numpy(rows)].float()


@torch.no_grad()
def read_pairs(
    pairs: PairSet, encoder: HybridEncoder, model: PairModel, what: str, block: int = 256
) -> dict[str, Tensor]:
    """``states`` and ``read`` of ``pairs``, as in `PairFeatures`, with a progress bar named ``what``."""
    known: Encoded = encoded(pairs, encoder, CPU)
    longest = pairs.sentences.lengths[pairs.pairs].max(axis=1, initial=0)
    order = longest.argsort(kind="stable")  # the pair encoder pads a block to its longest sentence
    read = torch.empty(len(pairs), 2, 2 * model.config.width, dtype=torch.float16)
    blocks = np.split(order, range(block, len(order), block))
    for rows in tqdm(blocks, what, unit=" blocks", disable=len(blocks) < 2):
        taken = pairs.batch(rows)
        read[torch.from_numpy(rows)] = model.encoder(taken.token_ids, taken.cu_seqlens, taken.pairs).half()
    return {"states": known.embeddings, "read": read}
