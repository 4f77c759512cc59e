"""The native training library: its loading, and its functions over torch CPU tensors.

Letters: B sentences, N packed tokens, V vocabulary, d matrix side, e vector size, D = e + 2 d^2, U distinct tokens.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from cmow.service.machine.native import installed, load
from training.errors import TrainingError

LIBRARY_NAME = "libcmow_training.so"
MAX_MATRIX_DIM = 64

_FAILURES = {1: MemoryError("the native training library ran out of memory")}


class Tables(NamedTuple):
    """The encoder's tables, float32: ``vectors`` [V, e], ``forward_deltas`` and ``backward_deltas`` [V, d, d]."""

    vectors: Tensor
    forward_deltas: Tensor
    backward_deltas: Tensor

    @property
    def matrix_dim(self) -> int:
        """d."""
        return self.forward_deltas.shape[-1]

    @property
    def embedding_dim(self) -> int:
        """D."""
        return self.vectors.shape[1] + 2 * self.matrix_dim**2


class RowGradients(NamedTuple):
    """Gradients of the distinct tokens alone: ``rows`` int64 [U], and float32 [U, e], [U, d, d], [U, d, d]."""

    rows: Tensor
    vectors: Tensor
    forward_deltas: Tensor
    backward_deltas: Tensor


class _Batch(ctypes.Structure):
    _fields_ = (
        ("token_ids", ctypes.c_void_p),
        ("cu_seqlens", ctypes.c_void_p),
        ("sentences", ctypes.c_int64),
        ("vectors", ctypes.c_void_p),
        ("forward_deltas", ctypes.c_void_p),
        ("backward_deltas", ctypes.c_void_p),
        ("vector_dim", ctypes.c_int64),
        ("matrix_dim", ctypes.c_int64),
    )


class _RowGradients(ctypes.Structure):
    _fields_ = (
        ("order", ctypes.c_void_p),
        ("row_starts", ctypes.c_void_p),
        ("rows", ctypes.c_int64),
        ("vectors", ctypes.c_void_p),
        ("forward_deltas", ctypes.c_void_p),
        ("backward_deltas", ctypes.c_void_p),
    )


class AdamCoefficients(ctypes.Structure):
    """Numbers of one Adam step: both bias corrections in ``step_size``, 1 - each beta, and a factor on the weights."""

    _fields_ = tuple((name, ctypes.c_float) for name in ("step_size", "first_rate", "second_rate", "eps", "decay"))


@cache
def _library() -> ctypes.CDLL:
    path = installed(LIBRARY_NAME)
    if path is None:
        raise RuntimeError(
            f"expected an installed {LIBRARY_NAME}, found none (it needs a C++ compiler at installation)"
        )
    try:
        library = load(path)
    except OSError as error:
        raise TrainingError(str(error)) from error
    pointer, count = ctypes.c_void_p, ctypes.c_int64
    batch, rows = ctypes.POINTER(_Batch), ctypes.POINTER(_RowGradients)
    library.cmow_training_isa.restype = ctypes.c_char_p
    if library.cmow_training_isa() is None:
        wanted = os.environ.get("CMOW_ISA")
        raise RuntimeError(f"CMOW_ISA: expected avx512, avx2 or portable, and one this machine has, found {wanted!r}")
    library.cmow_training_forward.argtypes = (batch, ctypes.c_int, pointer, ctypes.c_int)
    library.cmow_training_backward.argtypes = (batch, ctypes.c_int, pointer, rows, ctypes.c_int)
    adam = (*(pointer,) * 5, count, count, ctypes.POINTER(AdamCoefficients), ctypes.c_int)
    library.cmow_training_adam_rows.argtypes = adam
    return library


@cache
def available() -> bool:
    """Whether the native library is installed."""
    return installed(LIBRARY_NAME) is not None


def isa() -> str:
    """The instruction set in use: ``avx512``, ``avx2`` or ``portable``."""
    return str(_library().cmow_training_isa().decode())


def check_tables(tables: Tables) -> None:
    """``ValueError`` unless the tables are float32 of one V, with square matrices of at most 64 x 64."""
    V, d = tables.vectors.shape[0], tables.forward_deltas.shape[-1]
    for name, table, shape in zip(
        Tables._fields, tables, ((V, tables.vectors.shape[-1]), (V, d, d), (V, d, d)), strict=True
    ):
        if table.dtype != torch.float32 or tuple(table.shape) != shape:
            raise ValueError(f"{name}: expected float32 {list(shape)}, found {table.dtype} {list(table.shape)}")
        if not table.is_contiguous():
            raise ValueError(f"{name}: expected a contiguous tensor, found strides {table.stride()}")
    if not 1 <= d <= MAX_MATRIX_DIM:
        raise ValueError(f"forward_deltas: expected a matrix side of 1 to {MAX_MATRIX_DIM}, found {d}")


def check_offsets(cu_seqlens: Tensor, tokens: int) -> None:
    """``ValueError`` unless ``cu_seqlens`` [B+1] is int64 and rises from 0 to ``tokens``."""
    _check_packed("cu_seqlens", cu_seqlens)
    if len(cu_seqlens) == 0 or int(cu_seqlens[0]) != 0 or int(cu_seqlens[-1]) != tokens:
        ends = "nothing" if len(cu_seqlens) == 0 else f"{int(cu_seqlens[0])} ... {int(cu_seqlens[-1])}"
        raise ValueError(f"cu_seqlens: expected it to run from 0 to {tokens} (the number of tokens), found {ends}")
    if len(falls := (cu_seqlens.diff() < 0).nonzero()):
        at = int(falls[0]) + 1
        before, found = cu_seqlens[at - 1 : at + 1].tolist()
        raise ValueError(f"cu_seqlens: expected no decrease, found {found} after {before} at position {at}")


def check_tokens(token_ids: Tensor, cu_seqlens: Tensor, vocab_size: int) -> None:
    """``ValueError`` unless ``token_ids`` [N] are int64 in [0, V) and ``cu_seqlens`` [B+1] int64 rises from 0 to N."""
    _check_packed("token_ids", token_ids)
    N = len(token_ids)
    check_offsets(cu_seqlens, N)
    if N and (int(token_ids.min()) < 0 or int(token_ids.max()) >= vocab_size):
        at = int(((token_ids < 0) | (token_ids >= vocab_size)).nonzero()[0])
        found = int(token_ids[at])
        raise ValueError(f"token_ids: expected numbers in [0, {vocab_size}), found {found} at position {at}")


def _check_packed(name: str, tensor: Tensor) -> None:
    if tensor.dtype != torch.int64 or tensor.dim() != 1:
        raise ValueError(f"{name}: expected int64 of rank 1, found {tensor.dtype} of rank {tensor.dim()}")
    if not tensor.is_contiguous():
        raise ValueError(f"{name}: expected a contiguous tensor, found strides {tensor.stride()}")


def forward(token_ids: Tensor, cu_seqlens: Tensor, tables: Tables, per_token: bool, threads: int) -> Tensor:
    """Embeddings float32 [B, D], or with ``per_token`` states [N, D]; ``ValueError`` names the input that is wrong."""
    check_tables(tables)
    check_tokens(token_ids, cu_seqlens, len(tables.vectors))
    rows = len(token_ids) if per_token else len(cu_seqlens) - 1
    out = torch.empty(rows, tables.embedding_dim)
    batch = _batch(token_ids, cu_seqlens, tables)
    _raise_for(_library().cmow_training_forward(batch, per_token, out.data_ptr(), threads))
    return out


def backward(
    grad: Tensor, token_ids: Tensor, cu_seqlens: Tensor, tables: Tables, per_token: bool, threads: int
) -> RowGradients:
    """Gradients of the tables' used rows from ``grad``, that of ``forward``'s result.

    Bit-equal for any number of threads: occurrences of a token are summed in the order of the batch.
    """
    check_tables(tables)
    check_tokens(token_ids, cu_seqlens, len(tables.vectors))
    rows = len(token_ids) if per_token else len(cu_seqlens) - 1
    if grad.dtype != torch.float32 or tuple(grad.shape) != (rows, tables.embedding_dim):
        expected = [rows, tables.embedding_dim]
        raise ValueError(f"grad: expected float32 {expected}, found {grad.dtype} {list(grad.shape)}")
    grad = grad.contiguous()
    sorted_ids, order = token_ids.sort(stable=True)
    distinct, counts = torch.unique_consecutive(sorted_ids, return_counts=True)
    row_starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    result = RowGradients(distinct, *(table.new_empty(len(distinct), *table.shape[1:]) for table in tables))
    pointers = (tensor.data_ptr() for tensor in result[1:])
    native_rows = _RowGradients(order.data_ptr(), row_starts.data_ptr(), len(distinct), *pointers)
    batch = _batch(token_ids, cu_seqlens, tables)
    _raise_for(_library().cmow_training_backward(batch, per_token, grad.data_ptr(), native_rows, threads))
    return result


def adam_rows(
    weights: Tensor,
    moments: tuple[Tensor, Tensor],
    grads: Tensor,
    rows: Tensor,
    coefficients: AdamCoefficients,
    threads: int,
) -> None:
    """One Adam step in place on the distinct ``rows`` int64 [U] of ``weights`` and ``moments`` [V, ...].

    ``grads`` [U, ...] belong to ``rows``; all float32.
    """
    for name, tensor in (("weights", weights), ("moments", moments[0]), ("moments", moments[1]), ("grads", grads)):
        expected = grads.shape if tensor is grads else weights.shape
        if tensor.dtype != torch.float32 or not tensor.is_contiguous() or tensor.shape != expected:
            found = f"{tensor.dtype} {list(tensor.shape)} with strides {tensor.stride()}"
            raise ValueError(f"{name}: expected contiguous float32 {list(expected)}, found {found}")
    if rows.dtype != torch.int64 or not rows.is_contiguous() or grads.shape != (*rows.shape, *weights.shape[1:]):
        found = f"rows {rows.dtype} {list(rows.shape)} and grads {list(grads.shape)}"
        raise ValueError(f"expected int64 rows [U] and grads [U, {weights[:1].numel()} numbers], found {found}")
    if len(rows) == 0:
        return
    smallest, largest = int(rows.min()), int(rows.max())
    if smallest < 0 or largest >= len(weights):
        raise ValueError(f"rows: expected numbers in [0, {len(weights)}), found {smallest} ... {largest}")
    pointers = (tensor.data_ptr() for tensor in (weights, *moments, grads, rows))
    width = weights[0].numel()
    _raise_for(_library().cmow_training_adam_rows(*pointers, len(rows), width, coefficients, threads))


def _batch(token_ids: Tensor, cu_seqlens: Tensor, tables: Tables) -> _Batch:
    pointers = (table.data_ptr() for table in tables)
    sizes = (tables.vectors.shape[1], tables.matrix_dim)
    return _Batch(token_ids.data_ptr(), cu_seqlens.data_ptr(), len(cu_seqlens) - 1, *pointers, *sizes)


def _raise_for(status: int) -> None:
    if status:
        raise _FAILURES.get(status, RuntimeError(f"the native training library failed with status {status}"))
