"""The student as a classifier of one sentence or of a pair, for one task, in the paper's configurations.

Galke et al. (arXiv 2109.08449), sections 3.4 and 4. Letters: R rows, B sentences, D embedding size, C outputs.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from cmow.service.text.tokenizer import PackedTokens
from training.paper.glue import EncoderName
from training.student.model import HybridEncoder


def embedding_columns(encoder: HybridEncoder, name: EncoderName) -> slice:
    """The columns of the embedding [mean | forward | backward] that the configuration ``name`` has.

    A table whose columns are left out gets gradients of zero and stays as it is.
    """
    e, d = encoder.vectors.shape[1], encoder.forward_deltas.shape[-1]
    return {
        "cbow": slice(0, e),
        "cmow": slice(e, e + d * d),
        "hybrid": slice(0, e + d * d),
        "bidirectional": slice(0, e + 2 * d * d),
    }[name]


class Classifier(nn.Module):
    """Encoder, DiffCat for pairs, and an MLP with one hidden layer, or a linear layer where ``hidden_dim`` is 0."""

    def __init__(
        self, encoder: HybridEncoder, name: EncoderName, diffcat: bool, hidden_dim: int, outputs: int, dropout: float
    ) -> None:
        super().__init__()
        self.encoder, self.diffcat = encoder, diffcat
        self.columns = embedding_columns(encoder, name)
        features = (3 if diffcat else 1) * (self.columns.stop - self.columns.start)
        if hidden_dim:
            self.head = nn.Sequential(
                nn.Dropout(dropout),
                nn.Linear(features, hidden_dim),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Linear(hidden_dim, outputs),
            )
        else:
            self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(features, outputs))

    def forward(self, token_ids: Tensor, cu_seqlens: Tensor) -> Tensor:
        """Outputs [R, C] of packed sentences; with DiffCat row r is the sentences 2 r and 2 r + 1."""
        embeddings = self.encoder(token_ids, cu_seqlens)[:, self.columns]
        if self.diffcat:
            u, v = embeddings[0::2], embeddings[1::2]
            embeddings = torch.cat([u, v, (u - v).abs()], dim=1)
        outputs: Tensor = self.head(embeddings)
        return outputs


def join_pairs(pairs: PackedTokens, separator: int) -> PackedTokens:
    """Sentences 2 r and 2 r + 1 as one, with the token ``separator`` between them: joint encoding."""
    token_ids = np.insert(pairs.token_ids, pairs.cu_seqlens[1:-1:2], separator)
    cu_seqlens = pairs.cu_seqlens[::2] + np.arange(len(pairs) // 2 + 1)
    return PackedTokens(token_ids, cu_seqlens, pairs.truncated[0::2] | pairs.truncated[1::2])
