"""``EncodePairs`` in the obvious way, in float64: what every kernel and the portable body are compared with.

Rounding to int8 is a step: where float32 lands a hair on the other side of one than float64 does, a number differs by a
127th of its row's largest. Such a row is rare, and comparisons allow for it.

Letters: N packed tokens, B sentences, P pairs, n and m tokens of a pair's sentences, V vocabulary, w width, q key size,
S places, T blocks.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

LARGEST_ACTIVATION = 127
SMALLEST_ROW = (
    1e-30  # rows whose largest number is smaller are scaled as if it were this: zeros, without a division by 0
)

Array = NDArray[np.float64]
Int8 = NDArray[np.int8]


def hardswish(x: Array) -> Array:
    """x * clamp(x + 3, 0, 6) / 6, of any shape."""
    result: Array = x * np.clip(x + 3, 0, 6) / 6
    return result


def quantise_rows(x: Array) -> tuple[Array, Array]:
    """Whole numbers [n, w] from -127 to 127 and their scales [n, 1], each row by its own largest; ties go to even."""
    largest = np.maximum(np.abs(x).max(axis=1, keepdims=True), SMALLEST_ROW)
    return np.rint(x * (LARGEST_ACTIVATION / largest)), largest / LARGEST_ACTIVATION


def product(x: Array, weight: Int8, scales: Array) -> Array:
    """[n, columns] of ``x`` [n, w], rounded to int8, and ``weight`` [w, columns] with ``scales`` [columns]."""
    rounded, row_scales = quantise_rows(x)
    result: Array = (rounded @ weight.astype(np.float64)) * scales * row_scales
    return result


def mix(x: Array, weight: Int8, scales: Array, bias: Array) -> Array:
    """``x`` [n, w] after the convolution: each token with those before and after it, zeros beyond the ends."""
    before, here, after = np.split(product(x, weight, scales), 3, axis=1)
    edge = np.zeros((1, x.shape[1]))
    before, after = np.concatenate([edge, before])[:-1], np.concatenate([after, edge])[1:]
    return x + hardswish(before + here + after + bias)


def softmax(logits: Array) -> Array:
    """Softmax of each row of [n, m]; for m = 0 there is nothing to weigh."""
    if logits.size == 0:
        return logits
    weights: Array = np.exp(logits - logits.max(axis=1, keepdims=True))
    normalised: Array = weights / weights.sum(axis=1, keepdims=True)
    return normalised


def attend(own_keys: Array, other_keys: Array, other: Array) -> Array:
    """What each of n tokens finds among the m of ``other`` [m, w]: [n, w], zeros where m is 0."""
    found: Array = softmax(own_keys @ other_keys.T / np.sqrt(own_keys.shape[1])) @ other
    return found


def fuse(own: Array, found: Array, weight: Int8, scales: Array, bias: Array) -> Array:
    """``own`` [n, w] after fusion with ``found`` [n, w]; ``weight`` [4, w, w], one matrix for each feature."""
    features = [own, found, np.abs(own - found), own * found]
    return own + hardswish(sum((product(x, *of) for x, *of in zip(features, weight, scales, strict=True)), bias))


def pool(x: Array) -> Array:
    """[2 w] of ``x`` [n, w]: mean, then maximum, over the tokens; zeros without any."""
    return np.concatenate([x.mean(axis=0), x.max(axis=0)]) if len(x) else np.zeros(2 * x.shape[1])


def encode_pairs(
    token_ids: NDArray[np.int64],
    cu_seqlens: NDArray[np.int64],
    pairs: NDArray[np.int64],
    rows: Int8,
    scales: NDArray[np.float32],
    places: NDArray[np.float32],
    mix: Int8,
    mix_scales: NDArray[np.float32],
    mix_bias: NDArray[np.float32],
    key: Int8,
    key_scales: NDArray[np.float32],
    key_bias: NDArray[np.float32],
    fuse: Int8,
    fuse_scales: NDArray[np.float32],
    fuse_bias: NDArray[np.float32],
) -> Array:
    """Pooled features [P, 2, 2 w] of sentence pairs whose tokens are read beside each other.

    Args:
        token_ids: [N], packed.
        cu_seqlens: [B + 1], sentence b being tokens ``cu_seqlens[b]`` to ``cu_seqlens[b + 1]``.
        pairs: [P, 2] sentences.
        rows: [V, w] of the tokens' features, with ``scales`` [V].
        places: [S, w], added to a token's row by its place in its sentence; from the last one on all are the last.
        mix: [T, w, 3 w] with columns for the token before, here, and after; ``mix_scales`` [T, 3 w] of the columns,
            ``mix_bias`` [T, w].
        key: [T, w, q], with ``key_scales`` [T, q] and ``key_bias`` [T, q].
        fuse: [T, 4, w, w], a matrix for each of own, found, |own - found| and own * found; ``fuse_scales`` [T, 4, w],
            ``fuse_bias`` [T, w].

    The weights ``mix``, ``key`` and ``fuse`` are whole numbers from -63 to 63.

    Source: the blocks are those of RE2 (Yang et al., "Simple and Effective Text Matching with Richer Alignment
    Features", ACL 2019), as in `training.student.pair_encoder`.
    """
    spans = [slice(start, end) for start, end in pairwise(cu_seqlens)]
    blocks = list(zip(mix, mix_scales, mix_bias, key, key_scales, key_bias, fuse, fuse_scales, fuse_bias, strict=True))
    pooled = np.zeros((len(pairs), 2, 2 * rows.shape[1]))
    for row, pair in zip(pooled, pairs, strict=True):
        sides = [_first_features(token_ids[spans[sentence]], rows, scales, places) for sentence in pair]
        for block in blocks:
            sides = _block(sides, *block)
        row[:] = [pool(side) for side in sides]
    return pooled


def _first_features(
    ids: NDArray[np.int64], rows: Int8, scales: NDArray[np.float32], places: NDArray[np.float32]
) -> Array:
    """[n, w] of the tokens ``ids`` [n] of one sentence."""
    at = np.minimum(np.arange(len(ids)), len(places) - 1)
    return hardswish(rows[ids].astype(np.float64) * scales[ids, None] + places[at])


def _block(
    sides: list[Array],
    mix_weight: Int8,
    mix_scales: Array,
    mix_bias: Array,
    key_weight: Int8,
    key_scales: Array,
    key_bias: Array,
    fuse_weight: Int8,
    fuse_scales: Array,
    fuse_bias: Array,
) -> list[Array]:
    """Both sentences [n, w] and [m, w] after one block."""
    sides = [mix(side, mix_weight, mix_scales, mix_bias) for side in sides]
    keys = [product(side, key_weight, key_scales) + key_bias for side in sides]
    found = [attend(keys[0], keys[1], sides[1]), attend(keys[1], keys[0], sides[0])]
    return [fuse(own, other, fuse_weight, fuse_scales, fuse_bias) for own, other in zip(sides, found, strict=True)]
