"""Graphs over one file of weights, each distinct tensor in it once."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import onnx
from onnx import TensorProto, external_data_helper

from cmow.service.model.bundle import WEIGHTS

INLINE_BYTES = 1024  # what is smaller stays in its graph
ALIGNMENT = 4096  # a page: ONNX Runtime maps the tensors into memory


def save_graphs(graphs: Mapping[str, onnx.ModelProto], folder: Path) -> None:
    """Write ``graphs`` by file name into ``folder``, and beside them their weights, which move out of them."""
    offsets: dict[bytes, int] = {}
    with (folder / WEIGHTS).open("wb") as weights:
        for name, model in graphs.items():
            for tensor in model.graph.initializer:
                if len(tensor.raw_data) > INLINE_BYTES:
                    _move_out(tensor, weights, offsets)
            onnx.save_model(model, folder / name)


def _move_out(tensor: TensorProto, weights: BinaryIO, offsets: dict[bytes, int]) -> None:
    """Put the data of ``tensor`` into ``weights`` unless they are there; ``offsets`` has where, by digest."""
    data = tensor.raw_data
    digest = sha256(data).digest()
    if digest not in offsets:
        weights.write(bytes(-weights.tell() % ALIGNMENT))
        offsets[digest] = weights.tell()
        weights.write(data)
    external_data_helper.set_external_data(tensor, WEIGHTS, offsets[digest], len(data))
    tensor.ClearField("raw_data")
