"""The CUDA kernels' thread blocks, compiled for the host, against the float64 reference: all indices without a GPU."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cmow.service.model.bundle import TableDtype
from export.ops.device_batch import device_batch
from export.ops.hybrid_reference import hybrid_encode
from tests.export.ops.test_hybrid_encode import (
    DTYPES,
    ODD_LENGTHS,
    SHAPES,
    TOLERANCE,
    TOLERANCE_100K,
    Arrays,
    V,
    assert_close,
    hundred_thousand_tokens,
    make_batch,
    make_tables,
)

SOURCE = Path(__file__).with_name("blocks_on_host.cpp")
COMPILER = shutil.which("c++")
BAD_ID, BAD_OFFSET = 1, 2
LONG_LENGTHS = [300, 5, 257, 0, 512, 513, 40, 1000, 2, 3000]

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    path = tmp_path_factory.mktemp("blocks") / "blocks_on_host.so"
    flags = ["-std=c++17", "-O2", "-shared", "-fPIC", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    subprocess.run([str(COMPILER), *flags, str(SOURCE), "-o", str(path)], check=True)
    loaded = ctypes.CDLL(str(path))
    loaded.encode_on_host.restype = ctypes.c_uint64
    return loaded


def encode(library: ctypes.CDLL, inputs: Arrays) -> tuple[NDArray[np.float32], int, int]:
    """Rows, kind of fault and its position."""
    d, e = inputs["forward_deltas"].shape[1], inputs["vectors"].shape[1]
    rows = np.full((len(inputs["cu_seqlens"]) - 1, e + 2 * d * d), np.nan, np.float32)
    fault = int(library.encode_on_host(ctypes.byref(device_batch(inputs, rows))))
    return rows, fault & 3, fault >> 2


def encode_good(library: ctypes.CDLL, inputs: Arrays) -> NDArray[np.float32]:
    rows, kind, _ = encode(library, inputs)
    assert kind == 0
    return rows


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("d", "e"), [*SHAPES, (64, 33), (1, 1)])
def test_blocks_match_reference(library: ctypes.CDLL, dtype: TableDtype, d: int, e: int) -> None:
    lengths = ODD_LENGTHS if d < 64 else [0, 1, 2, 17, 257]
    inputs = {**make_batch(lengths), **make_tables(dtype, d, e)}
    assert_close(encode_good(library, inputs), hybrid_encode(**inputs))


def test_ids_may_be_int32(library: ctypes.CDLL) -> None:
    inputs = {**make_batch([3, 0, 40], np.int32), **make_tables("int8", 20, 400)}
    assert_close(encode_good(library, inputs), hybrid_encode(**inputs))


@pytest.mark.parametrize("length", [*range(40), 63, 64, 65, 129, 255, 256])
def test_every_way_to_cut_a_sentence_into_parts(library: ctypes.CDLL, length: int) -> None:
    inputs = {**make_batch([length]), **make_tables("int8", 20, 400)}
    assert_close(encode_good(library, inputs), hybrid_encode(**inputs))


@pytest.mark.parametrize("before", [0, 1, 127, 128, 129, 255, 256, 300])
def test_chunks_of_long_sentences_find_their_slots(library: ctypes.CDLL, before: int) -> None:
    """Slots depend on where in the batch a sentence starts."""
    inputs = {**make_batch([before, *LONG_LENGTHS]), **make_tables("float32", 20, 400)}
    assert_close(encode_good(library, inputs), hybrid_encode(**inputs), 2 * TOLERANCE)


@pytest.mark.parametrize(("dtype", "noise"), [("float32", 0.05), ("int8", 0.01)])
def test_100_000_tokens(library: ctypes.CDLL, dtype: TableDtype, noise: float) -> None:
    inputs, expected = hundred_thousand_tokens(dtype, noise)
    assert_close(encode_good(library, inputs), expected, TOLERANCE_100K)


@pytest.mark.parametrize("factor", [-0.9, -1.5, 30.0, 3000.0])
def test_products_that_vanish_or_grow(library: ctypes.CDLL, factor: float) -> None:
    inputs = {**make_batch([40, 700]), **make_tables("float32", 20, 400, noise=0.05 * abs(1 + factor))}
    for name in ("forward_deltas", "backward_deltas"):
        inputs[name] += np.float32(factor) * np.eye(20, dtype=np.float32)
    assert_close(encode_good(library, inputs), hybrid_encode(**inputs), 10 * TOLERANCE)


def test_rows_of_very_different_size(library: ctypes.CDLL) -> None:
    """Each row has its own power of two; in the end they share one."""
    inputs = {**make_batch([30, 300]), **make_tables("float32", 20, 400)}
    inputs["forward_deltas"] += np.diag(np.linspace(-0.9, 8, 20)).astype(np.float32)
    assert_close(encode_good(library, inputs), hybrid_encode(**inputs), 10 * TOLERANCE)


def test_a_product_of_zero_stays_zero(library: ctypes.CDLL) -> None:
    inputs = {**make_batch([3, 300]), **make_tables("float32", 20, 400)}
    inputs["forward_deltas"] = np.tile(-np.eye(20, dtype=np.float32), (V, 1, 1))
    rows = encode_good(library, inputs)
    np.testing.assert_array_equal(rows[:, 400:800], 0)
    assert np.isfinite(rows).all()


def test_largest_float16_matrices_stay_finite(library: ctypes.CDLL) -> None:
    inputs = {**make_batch([1, 5, 300]), **make_tables("float16", 20, 400)}
    inputs["forward_deltas"] = np.full((V, 20, 20), 65504, np.float16)
    assert np.isfinite(encode_good(library, inputs)).all()


def test_every_float16_is_read_exactly(library: ctypes.CDLL) -> None:
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = halves[np.isfinite(halves)]
    vectors = np.resize(finite, (-(-len(finite) // 400), 400))
    deltas = np.zeros((len(vectors), 20, 20), np.float16)
    batch = {"token_ids": np.arange(len(vectors)), "cu_seqlens": np.arange(len(vectors) + 1)}
    rows = encode_good(library, {**batch, "vectors": vectors, "forward_deltas": deltas, "backward_deltas": deltas})
    np.testing.assert_array_equal(rows[:, :400], vectors.astype(np.float32))


@pytest.mark.parametrize("dtype", DTYPES)
def test_batched_equals_single_bit_for_bit(library: ctypes.CDLL, dtype: TableDtype) -> None:
    batch, tables = make_batch(ODD_LENGTHS), make_tables(dtype, 20, 400)
    singles = [
        encode_good(
            library, {**tables, "token_ids": batch["token_ids"][start:end], "cu_seqlens": np.array([0, end - start])}
        )
        for start, end in pairwise(batch["cu_seqlens"])
    ]
    np.testing.assert_array_equal(encode_good(library, {**batch, **tables}), np.concatenate(singles))


@pytest.mark.parametrize("token", [V, -1, 2**32, -(2**40)])
@pytest.mark.parametrize("position", [0, 4, 6, 300, 400])
def test_a_wrong_id_makes_its_own_row_nan(library: ctypes.CDLL, token: int, position: int) -> None:
    lengths = [5, 0, 1, 500, 3]
    inputs = {**make_batch(lengths), **make_tables("int8", 20, 400)}
    good = encode_good(library, inputs)
    inputs["token_ids"][position] = token
    rows, kind, place = encode(library, inputs)
    assert (kind, place) == (BAD_ID, position)
    wrong = int(np.searchsorted(inputs["cu_seqlens"], position, side="right")) - 1
    assert np.isnan(rows[wrong]).all()
    right = [s for s in range(len(lengths)) if s != wrong]
    np.testing.assert_array_equal(rows[right], good[right])


@pytest.mark.parametrize(
    ("offsets", "sentence"),
    [
        ([1, 2, 600], 0),
        ([0, 7, 5, 600], 1),
        ([0, 4, 612], 1),
        ([0, 4, 599], 1),
        ([-(2**62), 0, 600], 0),
        ([0, 2**62, 600], 1),
        ([0, 300, 10, 600], 1),
        ([5, 5], 0),
    ],
)
def test_wrong_offsets_make_a_row_nan_and_touch_nothing_else(
    library: ctypes.CDLL, offsets: list[int], sentence: int
) -> None:
    inputs = {**make_batch([600]), **make_tables("float32", 20, 400), "cu_seqlens": np.array(offsets)}
    rows, kind, _ = encode(library, inputs)
    assert kind == BAD_OFFSET
    assert np.isnan(rows[sentence]).all()
