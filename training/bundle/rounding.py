"""How the bundle rounds numbers to int8: a scale for each row of a table, and for each output of a layer.

Letters: V rows of a table, in and out sizes of a layer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Processors without VNNI add pairs of products uint8 * int8 in 16 bits that saturate: 2 * 255 * 63 still fits.
LARGEST_WEIGHT = 63


def quantise(rows: NDArray[np.float32], largest: int = 127) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Rows [V, ...] as int8 and their scales [V], the largest element of a row becoming ``largest``."""
    flat = rows.reshape(len(rows), -1)
    scales = np.maximum(np.abs(flat).max(axis=1), np.finfo(np.float32).tiny) / np.float32(largest)
    return np.rint(flat / scales[:, None]).astype(np.int8).reshape(rows.shape), scales.astype(np.float32)


def quantise_layer(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A layer's ``weight`` [out, in] as int8 [in, out], and a scale for each of its outputs [out]."""
    rows, scales = quantise(weight, LARGEST_WEIGHT)
    return np.ascontiguousarray(rows.T), scales
