"""A model that holds the one op and nothing else, as tests and benchmarks need it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from export.ops.function_body import DOMAIN, OP_TYPE, TableDtype

Arrays = Mapping[str, NDArray[Any]]

INPUT_NAMES = ("token_ids", "cu_seqlens", "vectors", "forward_deltas", "backward_deltas", "scales")
TABLE_NAMES = INPUT_NAMES[2:]
OUTPUT_NAME = "embedding"


def op_model(feeds: Arrays, constants: Arrays | None = None, body: onnx.FunctionProto | None = None) -> bytes:
    """Serialised model of one ``HybridEncode`` node.

    Args:
        feeds: graph inputs by name; only their dtypes count, their shapes stay open.
        constants: further inputs of the op that become part of the model.
        body: portable function body; without one the model needs the kernel library.
    """
    constants = constants or {}
    names = [name for name in INPUT_NAMES if name in feeds or name in constants]
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(feeds[name].dtype), None)
        for name in names
        if name in feeds
    ]
    output = helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, None)
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    node = helper.make_node(OP_TYPE, names, [OUTPUT_NAME], domain=DOMAIN)
    model = helper.make_model(
        helper.make_graph([node], "hybrid_encode", inputs, [output], initializers),
        functions=[] if body is None else [body],
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid(DOMAIN, 1)],
        ir_version=9,
    )
    return bytes(model.SerializeToString())


def quantise(rows: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Rows [V, ...] as int8 and their scales [V], the largest element of a row becoming 127."""
    flat = rows.reshape(len(rows), -1)
    scales = np.maximum(np.abs(flat).max(axis=1), np.finfo(np.float32).tiny) / np.float32(127)
    return np.rint(flat / scales[:, None]).astype(np.int8).reshape(rows.shape), scales.astype(np.float32)


def as_dtype(tables: Arrays, dtype: TableDtype) -> dict[str, NDArray[Any]]:
    """float32 tables by name (vectors, forward_deltas, backward_deltas) as ``dtype``, with ``scales`` for int8."""
    names = TABLE_NAMES[:3]
    if dtype != "int8":
        return {name: tables[name].astype(dtype) for name in names}
    quantised = [quantise(tables[name]) for name in names]
    rows = {name: values for name, (values, _) in zip(names, quantised, strict=True)}
    return {**rows, "scales": np.stack([scales for _, scales in quantised], axis=1)}
