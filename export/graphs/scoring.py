"""The traced modules: the student with compressed tables and heads, one module for each task.

Letters: B sentences, N packed tokens, P pairs, V vocabulary, d matrix side, e vector size, D state size, m similarity
width, w width of the pair encoder, T its blocks.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cmow.service.model.bundle import TableDtype
from export.graphs.int8 import Int8Linear
from export.ops import pairs_reference
from export.ops.tables import TABLE_NAMES, as_dtype
from training.bundle.rounding import quantise, quantise_layer
from training.bundle.scorer import Scorer
from training.student.heads import SimilarityHead
from training.student.pair_encoder import Block, PairEncoder, entailment_features, same_features
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


@torch.library.custom_op("cmow::encode_pairs", mutates_args=())
def encode_pairs(
    token_ids: Tensor,
    cu_seqlens: Tensor,
    pairs: Tensor,
    rows: Tensor,
    scales: Tensor,
    places: Tensor,
    mix: Tensor,
    mix_scales: Tensor,
    mix_bias: Tensor,
    key: Tensor,
    key_scales: Tensor,
    key_bias: Tensor,
    fuse: Tensor,
    fuse_scales: Tensor,
    fuse_bias: Tensor,
) -> Tensor:
    """Features float32 [P, 2, 2 w] of pairs, by the op's twin: the op that becomes ``ai.cmow::EncodePairs``."""
    layers = (mix, mix_scales, mix_bias, key, key_scales, key_bias, fuse, fuse_scales, fuse_bias)
    inputs = (token_ids, cu_seqlens, pairs, rows, scales, places, *layers)
    return torch.from_numpy(pairs_reference.encode_pairs(*(each.numpy() for each in inputs))).float()


@encode_pairs.register_fake
def _(
    token_ids: Tensor,
    cu_seqlens: Tensor,
    pairs: Tensor,
    rows: Tensor,
    scales: Tensor,
    places: Tensor,
    mix: Tensor,
    mix_scales: Tensor,
    mix_bias: Tensor,
    key: Tensor,
    key_scales: Tensor,
    key_bias: Tensor,
    fuse: Tensor,
    fuse_scales: Tensor,
    fuse_bias: Tensor,
) -> Tensor:
    return places.new_empty((pairs.shape[0], 2, 2 * rows.shape[1]))


class EncoderModel(nn.Module):
    """Sentences to states, from tables of ``dtype``."""

    def __init__(self, scorer: Scorer, dtype: TableDtype) -> None:
        super().__init__()
        values = (table.detach().numpy() for table in scorer.encoder.tables())
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


class SimilarityModel(nn.Module):
    """Sentences to unit embeddings, and their cosines."""

    def __init__(self, scorer: Scorer, dtype: TableDtype) -> None:
        super().__init__()
        self.encoder = EncoderModel(scorer, dtype)
        self.head = int8_similarity_head(scorer)

    def forward(self, token_ids: Tensor, cu_seqlens: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines [P] of ``pairs`` [P, 2], rows of the unit embeddings [B, m], which follow."""
        embeddings = self.head(self.encoder(token_ids, cu_seqlens))
        return cosines(embeddings, pairs), embeddings


class PairReader(nn.Module):
    """The pair encoder in int8: its table with a scale a row, its layers with a scale a column."""

    def __init__(self, encoder: PairEncoder) -> None:
        super().__init__()
        rows, scales = quantise(encoder.tokens.detach().numpy())
        self.rows, self.scales = nn.Buffer(torch.from_numpy(rows)), nn.Buffer(torch.from_numpy(scales))
        self.places = nn.Buffer(encoder.places.detach().clone())
        blocks = [cast(Block, block) for block in encoder.blocks]
        self.mix, self.mix_scales, self.mix_bias = _stacked(map(_mix, blocks))
        self.key, self.key_scales, self.key_bias = _stacked(map(_key, blocks))
        self.fuse, self.fuse_scales, self.fuse_bias = _stacked(map(_fuse, blocks))

    def forward(self, token_ids: Tensor, cu_seqlens: Tensor, pairs: Tensor) -> Tensor:
        """Features [P, 2, 2 w] of ``pairs`` [P, 2], rows of the packed sentences."""
        read: Tensor = encode_pairs(
            token_ids,
            cu_seqlens,
            pairs,
            self.rows,
            self.scales,
            self.places,
            self.mix,
            self.mix_scales,
            self.mix_bias,
            self.key,
            self.key_scales,
            self.key_bias,
            self.fuse,
            self.fuse_scales,
            self.fuse_bias,
        )
        return read


class EntailmentModel(nn.Module):
    """Pairs of sentences to calibrated probabilities."""

    def __init__(self, scorer: Scorer, dtype: TableDtype) -> None:
        super().__init__()
        self.encoder = EncoderModel(scorer, dtype)
        self.reader = PairReader(scorer.pairs.encoder)
        self.standardise = copy.deepcopy(scorer.pairs.standardise)
        self.head = int8_head(scorer.pairs.heads.entailment, scorer.entailment_balance)
        self.temperature = nn.Buffer(scorer.entailment_temperature.detach().clone())

    def forward(self, token_ids: Tensor, cu_seqlens: Tensor, pairs: Tensor) -> Tensor:
        """Probabilities [P, 3] of ``pairs`` [P, 2], premise first."""
        states = self.standardise(self.encoder(token_ids, cu_seqlens))
        read = self.reader(token_ids, cu_seqlens, pairs)
        logits: Tensor = self.head(entailment_features(pick(states, pairs, 0), pick(states, pairs, 1), read))
        return (logits / self.temperature).softmax(dim=1)


class SameModel(nn.Module):
    """Pairs of sentences to what does not change when they are exchanged: logits [P, 2] of paraphrase, relatedness."""

    def __init__(self, scorer: Scorer, dtype: TableDtype) -> None:
        super().__init__()
        self.encoder = EncoderModel(scorer, dtype)
        self.reader = PairReader(scorer.pairs.encoder)
        self.standardise = copy.deepcopy(scorer.pairs.standardise)
        self.same = int8_head(scorer.pairs.heads.same, scorer.same_balance)

    def logits(self, raw: Tensor, token_ids: Tensor, cu_seqlens: Tensor, pairs: Tensor) -> Tensor:
        """Of ``pairs`` [P, 2], rows of the packed sentences with the states ``raw`` [B, D]."""
        states = self.standardise(raw)
        read = self.reader(token_ids, cu_seqlens, pairs)
        found: Tensor = self.same(same_features(pick(states, pairs, 0), pick(states, pairs, 1), read))
        return found


class ParaphraseModel(SameModel):
    """Pairs of sentences to the probability that both say the same."""

    def __init__(self, scorer: Scorer, dtype: TableDtype) -> None:
        super().__init__(scorer, dtype)
        self.scale = nn.Buffer(scorer.paraphrase_scale.detach().clone())
        self.shift = nn.Buffer(scorer.paraphrase_shift.detach().clone())

    def forward(self, token_ids: Tensor, cu_seqlens: Tensor, pairs: Tensor) -> Tensor:
        """Probabilities [P] of ``pairs`` [P, 2]."""
        logits = self.logits(self.encoder(token_ids, cu_seqlens), token_ids, cu_seqlens, pairs)
        return (logits[:, 0] * self.scale + self.shift).sigmoid()


class RelatednessModel(SameModel):
    """Pairs of sentences to what the service weighs for their relatedness."""

    def __init__(self, scorer: Scorer, dtype: TableDtype) -> None:
        super().__init__(scorer, dtype)
        self.similarity = int8_similarity_head(scorer)

    def forward(self, token_ids: Tensor, cu_seqlens: Tensor, pairs: Tensor) -> Tensor:
        """Of ``pairs`` [P, 2] the cosine, and what the head says, from 0 to 1: [P, 2]."""
        states = self.encoder(token_ids, cu_seqlens)
        logits = self.logits(states, token_ids, cu_seqlens, pairs)
        return torch.stack([cosines(self.similarity(states), pairs), logits[:, 1].sigmoid()], dim=1)


def cosines(embeddings: Tensor, pairs: Tensor) -> Tensor:
    """Of ``pairs`` [P, 2], rows of the unit ``embeddings`` [B, m]: [P]."""
    left, right = F.embedding(pairs, embeddings).split(1, dim=1)  # [P, 1, m]
    found: Tensor = (left * right).sum(dim=(1, 2)).clamp(-1, 1)
    return found


def pick(rows: Tensor, pairs: Tensor, side: int) -> Tensor:
    """The rows that one ``side`` of ``pairs`` [P, 2] names: [P, ...]."""
    return rows.index_select(0, pairs[:, side])


def int8_similarity_head(scorer: Scorer) -> SimilarityHead:
    """The similarity head of states as they are, with its projection in int8 of standardised ones.

    A state's parts differ in scale: without that, the vector would be lost in the rounding of the products.
    """
    head = copy.deepcopy(scorer.similarity)
    linear = cast(nn.Linear, head.projection)
    head.projection = nn.Sequential(copy.deepcopy(scorer.standardise), Int8Linear(linear))
    return head


def int8_head(head: nn.Sequential, balance: Tensor) -> nn.Sequential:
    """``head`` with its hidden layer in int8, of features balanced so, and no dropout."""
    hidden, active, _, output = copy.deepcopy(head)
    return nn.Sequential(Int8Linear(cast(nn.Linear, hidden), balance), active, output)


Layer = tuple[Tensor, Tensor, Tensor]


def _mix(block: Block) -> Layer:
    """The convolution as the op takes it: int8 [w, 3 w], scales [3 w] and bias [w]."""
    weight = torch.cat([layer.weight for layer in (block.before, block.here, block.after)])
    return *_columns(weight), block.here.bias


def _key(block: Block) -> Layer:
    """The keys: int8 [w, q], scales [q] and bias [q]."""
    return *_columns(block.key.weight), block.key.bias


def _fuse(block: Block) -> Layer:
    """The fusion, a matrix for each of its features: int8 [4, w, w], scales [4, w] and bias [w]."""
    weights, scales = zip(*map(_columns, block.fuse.weight.chunk(4, dim=1)), strict=True)
    return torch.stack(weights), torch.stack(scales), block.fuse.bias


def _columns(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A layer's ``weight`` [out, in] as int8 [in, out], and a scale for each of its outputs [out]."""
    rows, scales = quantise_layer(weight.detach().numpy())
    return torch.from_numpy(rows), torch.from_numpy(scales)


def _stacked(layers: Iterable[Layer]) -> tuple[nn.Buffer, nn.Buffer, nn.Buffer]:
    """Weights, scales and biases of all blocks, [T, ...] each."""
    weights, scales, biases = (nn.Buffer(torch.stack(parts).detach()) for parts in zip(*layers, strict=True))
    return weights, scales, biases
