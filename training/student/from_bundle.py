"""The way back from a bundle: its encoder's tables as numbers, to train on from where it stands.

The tables of a bundle are rounded to int8 (a scale for each row); their values differ from the trained ones by half a
step at most.

Letters: V vocabulary, d matrix side, e vector size.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from cmow.service.model.bundle import ENCODER, Bundle
from training.student.model import HybridEncoder, StudentConfig

TABLES = ("vectors", "forward_deltas", "backward_deltas")


class Tables(NamedTuple):
    """``vectors`` [V, e], ``forward_deltas`` and ``backward_deltas`` [V, d, d], float32."""

    vectors: NDArray[np.float32]
    forward_deltas: NDArray[np.float32]
    backward_deltas: NDArray[np.float32]


def read_tables(bundle: Bundle) -> Tables:
    """The encoder's tables of ``bundle``, whatever dtype they are kept in."""
    graph = onnx.load(bundle.path / ENCODER).graph
    kept = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    tables = []
    for column, name in enumerate(TABLES):
        values = kept[name].astype(np.float32)
        if "scales" in kept:
            values *= kept["scales"][:, column].reshape(-1, *[1] * (values.ndim - 1))
        tables.append(values)
    return Tables(*tables)


def encoder_from(bundle: Bundle) -> HybridEncoder:
    """The encoder of ``bundle`` as a module to train."""
    dims = bundle.manifest.dims
    encoder = HybridEncoder(StudentConfig(dims.vocab_size, dims.matrix_dim, dims.vector_dim))
    with torch.no_grad():
        for parameter, values in zip(encoder.tables(), read_tables(bundle), strict=True):
            parameter.copy_(torch.from_numpy(values))
    return encoder
