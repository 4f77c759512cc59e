"""The heads: similarity of single sentences, entailment and paraphrase of pairs.

Letters: N packed tokens, B sentences, P pairs, D embedding size, e vector size, m similarity width, q, k and h widths
of keys, values and comparisons in the alignment.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.data.files import NLI_LABELS
from training.student.alignment import align_pairs

SMALLEST_NORM = 1e-12


class Standardise(nn.Module):
    """A difference and a product: what a ``BatchNorm1d`` without weights is after training."""

    def __init__(self, mean: Tensor, inverse: Tensor) -> None:
        super().__init__()
        self.mean, self.inverse = nn.Buffer(mean.clone()), nn.Buffer(inverse.clone())

    @staticmethod
    def of(trained: nn.BatchNorm1d) -> Standardise:
        """With the mean and the deviation that ``trained`` has seen."""
        assert trained.running_mean is not None
        assert trained.running_var is not None
        return Standardise(trained.running_mean, (trained.running_var.double() + trained.eps).rsqrt().float())

    def forward(self, inputs: Tensor) -> Tensor:
        """``inputs`` [B, D] with mean 0 and deviation 1 over the training text."""
        return (inputs - self.mean) * self.inverse


class SimilarityHead(nn.Module):
    """Projection to the teacher's space; the cosine there is the similarity."""

    def __init__(self, embedding_dim: int, similarity_dim: int) -> None:
        super().__init__()
        self.projection: nn.Module = nn.Linear(embedding_dim, similarity_dim)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Unit-length vectors [B, m] of encoder embeddings [B, D]."""
        projected: Tensor = self.projection(embeddings)
        # What F.normalize does, of which export makes three times the nodes.
        norms: Tensor = torch.linalg.vector_norm(projected, dim=-1, keepdim=True).clamp_min(SMALLEST_NORM)
        return projected / norms


class Alignment(nn.Module):
    """Soft alignment of the tokens of a pair: attend, compare, aggregate.

    Parikh et al., "A Decomposable Attention Model for Natural Language Inference" (EMNLP 2016), with each token mixed
    with its neighbours, the difference and product of Chen et al., "Enhanced LSTM for Natural Language Inference" (ACL
    2017), and a maximum besides the mean.
    """

    def __init__(self, token_dim: int, key_dim: int, value_dim: int, compare_dim: int) -> None:
        super().__init__()
        self.standardise = nn.BatchNorm1d(token_dim, affine=False)
        self.token = nn.Linear(token_dim, value_dim)
        self.before = nn.Linear(value_dim, value_dim, bias=False)
        self.here = nn.Linear(value_dim, value_dim)
        self.after = nn.Linear(value_dim, value_dim, bias=False)
        self.key = nn.Linear(value_dim, key_dim)
        compare = nn.Linear(4 * value_dim, compare_dim)
        self.compare_weight = nn.Parameter(compare.weight.detach().T.contiguous())  # [4 k, h], as the operator takes it
        self.compare_bias = compare.bias  # [h]

    def own(self, states: Tensor) -> Tensor:
        """What each token brings on its own, [N, k], of its state [N, token_dim]."""
        return F.relu(self.token(self.standardise(states)))

    def values(self, own: Tensor, cu_seqlens: Tensor) -> Tensor:
        """Token values [N, k]: ``own`` [N, k] mixed with the neighbours' in the sentence."""
        # shape[0] and not len(), which tracing would take as a constant.
        joined = own.new_ones(own.shape[0] + 1).index_fill(0, cu_seqlens, 0)[:, None]  # 0 between two sentences
        edge = own.new_zeros(1, own.shape[1])
        before = torch.cat([edge, own])[:-1] * joined[:-1]
        after = torch.cat([own, edge])[1:] * joined[1:]
        return own + F.relu(self.before(before) + self.here(own) + self.after(after))

    def align(self, own: Tensor, cu_seqlens: Tensor, pairs: Tensor) -> Tensor:
        """What the alignment of each of ``pairs`` [P, 2] shows, for either side, [P, 2, 2 h], from ``own`` [N, k]."""
        values = self.values(own, cu_seqlens)
        # Under autocast what linear layers give is bfloat16, and parameters are not.
        weight, bias = (parameter.to(values.dtype) for parameter in (self.compare_weight, self.compare_bias))
        return align_pairs(self.key(values), values, cu_seqlens, pairs, weight, bias)

    def forward(self, states: Tensor, cu_seqlens: Tensor, pairs: Tensor) -> Tensor:
        """The same from per-token states [N, token_dim]."""
        return self.align(self.own(states), cu_seqlens, pairs)


class EntailmentHead(nn.Module):
    """DiffCat MLP with one hidden layer (Galke et al., section 3.4), and what may go beyond it.

    ``standardise``: embeddings are standardised first, since their parts differ in scale. ``product``: u * v by the
    paper's [u ; v ; |u - v|]. ``aligned_dim``: width of one side's alignment features, 0 without.
    """

    def __init__(
        self, embedding_dim: int, hidden_dim: int, dropout: float, standardise: bool, product: bool, aligned_dim: int
    ) -> None:
        super().__init__()
        self.standardise: nn.Module = nn.BatchNorm1d(embedding_dim, affine=False) if standardise else nn.Identity()
        self.product = product
        self.hidden: nn.Module = nn.Linear((4 if product else 3) * embedding_dim + 2 * aligned_dim, hidden_dim)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden_dim, len(NLI_LABELS))

    def forward(self, premise: Tensor, hypothesis: Tensor, aligned: Tensor | None = None) -> Tensor:
        """Logits [P, 3] in the order of ``NLI_LABELS`` for embeddings [P, D] and alignment features [P, 2, ...]."""
        both = torch.stack([premise, hypothesis])  # [2, P, D]
        u, v = self.standardise(both.flatten(0, 1)).view_as(both)
        features = [u, v, (u - v).abs()]
        if self.product:
            features.append(u * v)
        if aligned is not None:
            features.append(aligned.flatten(1))
        hidden = F.relu(self.hidden(self.dropout(torch.cat(features, dim=-1))))  # [P, hidden]
        logits: Tensor = self.output(self.dropout(hidden))
        return logits


class ParaphraseHead(nn.Module):
    """Whether two sentences say the same: an MLP on features that do not change when the two are swapped."""

    def __init__(self, embedding_dim: int, hidden_dim: int, dropout: float, aligned_dim: int) -> None:
        super().__init__()
        self.standardise: nn.Module = nn.BatchNorm1d(embedding_dim, affine=False)
        self.hidden: nn.Module = nn.Linear(2 * embedding_dim + 2 * aligned_dim, hidden_dim)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden_dim, 1)

    def forward(self, left: Tensor, right: Tensor, aligned: Tensor | None = None) -> Tensor:
        """Logits [P] for embeddings [P, D] and alignment features [P, 2, ...]."""
        both = torch.stack([left, right])
        u, v = self.standardise(both.flatten(0, 1)).view_as(both)
        features = [(u - v).abs(), u * v]
        if aligned is not None:
            features += [aligned[:, 0] + aligned[:, 1], (aligned[:, 0] - aligned[:, 1]).abs()]
        hidden = F.relu(self.hidden(self.dropout(torch.cat(features, dim=-1))))  # [P, hidden]
        logits: Tensor = self.output(self.dropout(hidden))
        return logits.squeeze(-1)
