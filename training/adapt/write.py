"""A bundle with one head changed: its other graphs, and so their answers, stay bit for bit what they were."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
from msgspec import structs
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper
from torch import nn

from cmow.service.model.bundle import FILES, TOKENIZER, Bundle, Manifest, file_entry, write_manifest
from training.bundle.pairs import balance_of
from training.bundle.rounding import quantise_layer
from training.bundle.weights import save_graphs

Arrays = Mapping[str, NDArray[Any]]


def write_with(bundle: Bundle, graph: str, weights: Arrays, manifest: Manifest, folder: Path) -> None:
    """Write ``bundle`` with other ``weights`` in one ``graph``, and ``manifest`` but for its files, to ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    graphs = {name: onnx.load(bundle.path / name) for name in sorted(FILES) if name.endswith(".onnx")}
    replace_weights(graphs[graph], weights)
    save_graphs(graphs, folder)
    shutil.copyfile(bundle.tokenizer_path, folder / TOKENIZER)
    files = {name: file_entry(folder / name) for name in FILES}
    write_manifest(folder, structs.replace(manifest, files=files))


def replace_weights(model: ModelProto, weights: Arrays) -> None:
    """Give the initialisers of ``model`` other values; ``ValueError`` where one is missing or of another shape."""
    known = {tensor.name: tensor for tensor in model.graph.initializer}
    for name, values in weights.items():
        if name not in known or list(known[name].dims) != list(values.shape):
            found = list(known[name].dims) if name in known else "none"
            raise ValueError(f"expected weights {name} {list(values.shape)} in the graph, found {found}")
        known[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), name))


def head_weights(head: nn.Sequential, prefix: str, kept: Arrays) -> dict[str, NDArray[np.generic]]:
    """The weights of ``head`` as its graph names them: its hidden layer in int8, of features balanced as ``kept``."""
    hidden, output = cast(nn.Linear, head[0]), cast(nn.Linear, head[-1])
    rounded, scales = quantise_layer(
        np.divide(hidden.weight.detach().numpy(), balance_of(kept, prefix), dtype=np.float32)
    )
    return {
        f"{prefix}.0.weight": rounded,
        f"{prefix}.0.scales": scales,
        f"{prefix}.0.bias": hidden.bias.detach().numpy(),
        f"{prefix}.2.weight": output.weight.detach().numpy(),
        f"{prefix}.2.bias": output.bias.detach().numpy(),
    }
