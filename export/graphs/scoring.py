"""The traced modules: the student with compressed tables and heads, one module for each task.

Letters: B sentences, N packed tokens, P pairs, V vocabulary, d matrix side, e vector size, D state size, m similarity
width, k width of what the alignment takes of a token.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cmow.service.model.bundle import TableDtype
from export.graphs.int8 import Int8Linear, Standardise, on_standardised
from export.ops.tables import TABLE_NAMES, as_dtype, quantise
from training.student.heads import Alignment, EntailmentHead, ParaphraseHead, SimilarityHead
from training.student.model import Student
from training.student.product import hybrid_encode


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


class EncoderModel(nn.Module):
    """Sentences to states, from tables of ``dtype``."""

    def __init__(self, student: Student, dtype: TableDtype) -> None:
        super().__init__()
        values = (table.detach().numpy() for table in student.encoder.tables())
        tables = as_dtype(dict(zip(TABLE_NAMES, values, strict=False)), dtype)
        buffers = {name: nn.Buffer(torch.from_numpy(table)) for name, table in tables.items()}
        self.vectors, self.forward_deltas = buffers["vectors"], buffers["forward_deltas"]
        self.backward_deltas, self.scales = buffers["backward_deltas"], buffers.get("scales")

    def forward(self, token_ids: Tensor, cu_seqlens: Tensor) -> Tensor:
        """States float32 [B, D] of packed sentences."""
        states: Tensor = hybrid_encode_tables(
            token_ids, cu_seqlens, self.vectors, self.forward_deltas, self.backward_deltas, self.scales
        )
        return states


class TokenTable(nn.Module):
    """What the alignment computes of each token alone: [V, k] in int8 with a scale a row, instead of from its vector.

    The alignment takes nothing else of a token, so that a row of k numbers replaces a row of e and a matrix product.
    """

    def __init__(self, alignment: Alignment, vectors: Tensor) -> None:
        super().__init__()
        with torch.no_grad():  # with the statistics of training, not of this vocabulary
            rows, scales = quantise(alignment.eval().own(vectors).numpy())
        self.rows, self.scales = nn.Buffer(torch.from_numpy(rows)), nn.Buffer(torch.from_numpy(scales))

    def forward(self, token_ids: Tensor) -> Tensor:
        """Rows float32 [N, k] of ``token_ids`` [N]."""
        return self.rows.index_select(0, token_ids).float() * self.scales.index_select(0, token_ids)[:, None]


class SimilarityModel(nn.Module):
    """Sentences to unit embeddings, and their cosines."""

    def __init__(self, student: Student, dtype: TableDtype) -> None:
        super().__init__()
        self.encoder = EncoderModel(student, dtype)
        self.head = int8_similarity_head(student)

    def forward(self, token_ids: Tensor, cu_seqlens: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines [P] of ``pairs`` [P, 2], rows of the unit embeddings [B, m], which follow."""
        embeddings = self.head(self.encoder(token_ids, cu_seqlens))
        left, right = F.embedding(pairs, embeddings).split(1, dim=1)  # [P, 1, m]
        return (left * right).sum(dim=(1, 2)).clamp(-1, 1), embeddings


class PairModel(nn.Module):
    """Pairs of sentences to the logits of one of the heads."""

    def __init__(self, student: Student, dtype: TableDtype, head: EntailmentHead | ParaphraseHead) -> None:
        super().__init__()
        self.encoder = EncoderModel(student, dtype)
        self.head = int8_pair_head(head)
        self.alignment = alignment = student.alignment
        self.tokens = None if alignment is None else TokenTable(alignment, student.encoder.vectors)

    def forward(self, token_ids: Tensor, cu_seqlens: Tensor, pairs: Tensor) -> Tensor:
        """Logits of ``pairs`` [P, 2], rows of the packed sentences: [P, 3] or [P]."""
        states = self.encoder(token_ids, cu_seqlens)
        aligned = None
        if self.alignment is not None and self.tokens is not None:
            aligned = self.alignment.align(self.tokens(token_ids), cu_seqlens, pairs)
        logits: Tensor = self.head(pick(states, pairs, 0), pick(states, pairs, 1), aligned)
        return logits


class EntailmentModel(PairModel):
    """Pairs of sentences to calibrated probabilities."""

    def __init__(self, student: Student, dtype: TableDtype) -> None:
        super().__init__(student, dtype, student.entailment_head)
        self.temperature = nn.Buffer(student.entailment_temperature.detach().clone())

    def forward(self, token_ids: Tensor, cu_seqlens: Tensor, pairs: Tensor) -> Tensor:
        """Probabilities [P, 3] of ``pairs`` [P, 2], premise first."""
        return (super().forward(token_ids, cu_seqlens, pairs) / self.temperature).softmax(dim=1)


class ParaphraseModel(PairModel):
    """Pairs of sentences to the probability that both say the same."""

    def __init__(self, student: Student, dtype: TableDtype) -> None:
        super().__init__(student, dtype, student.paraphrase_head)
        self.shift = nn.Buffer(student.paraphrase_shift.detach().clone())

    def forward(self, token_ids: Tensor, cu_seqlens: Tensor, pairs: Tensor) -> Tensor:
        """Probabilities [P] of ``pairs`` [P, 2]."""
        return (super().forward(token_ids, cu_seqlens, pairs) + self.shift).sigmoid()


def pick(rows: Tensor, pairs: Tensor, side: int) -> Tensor:
    """The rows that one ``side`` of ``pairs`` [P, 2] names: [P, ...]."""
    return rows.index_select(0, pairs[:, side])


def int8_similarity_head(student: Student) -> SimilarityHead:
    """The similarity head with its projection in int8, of states standardised as the paraphrase head does it.

    A state's parts differ in scale: without that, the vector would be lost in the rounding of the products.
    """
    head = copy.deepcopy(student.similarity_head)
    standardise = Standardise(cast(nn.BatchNorm1d, student.paraphrase_head.standardise))
    linear = on_standardised(cast(nn.Linear, head.projection), standardise)
    head.projection = nn.Sequential(standardise, Int8Linear(linear))
    return head


def int8_pair_head(head: EntailmentHead | ParaphraseHead) -> EntailmentHead | ParaphraseHead:
    """A copy of ``head`` with its hidden layer in int8."""
    compressed = copy.deepcopy(head)
    compressed.hidden = Int8Linear(cast(nn.Linear, head.hidden))
    if isinstance(head.standardise, nn.BatchNorm1d):
        compressed.standardise = Standardise(head.standardise)
    return compressed
