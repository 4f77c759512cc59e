"""The batches that ``export/ops/cuda`` takes, as C structures: for calling the kernels without ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from ctypes import Structure, c_bool, c_int, c_int64, c_uint8, c_void_p
from typing import Any

import numpy as np

TYPES = {"float32": 0, "float16": 1, "int8": 2}
PAIR_WEIGHTS = tuple(f"{layer}{part}" for layer in ("mix", "key", "fuse") for part in ("", "_scales", "_bias"))


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


class DevicePairs(Structure):
    """``cmow::DevicePairs``; the memory that it points to must outlive its use."""

    _fields_ = [
        *((name, c_void_p) for name in ("token_ids", "cu_seqlens", "pairs")),
        *((name, c_int64) for name in ("tokens", "sentences", "count")),
        *((name, c_void_p) for name in ("rows", "scales", "places")),
        *((name, c_int64) for name in ("vocabulary", "place_count")),
        *((name, c_void_p) for name in PAIR_WEIGHTS),
        *((name, c_int) for name in ("blocks", "width", "key_size")),
        ("pooled", c_void_p),
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


def device_pairs(inputs: Mapping[str, Any], pooled: Any) -> DevicePairs:
    """The batch of ``inputs``, named as those of ``EncodePairs``, with ``pooled`` [P, 2, 2 w] as result; as above."""
    ids, offsets, pairs, rows, scales, places = (
        inputs[name] for name in ("token_ids", "cu_seqlens", "pairs", "rows", "scales", "places")
    )
    return DevicePairs(
        *map(address, (ids, offsets, pairs)),
        *(len(ids), len(offsets) - 1, len(pairs)),
        *map(address, (rows, scales, places)),
        *(len(rows), len(places)),
        *(address(inputs[name]) for name in PAIR_WEIGHTS),
        *inputs["key"].shape,
        address(pooled),
    )
