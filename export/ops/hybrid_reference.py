"""The op in the obvious way, in float64: what every kernel and the portable body are compared with."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def unit(product: Array) -> Array:
    """The matrix [d, d] scaled to the Frobenius norm of the identity, sqrt(d)."""
    norm = max(float(np.linalg.norm(product)), float(np.finfo(np.float32).tiny))
    scaled: Array = product * (np.sqrt(len(product)) / norm)
    return scaled


def unit_product(deltas: Iterable[Array], d: int) -> Array:
    """unit((I + deltas[0]) @ (I + deltas[1]) @ ...), the identity for none; unit at every step keeps it in range."""
    identity = np.eye(d)
    return reduce(lambda product, delta: unit(product @ (identity + delta)), deltas, identity)


def hybrid_encode(
    token_ids: NDArray[np.integer],
    cu_seqlens: NDArray[np.int64],
    vectors: NDArray[np.generic],
    forward_deltas: NDArray[np.generic],
    backward_deltas: NDArray[np.generic],
    scales: NDArray[np.float32] | None = None,
) -> Array:
    """Embeddings [B, e + 2 d d] of packed sentences: the mean vector, the forward and the backward unit product.

    Args:
        token_ids: [N] integers in [0, V).
        cu_seqlens: [B + 1], sentence b being ``token_ids[cu_seqlens[b] : cu_seqlens[b + 1]]``.
        vectors: [V, e], any dtype.
        forward_deltas: [V, d, d], the matrices less the identity.
        backward_deltas: [V, d, d], likewise.
        scales: [V, 3] for int8 tables: factors of vectors, forward and backward rows.

    Source: Mai et al., "CBOW Is Not All You Need" (ICLR 2019); both directions as in Galke et al. (IJCNN 2022); `unit`
    is this project's own.
    """
    (_, e), d = vectors.shape, forward_deltas.shape[1]
    factors = np.ones((len(vectors), 3)) if scales is None else scales.astype(np.float64)
    rows = np.empty((len(cu_seqlens) - 1, e + 2 * d * d))
    for row, start, end in zip(rows, cu_seqlens, cu_seqlens[1:], strict=False):
        ids = token_ids[start:end]
        row[:e] = sum((vectors[t].astype(np.float64) * factors[t, 0] for t in ids), np.zeros(e)) / max(len(ids), 1)
        forward = (forward_deltas[t].astype(np.float64) * factors[t, 1] for t in ids)
        backward = (backward_deltas[t].astype(np.float64) * factors[t, 2] for t in reversed(ids))
        row[e:] = np.concatenate([unit_product(forward, d).ravel(), unit_product(backward, d).ravel()])
    return rows
