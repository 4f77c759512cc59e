"""The traced module: the student with compressed tables, scoring both tasks in one graph.

Letters: B sentences, N packed tokens, E sentences to project, P and Q pairs, V vocabulary, d matrix side, e vector
size.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn

from export.ops.tables import TABLE_NAMES, as_dtype, quantise
from service.bundle import TableDtype
from training.product import hybrid_encode
from training.student import Student


def expand(tables: list[Tensor], scales: Tensor | None, rows: Tensor) -> list[Tensor]:
    """Rows ``rows`` [U] of each table as float32."""
    picked = [table[rows].float() for table in tables]
    if scales is None:
        return picked
    return [table * scales[rows, column].view(-1, *[1] * (table.dim() - 1)) for column, table in enumerate(picked)]


@torch.library.custom_op("cmow::hybrid_encode_tables", mutates_args=())
def hybrid_encode_tables(
    token_ids: Tensor,
    cu_seqlens: Tensor,
    vectors: Tensor,
    forward_deltas: Tensor,
    backward_deltas: Tensor,
    scales: Tensor | None,
) -> Tensor:
    """Embeddings float32 [B, e + 2 d^2] from tables of any dtype: the op that becomes ``ai.cmow::HybridEncode``."""
    rows, local_ids = token_ids.unique(return_inverse=True)
    return hybrid_encode(local_ids, cu_seqlens, *expand([vectors, forward_deltas, backward_deltas], scales, rows))


@hybrid_encode_tables.register_fake
def _(
    token_ids: Tensor,
    cu_seqlens: Tensor,
    vectors: Tensor,
    forward_deltas: Tensor,
    backward_deltas: Tensor,
    scales: Tensor | None,
) -> Tensor:
    width = vectors.shape[1] + forward_deltas[0].numel() + backward_deltas[0].numel()
    return vectors.new_empty((cu_seqlens.shape[0] - 1, width), dtype=torch.float32)


class Int8Linear(nn.Module):
    """A linear layer whose weight rests as int8 with one scale an output; the graph expands it once, at load."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight, scales = quantise(linear.weight.detach().numpy())
        self.weight = nn.Buffer(torch.from_numpy(weight).T.contiguous())  # [in, out]
        self.scales = nn.Buffer(torch.from_numpy(scales))  # [out]
        self.bias = nn.Buffer(linear.bias.detach())

    def forward(self, inputs: Tensor) -> Tensor:
        """``inputs`` [P, in] times the expanded weight, plus bias: [P, out]."""
        return inputs @ (self.weight.float() * self.scales) + self.bias


class ScoringModel(nn.Module):
    """One graph for the service: encode every sentence once, then project, compare and classify what is asked for."""

    def __init__(self, student: Student, dtype: TableDtype) -> None:
        super().__init__()
        self.table_dtype = dtype
        values = (table.detach().numpy() for table in student.encoder.tables())
        tables = as_dtype(dict(zip(TABLE_NAMES, values, strict=False)), dtype)
        buffers = {name: nn.Buffer(torch.from_numpy(table)) for name, table in tables.items()}
        self.vectors, self.forward_deltas = buffers["vectors"], buffers["forward_deltas"]
        self.backward_deltas, self.scales = buffers["backward_deltas"], buffers.get("scales")
        self.similarity_head = student.similarity_head
        self.entailment_head = copy.deepcopy(student.entailment_head)
        self.entailment_head.hidden = Int8Linear(cast(nn.Linear, student.entailment_head.hidden))

    def forward(
        self,
        token_ids: Tensor,
        cu_seqlens: Tensor,
        embed_index: Tensor,
        similarity_pairs: Tensor,
        entailment_pairs: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Unit embeddings [E, m], cosines [P] and probabilities [Q, 3].

        ``embed_index`` [E] picks sentences to project, ``similarity_pairs`` [P, 2] rows of these projections and
        ``entailment_pairs`` [Q, 2] sentences, premise first; all int64, any of E, P, Q may be 0.
        """
        encoded = hybrid_encode_tables(
            token_ids, cu_seqlens, self.vectors, self.forward_deltas, self.backward_deltas, self.scales
        )  # [B, D]
        embeddings = self.similarity_head(encoded.index_select(0, embed_index))  # [E, m]
        left, right = (embeddings.index_select(0, similarity_pairs[:, side]) for side in (0, 1))  # [P, m]
        similarity = (left * right).sum(dim=1).clamp(-1, 1)  # [P]
        premise, hypothesis = (encoded.index_select(0, entailment_pairs[:, side]) for side in (0, 1))  # [Q, D]
        return embeddings, similarity, self.entailment_head(premise, hypothesis).softmax(dim=1)
