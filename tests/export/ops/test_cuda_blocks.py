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
from export.ops.device_batch import device_batch, device_pairs
from export.ops.hybrid_reference import hybrid_encode
from export.ops.pairs_reference import encode_pairs
from tests.export.ops import test_encode_pairs
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
BAD_ID, BAD_OFFSET, BAD_PAIR = 1, 2, 3
SHORT_ROWS, LONG_BLOCKS = 56, 3  # pairs of so many rows in shared memory, the longer ones by so many blocks
LONG_LENGTHS = [300, 5, 257, 0, 512, 513, 40, 1000, 2, 3000]

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    path = tmp_path_factory.mktemp("blocks") / "blocks_on_host.so"
    flags = ["-std=c++17", "-O2", "-shared", "-fPIC", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    subprocess.run([str(COMPILER), *flags, str(SOURCE), "-o", str(path)], check=True)
    loaded = ctypes.CDLL(str(path))
    loaded.encode_on_host.restype = loaded.pairs_on_host.restype = ctypes.c_uint64
    loaded.pairs_on_host.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64]
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


def read_pairs(
    library: ctypes.CDLL, inputs: Arrays, short_rows: int = SHORT_ROWS, long_blocks: int = LONG_BLOCKS
) -> tuple[NDArray[np.float32], int, int]:
    """Pooled features, kind of fault and its position."""
    pooled = np.full((len(inputs["pairs"]), 2, 2 * inputs["rows"].shape[1]), np.nan, np.float32)
    batch = device_pairs(inputs, pooled)
    fault = int(library.pairs_on_host(ctypes.byref(batch), short_rows, long_blocks))
    return pooled, fault & 3, fault >> 2


def read_good_pairs(library: ctypes.CDLL, inputs: Arrays, *launch: int) -> NDArray[np.float32]:
    pooled, kind, _ = read_pairs(library, inputs, *launch)
    assert kind == 0
    return pooled


@pytest.mark.parametrize("shape", test_encode_pairs.SHAPES)
def test_pairs_match_reference(library: ctypes.CDLL, shape: test_encode_pairs.Shape) -> None:
    lengths = [0, 0, 1, 2, 15, 0, 16, 17, 31, 32, 33, 63, 64, 65, 129, 300, 3]
    inputs = test_encode_pairs.make_inputs(lengths, shape)
    test_encode_pairs.assert_close(read_good_pairs(library, inputs), encode_pairs(**inputs))


def test_pairs_agree_exactly_on_whole_numbers(library: ctypes.CDLL) -> None:
    """All weights count, to the last bit; see the CPU's test."""
    for shape in [(16, 16, 3, 1), (64, 16, 3, 1), (144, 16, 3, 1)]:
        inputs = test_encode_pairs.whole_numbers(shape)
        np.testing.assert_allclose(read_good_pairs(library, inputs), encode_pairs(**inputs), rtol=2e-7)


def test_any_sentences_in_any_order(library: ctypes.CDLL) -> None:
    inputs = test_encode_pairs.make_inputs([5, 0, 9, 1, 60])
    inputs["pairs"] = np.array([[2, 2], [0, 3], [3, 0], [1, 1], [0, 3], [1, 2], [4, 4], [4, 1]])
    pooled = read_good_pairs(library, inputs)
    test_encode_pairs.assert_close(pooled, encode_pairs(**inputs))
    np.testing.assert_array_equal(pooled[3], 0)
    np.testing.assert_array_equal(pooled[5, 0], 0)
    np.testing.assert_array_equal(pooled[1], pooled[4])


@pytest.mark.parametrize("lengths", [[], [0], [0, 0, 0], [4, 2]])
def test_no_pairs_or_no_tokens(library: ctypes.CDLL, lengths: list[int]) -> None:
    inputs = test_encode_pairs.make_inputs(lengths)
    if any(lengths):
        inputs["pairs"] = inputs["pairs"][:0]
    np.testing.assert_array_equal(read_good_pairs(library, inputs), np.zeros((len(inputs["pairs"]), 2, 256)))


def test_large_logits(library: ctypes.CDLL) -> None:
    inputs = test_encode_pairs.make_inputs([3, 70, 100, 20])
    inputs["key_scales"] *= 20
    test_encode_pairs.assert_close(read_good_pairs(library, inputs), encode_pairs(**inputs), exact_share=0)


def test_a_pair_is_the_same_bits_wherever_it_is_read(library: ctypes.CDLL) -> None:
    """Alone or in a batch, in shared memory or in a workspace, whatever number of blocks share that."""
    inputs = test_encode_pairs.make_inputs([0, 1, 5, 40, 17, 64, 130, 3])
    pooled = read_good_pairs(library, inputs)
    for short_rows, long_blocks in ((0, 1), (0, 100), (17, 2), (1000, 0)):
        np.testing.assert_array_equal(read_good_pairs(library, inputs, short_rows, long_blocks), pooled)
    for pair, row in zip(inputs["pairs"], pooled, strict=True):
        sentences = [
            inputs["token_ids"][slice(*inputs["cu_seqlens"][sentence : sentence + 2])] for sentence in pair.tolist()
        ]
        alone = {
            **inputs,
            "token_ids": np.concatenate(sentences),
            "cu_seqlens": np.cumsum([0, *map(len, sentences)]),
            "pairs": np.array([[0, 1]]),
        }
        np.testing.assert_array_equal(read_good_pairs(library, alone)[0], row)


@pytest.mark.parametrize("sentence", [-1, 4, 2**40, -(2**62)])
def test_a_wrong_pair_is_nan(library: ctypes.CDLL, sentence: int) -> None:
    inputs = test_encode_pairs.make_inputs([5, 9, 3, 70])
    good = read_good_pairs(library, inputs)
    inputs["pairs"][1, 0] = sentence
    pooled, kind, place = read_pairs(library, inputs)
    assert (kind, place) == (BAD_PAIR, 1)
    assert np.isnan(pooled[1]).all()
    np.testing.assert_array_equal(pooled[[0, 2, 3]], good[[0, 2, 3]])


@pytest.mark.parametrize("token", [97, -1, 2**32, -(2**40)])
@pytest.mark.parametrize(("position", "wrong"), [(0, [0, 4]), (13, [0, 1]), (20, [2, 3]), (86, [2, 3]), (87, [3, 4])])
def test_a_wrong_id_makes_its_pairs_nan(library: ctypes.CDLL, token: int, position: int, wrong: list[int]) -> None:
    inputs = test_encode_pairs.make_inputs([5, 9, 3, 70, 2])
    good = read_good_pairs(library, inputs)
    inputs["token_ids"][position] = token
    pooled, kind, place = read_pairs(library, inputs)
    assert (kind, place) == (BAD_ID, position)
    assert np.isnan(pooled[wrong]).all()
    right = [pair for pair in range(len(pooled)) if pair not in wrong]
    np.testing.assert_array_equal(pooled[right], good[right])


@pytest.mark.parametrize(
    ("offsets", "wrong"),
    [
        ([0, 7, 5, 87], [0, 1]),
        ([1, 2, 5, 87], [0, 2]),
        ([0, 2, 5, 86], [1, 2]),
        ([0, 2, 2**62, 87], [0, 1, 2]),
        ([0, -(2**62), 5, 87], [0, 1, 2]),
    ],
)
def test_pairs_with_wrong_offsets_are_nan(library: ctypes.CDLL, offsets: list[int], wrong: list[int]) -> None:
    inputs = test_encode_pairs.make_inputs([5, 12, 70])
    inputs["cu_seqlens"] = np.array(offsets)
    pooled, kind, _ = read_pairs(library, inputs)
    assert kind == BAD_OFFSET
    assert np.isnan(pooled[wrong]).all()
    right = [pair for pair in range(3) if pair not in wrong]
    assert np.isfinite(pooled[right]).all()
