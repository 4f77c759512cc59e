"""The op's tables by the names of its inputs: reading them from a bundle, and changing their dtype.

Letters: V vocabulary, d matrix side, e vector size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from cmow.service.model.bundle import ENCODER, Bundle, TableDtype
from export.ops.hybrid_body import DOMAIN, OP_TYPE
from export.ops.signatures import HYBRID_ENCODE
from training.bundle.rounding import quantise

Arrays = Mapping[str, NDArray[Any]]

INPUT_NAMES = tuple(HYBRID_ENCODE.inputs)
TABLE_NAMES = INPUT_NAMES[2:]


def as_dtype(tables: Arrays, dtype: TableDtype) -> dict[str, NDArray[Any]]:
    """float32 tables by name (vectors, forward_deltas, backward_deltas) as ``dtype``, with ``scales`` for int8."""
    names = TABLE_NAMES[:3]
    if dtype != "int8":
        return {name: tables[name].astype(dtype) for name in names}
    quantised = [quantise(tables[name]) for name in names]
    rows = {name: values for name, (values, _) in zip(names, quantised, strict=True)}
    return {**rows, "scales": np.stack([scales for _, scales in quantised], axis=1)}


def to_float32(tables: Arrays) -> dict[str, NDArray[np.float32]]:
    """Tables of any dtype as float32."""
    result = {}
    for column, name in enumerate(TABLE_NAMES[:3]):
        values = tables[name].astype(np.float32)
        if "scales" in tables:
            values *= tables["scales"][:, column].reshape(-1, *[1] * (values.ndim - 1))
        result[name] = values
    return result


def bundle_tables(bundle: Bundle) -> dict[TableDtype, Arrays]:
    """The tables of the bundle's ``HybridEncode`` node: its own as they are, and their values in the other dtypes."""
    model = onnx.load(bundle.path / ENCODER)
    (node,) = [node for node in model.graph.node if (node.domain, node.op_type) == (DOMAIN, OP_TYPE)]
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    named = zip(TABLE_NAMES, node.input[len(INPUT_NAMES) - len(TABLE_NAMES) :], strict=False)
    tables = {name: numpy_helper.to_array(weights[used]) for name, used in named}
    own, values = bundle.manifest.table_dtype, to_float32(tables)
    others: tuple[TableDtype, ...] = get_args(TableDtype)
    return {dtype: tables if dtype == own else as_dtype(values, dtype) for dtype in others}
