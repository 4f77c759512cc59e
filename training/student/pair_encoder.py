"""The pair encoder: token features by look-up, then blocks of convolution, alignment and fusion over both sentences.

After RE2 (Yang et al., "Simple and Effective Text Matching with Richer Alignment Features", ACL 2019). What a token
brings is read from two tables, by its id and by its place: without places, exchanged roles are never told apart. With
the features X [n, w] and Y [m, w] of two sentences, a block is

    X = X + hardswish(before(X shifted by one) + here(X) + after(X shifted back))          likewise Y
    A = softmax(key(X) @ key(Y).T / sqrt(q)) @ Y                                      [n, w], what X finds in Y
    X = X + hardswish([X | A | |X - A| | X * A] @ fuse + bias)                             likewise Y, from the old X

and a sentence of the pair becomes [mean of X | maximum of X], [2 w]. A sentence without tokens gives zeros and is a
zero vector to attend to.

Letters: N packed tokens, B sentences, P pairs, L the most tokens, V vocabulary, w width, q key size, S places.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.student.packing import padded


class Block(nn.Module):
    """Convolution of width 3, soft alignment and fusion, with residuals."""

    def __init__(self, width: int, key_dim: int) -> None:
        super().__init__()
        self.before = nn.Linear(width, width, bias=False)
        self.here = nn.Linear(width, width)
        self.after = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, key_dim)
        self.fuse = nn.Linear(4 * width, width)

    def mix(self, tokens: Tensor, filled: Tensor) -> Tensor:
        """Each of ``tokens`` [P, L, w] with its neighbours; padding, where ``filled`` [P, L, 1] is 0, stays zero."""
        edge = tokens.new_zeros(tokens.shape[0], 1, tokens.shape[2])
        before = torch.cat([edge, tokens[:, :-1]], dim=1)
        after = torch.cat([tokens[:, 1:], edge], dim=1)
        return tokens + F.hardswish(self.before(before) + self.here(tokens) + self.after(after)) * filled

    def forward(self, left: Tensor, right: Tensor, filled: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Both sides [P, L, w] after the block."""
        left, right = self.mix(left, filled[0]), self.mix(right, filled[1])
        logits = self.key(left) @ self.key(right).transpose(1, 2) * self.key.out_features**-0.5  # [P, L, L']
        of_right = _softmax(logits, filled[1].transpose(1, 2)) @ right
        of_left = _softmax(logits.transpose(1, 2), filled[0].transpose(1, 2)) @ left
        return left + self._fused(left, of_right) * filled[0], right + self._fused(right, of_left) * filled[1]

    def _fused(self, own: Tensor, found: Tensor) -> Tensor:
        return F.hardswish(self.fuse(torch.cat([own, found, (own - found).abs(), own * found], dim=-1)))


class PairEncoder(nn.Module):
    """Two sentences read beside each other, from the first features ``tokens`` [V, w] of each token."""

    def __init__(self, tokens: Tensor, blocks: int = 2, key_dim: int = 64, places: int = 64) -> None:
        super().__init__()
        width = tokens.shape[1]
        self.tokens = nn.Parameter(tokens.clone())
        self.places = nn.Parameter(0.3 * torch.randn(places, width))
        self.blocks = nn.ModuleList(Block(width, key_dim) for _ in range(blocks))

    @property
    def width(self) -> int:
        """w; a sentence of a pair becomes twice as many numbers."""
        return self.tokens.shape[1]

    def forward(self, token_ids: Tensor, cu_seqlens: Tensor, pairs: Tensor) -> Tensor:
        """[P, 2, 2 w] of ``pairs`` int64 [P, 2], rows of packed sentences: ``token_ids`` [N], ``cu_seqlens`` [B+1]."""
        lengths = cu_seqlens.diff()
        features = self.features(token_ids, _places(lengths))
        left, right = (padded(features, cu_seqlens, pairs[:, side]) for side in (0, 1))
        filled = _filled(lengths[pairs[:, 0]], left), _filled(lengths[pairs[:, 1]], right)
        for block in self.blocks:
            left, right = block(left, right, filled)
        return torch.stack([_pooled(left, filled[0]), _pooled(right, filled[1])], dim=1)

    def features(self, token_ids: Tensor, places: Tensor) -> Tensor:
        """First features [N, w] of tokens at ``places`` [N]; places beyond the table count as its last one."""
        rows = F.embedding(token_ids, self.tokens, sparse=True)
        features = F.hardswish(rows + self.places[places.clamp(max=len(self.places) - 1)])
        device = features.device.type
        # Under autocast everything after this is bfloat16 at once, instead of by a conversion before each product.
        return features.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else features


def _places(lengths: Tensor) -> Tensor:
    """Each token's place in its sentence, int64 [N]."""
    starts = lengths.cumsum(0) - lengths
    return torch.arange(int(lengths.sum()), device=lengths.device) - torch.repeat_interleave(starts, lengths)


def _filled(lengths: Tensor, tokens: Tensor) -> Tensor:
    """1 where ``tokens`` [P, L, w] have one, 0 where they have padding: [P, L, 1], of their dtype."""
    return (torch.arange(tokens.shape[1], device=lengths.device) < lengths[:, None]).to(tokens.dtype)[..., None]


def _softmax(logits: Tensor, filled: Tensor) -> Tensor:
    """Over the last dimension; padding beside tokens weighs nothing, and padding alone is zero to attend to."""
    return logits.masked_fill(filled == 0, torch.finfo(logits.dtype).min).softmax(dim=-1)


def _pooled(tokens: Tensor, filled: Tensor) -> Tensor:
    """[mean | maximum] over the tokens, [P, 2 w]; zeros where there is none."""
    count = filled.sum(dim=1)
    mean = tokens.sum(dim=1) / count.clamp_min(1)
    most = tokens.masked_fill(filled == 0, torch.finfo(tokens.dtype).min).amax(dim=1)
    return torch.cat([mean, torch.where(count > 0, most, 0.0)], dim=1)


class PairHeads(nn.Module):
    """Entailment [P, 3], and logits of paraphrase and relatedness [P], from the pair encoder beside DiffCat.

    Embeddings u, v [P, D] come standardised. Entailment reads the two sentences in order, the others do not.
    """

    def __init__(self, embedding_dim: int, width: int, hidden_dim: int, dropout: float) -> None:
        super().__init__()
        self.entailment = nn.Sequential(
            nn.Linear(4 * embedding_dim + 8 * width, hidden_dim),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden_dim, 3),
        )
        self.same = nn.Sequential(
            nn.Linear(2 * embedding_dim + 6 * width, hidden_dim // 2),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden_dim // 2, 2),
        )

    def forward(self, u: Tensor, v: Tensor, read: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of entailment [P, 3], of paraphrase [P] and of relatedness [P]; ``read`` [P, 2, 2 w]."""
        entailment: Tensor = self.entailment(entailment_features(u, v, read))
        same = self.same(same_features(u, v, read))
        return entailment, same[:, 0], same[:, 1]


def entailment_features(u: Tensor, v: Tensor, read: Tensor) -> Tensor:
    """DiffCat with the product, of states u, v [P, D] and of what was ``read`` [P, 2, 2 w]: [P, 4 D + 8 w]."""
    p, q = read.unbind(dim=1)
    return torch.cat([u, v, p, q, (u - v).abs(), (p - q).abs(), u * v, p * q], dim=1)


def same_features(u: Tensor, v: Tensor, read: Tensor) -> Tensor:
    """Features [P, 2 D + 6 w] that do not change when the two sentences are exchanged."""
    p, q = read.unbind(dim=1)
    return torch.cat([p + q, (u - v).abs(), (p - q).abs(), u * v, p * q], dim=1)
