"""The traced module: the student with compressed tables, scoring both tasks in one graph.

Letters: B sentences, N packed tokens, E sentences to project, P, Q and R pairs, V vocabulary, d matrix side, e vector
size.
"""

from __future__ import annotations

import copy
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from export.ops.tables import TABLE_NAMES, as_dtype, quantise
from service.bundle import TableDtype
from training.heads import EntailmentHead, ParaphraseHead
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
        self.alignment = student.alignment
        self.entailment_head = with_int8_hidden(student.entailment_head)
        self.paraphrase_head = with_int8_hidden(student.paraphrase_head)
        self.temperature = nn.Buffer(student.entailment_temperature.detach().clone())
        self.shift = nn.Buffer(student.paraphrase_shift.detach().clone())

    def forward(
        self,
        token_ids: Tensor,
        cu_seqlens: Tensor,
        embed_index: Tensor,
        similarity_pairs: Tensor,
        entailment_pairs: Tensor,
        paraphrase_pairs: Tensor,
        aligned_ids: Tensor,
        aligned_cu_seqlens: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Unit embeddings [E, m], cosines [P], probabilities [Q, 3] and [R], and the encoder's states [B, D].

        ``embed_index`` [E] picks sentences to project, ``similarity_pairs`` [P, 2] rows of these projections,
        ``entailment_pairs`` [Q, 2] (premise first) and ``paraphrase_pairs`` [R, 2] sentences; all int64, any of E, P,
        Q and R may be 0. ``aligned_ids`` and ``aligned_cu_seqlens`` repeat the sentences where Q or R is not 0; where
        both are, they may hold B empty sentences, which saves the alignment's share of the work.
        """
        encoded = hybrid_encode_tables(
            token_ids, cu_seqlens, self.vectors, self.forward_deltas, self.backward_deltas, self.scales
        )  # [B, D]
        embeddings = self.similarity_head(encoded.index_select(0, embed_index))  # [E, m]
        similarity = (pick(embeddings, similarity_pairs, 0) * pick(embeddings, similarity_pairs, 1)).sum(dim=1)  # [P]
        of_entailment, of_paraphrase = self.align(aligned_ids, aligned_cu_seqlens, entailment_pairs, paraphrase_pairs)
        entailment = self.entailment_head(
            pick(encoded, entailment_pairs, 0), pick(encoded, entailment_pairs, 1), of_entailment
        )  # [Q, 3]
        paraphrase = self.paraphrase_head(
            pick(encoded, paraphrase_pairs, 0), pick(encoded, paraphrase_pairs, 1), of_paraphrase
        )  # [R]
        probabilities = (entailment / self.temperature).softmax(dim=1), (paraphrase + self.shift).sigmoid()
        return embeddings, similarity.clamp(-1, 1), *probabilities, encoded

    def align(
        self, token_ids: Tensor, cu_seqlens: Tensor, entailment_pairs: Tensor, paraphrase_pairs: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        """Alignment features [Q, 2, 2 h] and [R, 2, 2 h] of both kinds of pairs, if the student aligns."""
        if self.alignment is None:
            return None, None
        vectors = self.vectors.index_select(0, token_ids).float()  # [N, e]
        if self.scales is not None:
            vectors = vectors * self.scales[:, :1].index_select(0, token_ids)
        pairs = torch.cat([entailment_pairs, paraphrase_pairs])
        features = self.alignment(vectors, cu_seqlens, pairs)
        Q = entailment_pairs.shape[0]  # not len(), which tracing would take as a constant
        return features[:Q], features[Q:]


def pick(rows: Tensor, pairs: Tensor, side: int) -> Tensor:
    """The rows that one ``side`` of ``pairs`` [P, 2] names: [P, ...]."""
    return rows.index_select(0, pairs[:, side])


Head = TypeVar("Head", EntailmentHead, ParaphraseHead)


def with_int8_hidden(head: Head) -> Head:
    """A copy of ``head`` with its hidden layer in int8."""
    compressed = copy.deepcopy(head)
    compressed.hidden = Int8Linear(cast(nn.Linear, head.hidden))
    return compressed
