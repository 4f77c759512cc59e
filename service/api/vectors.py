"""Embeddings on the wire."""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray

from cmow.service.model.engine import Floats


def shorten(vectors: Floats, dimensions: int | None) -> Floats:
    """The first ``dimensions`` numbers of each of ``vectors`` [B, m], scaled to unit length again; all for ``None``.

    A vector whose first numbers are all 0 stays 0.
    """
    if dimensions is None or dimensions == vectors.shape[1]:
        return vectors
    head = vectors[:, :dimensions]
    norms = np.linalg.norm(head, axis=1, keepdims=True)
    shortened: Floats = head / np.maximum(norms, np.finfo(np.float32).tiny)
    return shortened


def to_base64(vector: NDArray[np.floating]) -> str:
    """Little-endian float32, as OpenAI's clients read it."""
    return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
