"""The batches that ``export/ops/cuda`` takes, as C structures: for calling the kernels without ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from ctypes import Structure, c_bool, c_int, c_int64, c_uint8, c_void_p
from typing import Any

import numpy as np

TYPES = {"float32": 0, "float16": 1, "int8": 2}


class Tables(Structure):
    """``cmow::Tables``."""

    _fields_ = [
        ("vectors", c_void_p),
        ("forward", c_void_p),
        ("backward", c_void_p),
        ("scales", c_void_p),
        ("type", c_uint8),
        ("side", c_int),
        ("vector_size", c_int),
    ]


class DeviceBatch(Structure):
    """``cmow::DeviceBatch``; the memory that it points to must outlive its use."""

    _fields_ = [
        ("token_ids", c_void_p),
        ("wide_ids", c_bool),
        ("cu_seqlens", c_void_p),
        ("tokens", c_int64),
        ("sentences", c_int64),
        ("tables", Tables),
        ("vocabulary", c_int64),
        ("rows", c_void_p),
    ]


def address(array: Any) -> int:
    """Where the elements of a NumPy array or a torch tensor start."""
    return int(array.ctypes.data if isinstance(array, np.ndarray) else array.data_ptr())


def device_batch(inputs: Mapping[str, Any], rows: Any) -> DeviceBatch:
    """The batch of ``inputs``, named as those of the op, with ``rows`` [B, e + 2 d d] as result.

    All are contiguous NumPy arrays, or all torch tensors on one GPU.
    """
    ids, offsets, vectors, deltas = (inputs[name] for name in ("token_ids", "cu_seqlens", "vectors", "forward_deltas"))
    tables = Tables(
        address(vectors),
        address(deltas),
        address(inputs["backward_deltas"]),
        address(inputs["scales"]) if "scales" in inputs else None,
        TYPES[str(vectors.dtype).removeprefix("torch.")],
        deltas.shape[1],
        vectors.shape[1],
    )
    wide = str(ids.dtype).endswith("int64")
    return DeviceBatch(
        address(ids), wide, address(offsets), len(ids), len(offsets) - 1, tables, len(vectors), address(rows)
    )
