"""The way back from a bundle: its encoder's tables and similarity head as numbers, to train on from where it stands.

The tables of a bundle are rounded to int8 (a scale for each row), and so is its projection (a scale for each output);
their values differ from the trained ones by half a step at most.

Letters: V vocabulary, d matrix side, e vector size, D state size, m similarity width.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from cmow.service.model.bundle import ENCODER, PROJECTION, Bundle
from training.bundle.projection import Projection
from training.student.model import CheckpointError, HybridEncoder, StudentConfig

TABLES = ("vectors", "forward_deltas", "backward_deltas")


class Tables(NamedTuple):
    """``vectors`` [V, e], ``forward_deltas`` and ``backward_deltas`` [V, d, d], float32."""

    vectors: NDArray[np.float32]
    forward_deltas: NDArray[np.float32]
    backward_deltas: NDArray[np.float32]


def read_tables(bundle: Bundle) -> Tables:
    """The encoder's tables of ``bundle``, whatever dtype they are kept in."""
    kept = initialisers(bundle, ENCODER)
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


def read_projection(bundle: Bundle) -> Projection:
    """The similarity head of ``bundle``; ``CheckpointError`` where it is not as ``export.to_onnx`` writes it."""
    kept = initialisers(bundle, PROJECTION)
    standards, linear = "projection.0.", "projection.1."
    try:
        weight = kept[linear + "weight"].astype(np.float32) * kept[linear + "scales"]  # [D, m]
        values = weight.T, kept[linear + "bias"], kept[standards + "mean"], kept[standards + "inverse"]
    except KeyError as error:
        expected = "an int8 projection of standardised states"
        raise CheckpointError(f"{bundle.path / PROJECTION}: expected {expected}, found no {error}") from error
    return Projection(*(torch.from_numpy(value.copy()) for value in values))


def initialisers(bundle: Bundle, graph: str) -> dict[str, NDArray[Any]]:
    """Every weight of one of the graphs of ``bundle`` by its name."""
    loaded = onnx.load(bundle.path / graph).graph
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in loaded.initializer}
