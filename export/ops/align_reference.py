"""``AlignPairs`` in the obvious way, in float64: what every kernel and the portable body are compared with.

Letters: N packed tokens, Q pairs, n and m tokens of a pair's sentences, q key size, k value size, h comparison size.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def softmax(logits: Array) -> Array:
    """Softmax of each row of [n, m]; for m = 0 there is nothing to weigh."""
    if logits.size == 0:
        return logits
    weights: Array = np.exp(logits - logits.max(axis=1, keepdims=True))
    normalised: Array = weights / weights.sum(axis=1, keepdims=True)
    return normalised


def align_sentence(
    own_keys: Array, own_values: Array, other_keys: Array, other_values: Array, weight: Array, bias: Array
) -> Array:
    """One half of a pair, [2 h]: mean and maximum of what its own n tokens have beside the m tokens of the other."""
    if len(own_keys) == 0:
        return np.zeros(2 * len(bias))
    attended = softmax(own_keys @ other_keys.T) @ other_values  # [n, k], zeros for m = 0
    features = [own_values, attended, np.abs(own_values - attended), own_values * attended]
    compared = np.maximum(np.concatenate(features, axis=1) @ weight + bias, 0)  # [n, h]
    return np.concatenate([compared.mean(axis=0), compared.max(axis=0)])


def align_pairs(
    keys: NDArray[np.floating],
    values: NDArray[np.floating],
    cu_seqlens: NDArray[np.int64],
    pairs: NDArray[np.int64],
    weight: NDArray[np.floating],
    bias: NDArray[np.floating],
) -> Array:
    """Pooled comparisons [Q, 2, 2 h] of sentence pairs whose tokens attend to each other.

    Args:
        keys: [N, q], whose dot products are the logits of attention.
        values: [N, k], what is attended to and compared.
        cu_seqlens: [B + 1], sentence b being rows ``cu_seqlens[b]`` to ``cu_seqlens[b + 1]``.
        pairs: [Q, 2] sentences.
        weight: [4 k, h] of the comparison of a token u with what it attends to, v: [u | v | |u - v| | u * v].
        bias: [h] of the same.

    Source: Parikh et al., "A Decomposable Attention Model for Natural Language Inference" (EMNLP 2016): attend,
    compare, aggregate; pooling by mean and maximum as in ESIM (Chen et al., ACL 2017).
    """
    keys, values, weight, bias = (array.astype(np.float64) for array in (keys, values, weight, bias))
    spans = [slice(start, end) for start, end in pairwise(cu_seqlens)]
    pooled = np.zeros((len(pairs), 2, 2 * len(bias)))
    for row, pair in zip(pooled, pairs, strict=True):
        for half, (own, other) in enumerate(([spans[s] for s in pair], [spans[s] for s in pair[::-1]])):
            row[half] = align_sentence(keys[own], values[own], keys[other], values[other], weight, bias)
    return pooled
