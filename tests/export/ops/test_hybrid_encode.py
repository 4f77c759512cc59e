"""The kernels and the portable body against the float64 reference, over odd shapes and wrong inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, get_args

import numpy as np
import onnx.parser
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from cmow.service.machine.native import kernel_isa, library_path
from cmow.service.model.bundle import TableDtype
from export.graphs.session import open_session
from export.ops.hybrid_body import hybrid_encode_function
from export.ops.hybrid_reference import hybrid_encode
from export.ops.op_model import op_model
from export.ops.tables import TABLE_NAMES, as_dtype

Arrays = dict[str, NDArray[Any]]

LIBRARY = library_path()
needs_library = pytest.mark.skipif(LIBRARY is None, reason="the native library is not installed")

DTYPES: tuple[TableDtype, ...] = get_args(TableDtype)
SHAPES = [(20, 400), (6, 10)]  # the d and e that the SIMD kernels serve, and a pair that only the portable one does
V = 61
ODD_LENGTHS = [0, 1, 2, 63, 64, 65, 129, 0, 1000, 3, 256, 257, 0]

# Relative L2 error allowed against float64. Rounding errors of a product grow with the square root of its length.
TOLERANCE = 1e-5
TOLERANCE_100K = 1e-4


def make_tables(dtype: TableDtype, d: int, e: int, noise: float = 0.05) -> Arrays:
    rng = np.random.default_rng(7)
    shapes = {"vectors": (V, e), "forward_deltas": (V, d, d), "backward_deltas": (V, d, d)}
    tables = {name: (noise * rng.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}
    return as_dtype(tables, dtype)


def make_batch(lengths: Sequence[int], dtype: type = np.int64) -> Arrays:
    cu_seqlens = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
    token_ids = np.random.default_rng(11).integers(0, V, cu_seqlens[-1]).astype(dtype)
    return {"token_ids": token_ids, "cu_seqlens": cu_seqlens}


def run(session: onnxruntime.InferenceSession, inputs: Arrays) -> NDArray[np.float32]:
    (output,) = session.run(None, inputs)
    return np.asarray(output)


@cache
def hundred_thousand_tokens(dtype: TableDtype, noise: float) -> tuple[Arrays, NDArray[np.float64]]:
    """One long sentence and its reference, which takes seconds."""
    inputs = {**make_batch([100_000]), **make_tables(dtype, 20, 400, noise)}
    return inputs, hybrid_encode(**inputs)


def run_kernel(inputs: Arrays, threads: int = 1) -> NDArray[np.float32]:
    return run(open_session(op_model(inputs), LIBRARY, threads), inputs)


def run_body(dtype: TableDtype, inputs: Arrays) -> NDArray[np.float32]:
    return run(open_session(op_model(inputs, body=hybrid_encode_function(dtype))), inputs)


def assert_close(actual: NDArray[np.float32], expected: NDArray[np.float64], tolerance: float = TOLERANCE) -> None:
    assert actual.dtype == np.float32
    assert actual.shape == expected.shape
    error = np.linalg.norm(actual - expected, axis=1)
    assert (error <= tolerance * np.linalg.norm(expected, axis=1)).all(), error.max()


@needs_library
@pytest.mark.parametrize("id_dtype", [np.int64, np.int32])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("d", "e"), SHAPES)
def test_kernel_matches_reference(isa: str, dtype: TableDtype, d: int, e: int, id_dtype: type) -> None:
    inputs = {**make_batch(ODD_LENGTHS, id_dtype), **make_tables(dtype, d, e)}
    assert_close(run_kernel(inputs), hybrid_encode(**inputs))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("d", "e"), SHAPES)
def test_body_matches_reference(dtype: TableDtype, d: int, e: int) -> None:
    inputs = {**make_batch(ODD_LENGTHS), **make_tables(dtype, d, e)}
    assert_close(run_body(dtype, inputs), hybrid_encode(**inputs))


@pytest.mark.parametrize("lengths", [[], [0], [0, 0, 0]])
@pytest.mark.parametrize("dtype", DTYPES)
def test_no_tokens(dtype: TableDtype, lengths: list[int]) -> None:
    inputs = {**make_batch(lengths), **make_tables(dtype, 20, 400)}
    empty = np.concatenate([np.zeros(400), np.eye(20).ravel(), np.eye(20).ravel()])
    outputs = [run_body(dtype, inputs)] + ([] if LIBRARY is None else [run_kernel(inputs)])
    for output in outputs:
        np.testing.assert_array_equal(output, np.tile(empty, (len(lengths), 1)))
        assert output.shape == (len(lengths), 1200)


@needs_library
@pytest.mark.parametrize(("dtype", "noise"), [("float32", 0.05), ("int8", 0.01)])
def test_100_000_tokens(isa: str, dtype: TableDtype, noise: float) -> None:
    inputs, expected = hundred_thousand_tokens(dtype, noise)
    output = run_kernel(inputs, threads=2)
    assert np.isfinite(output).all()
    assert_close(output, expected, TOLERANCE_100K)


@needs_library
@pytest.mark.parametrize("factor", [-0.9, -1.5, 30.0, 3000.0])
def test_products_that_vanish_or_grow(isa: str, factor: float) -> None:
    """Matrices near (1 + factor) I: without rescaling, products leave float32 within a few dozen tokens."""
    inputs = {**make_batch([40, 700]), **make_tables("float32", 20, 400, noise=0.05 * abs(1 + factor))}
    for name in ("forward_deltas", "backward_deltas"):
        inputs[name] += np.float32(factor) * np.eye(20, dtype=np.float32)
    assert_close(run_kernel(inputs), hybrid_encode(**inputs), 10 * TOLERANCE)
    assert_close(run_body("float32", inputs), hybrid_encode(**inputs), 10 * TOLERANCE)


def test_a_product_of_zero_stays_zero() -> None:
    inputs = {**make_batch([3]), **make_tables("float32", 20, 400)}
    inputs["forward_deltas"] = np.tile(-np.eye(20, dtype=np.float32), (V, 1, 1))
    outputs = [run_body("float32", inputs)] + ([] if LIBRARY is None else [run_kernel(inputs)])
    for output in outputs:
        np.testing.assert_array_equal(output[0, 400:800], 0)
        assert np.isfinite(output).all()


@needs_library
def test_largest_float16_matrices_stay_finite(isa: str) -> None:
    inputs = {**make_batch([1, 5, 300]), **make_tables("float16", 20, 400)}
    inputs["forward_deltas"] = np.full((V, 20, 20), 65504, np.float16)
    assert np.isfinite(run_kernel(inputs)).all()


@needs_library
@pytest.mark.parametrize("dtype", DTYPES)
def test_batched_equals_single_bit_for_bit(isa: str, dtype: TableDtype) -> None:
    batch, tables = make_batch(ODD_LENGTHS), make_tables(dtype, 20, 400)
    model = op_model({**batch, **tables})
    singles, ids, bounds = [], batch["token_ids"], batch["cu_seqlens"]
    single_session = open_session(model, LIBRARY)
    for start, end in pairwise(bounds):
        alone = {"token_ids": ids[start:end], "cu_seqlens": np.array([0, end - start])}
        singles.append(run(single_session, {**alone, **tables}))
    for threads in (1, 2):
        batched = run(open_session(model, LIBRARY, threads), {**batch, **tables})
        np.testing.assert_array_equal(batched, np.concatenate(singles))


@needs_library
@pytest.mark.parametrize("length", [64, 129, 256, 257, 2000])
def test_a_lone_sentence_is_the_same_on_two_threads(isa: str, length: int) -> None:
    inputs = {**make_batch([length]), **make_tables("int8", 20, 400)}
    np.testing.assert_array_equal(run_kernel(inputs, threads=1), run_kernel(inputs, threads=2))


def replace(name: str, value: Callable[[Arrays], NDArray[Any] | None]) -> Callable[[Arrays], None]:
    """A change of one input: to another array, or to none at all."""

    def change(inputs: Arrays) -> None:
        array = value(inputs)
        if array is None:
            del inputs[name]
        else:
            inputs[name] = array

    return change


def with_id(position: int, token: int) -> Callable[[Arrays], None]:
    def change(inputs: Arrays) -> None:
        inputs["token_ids"][position] = token

    return change


# dtype of the tables, what is done to good inputs (lengths 2, 3, 4; N = 9), and what the message says
WRONG_INPUTS = {
    "id too large": ("float32", with_id(4, V), rf"token_ids\[4\] is {V}, outside \[0, {V}\)"),
    "id negative": ("float32", with_id(8, -3), rf"token_ids\[8\] is -3, outside \[0, {V}\)"),
    "id beyond int32": ("float32", with_id(0, 2**32), rf"token_ids\[0\] is {2**32}, outside"),
    "ids of float": ("float32", replace("token_ids", lambda x: np.ones(9, np.float32)), "int64 or int32, got float32"),
    "ids of rank 2": ("float32", replace("token_ids", lambda x: np.ones((3, 3), np.int64)), r"\[N\], got \[3, 3\]"),
    "offsets int32": ("float32", replace("cu_seqlens", lambda x: x["cu_seqlens"].astype(np.int32)), "int64, got int32"),
    "offsets rank 0": ("float32", replace("cu_seqlens", lambda x: np.array(0)), r"\[B \+ 1\], got \[\]"),
    "offsets empty": ("float32", replace("cu_seqlens", lambda x: np.zeros(0, np.int64)), r"\[B \+ 1\], got \[0\]"),
    "offsets start": (
        "float32",
        replace("cu_seqlens", lambda x: np.array([1, 9])),
        r"cu_seqlens\[0\] must be 0, got 1",
    ),
    "offsets fall": (
        "float32",
        replace("cu_seqlens", lambda x: np.array([0, 7, 5, 9])),
        r"cu_seqlens\[1\] is 7 and cu_seqlens\[2\] is 5",
    ),
    "offsets end": (
        "float32",
        replace("cu_seqlens", lambda x: np.array([0, 4, 12])),
        r"cu_seqlens\[2\] must be the number of token ids, 9, got 12",
    ),
    "vectors of float64": (
        "float32",
        replace("vectors", lambda x: np.ones((V, 400))),
        "vectors must be float32, float16 or int8, got ONNX element type 11",
    ),
    "vectors of rank 1": ("float32", replace("vectors", lambda x: np.ones(V, np.float32)), rf"\[V, e\], got \[{V}\]"),
    "mixed dtypes": (
        "float32",
        replace("backward_deltas", lambda x: x["backward_deltas"].astype(np.float16)),
        "backward_deltas must be float32 like vectors, got float16",
    ),
    "another vocabulary": (
        "float16",
        replace("forward_deltas", lambda x: x["forward_deltas"][1:]),
        rf"forward_deltas must have shape \[{V}, d, d\], got \[{V - 1}, 20, 20\]",
    ),
    "not square": (
        "float32",
        replace("forward_deltas", lambda x: np.ones((V, 20, 19), np.float32)),
        rf"forward_deltas must have shape \[{V}, d, d\], got \[{V}, 20, 19\]",
    ),
    "sides differ": (
        "float32",
        replace("backward_deltas", lambda x: np.ones((V, 8, 8), np.float32)),
        rf"backward_deltas must have shape \[{V}, 20, 20\] like forward_deltas, got \[{V}, 8, 8\]",
    ),
    "side too large": (
        "float32",
        replace("forward_deltas", lambda x: np.ones((V, 65, 65), np.float32)),
        rf"d from 1 to 64, got \[{V}, 65, 65\]",
    ),
    "scales missing": ("int8", replace("scales", lambda x: None), "scales is missing"),
    "scales unexpected": ("float16", replace("scales", lambda x: np.ones((V, 3), np.float32)), rf"int8.*\[{V}, 3\]"),
    "scales of wrong shape": (
        "int8",
        replace("scales", lambda x: x["scales"][:, :2]),
        rf"scales must have shape \[{V}, 3\], got \[{V}, 2\]",
    ),
    "scales of float16": (
        "int8",
        replace("scales", lambda x: x["scales"].astype(np.float16)),
        "scales must be float32, got float16",
    ),
}


@needs_library
@pytest.mark.parametrize(("dtype", "change", "message"), WRONG_INPUTS.values(), ids=WRONG_INPUTS.keys())
def test_wrong_inputs_are_refused(dtype: TableDtype, change: Callable[[Arrays], None], message: str) -> None:
    inputs = {**make_batch([2, 3, 4]), **make_tables(dtype, 20, 400)}
    change(inputs)
    session = open_session(op_model(inputs), LIBRARY)
    with pytest.raises(InvalidArgument, match=message):
        session.run(None, inputs)


@needs_library
def test_a_session_survives_a_wrong_input() -> None:
    inputs = {**make_batch([2, 3]), **make_tables("float32", 20, 400)}
    session = open_session(op_model(inputs), LIBRARY)
    before = run(session, inputs)
    with pytest.raises(InvalidArgument):
        session.run(None, {**inputs, "token_ids": np.full(5, V)})
    np.testing.assert_array_equal(run(session, inputs), before)


OTHER_BODY = """
<opset_import: ["" : 18], domain: "ai.cmow">
HybridEncode (token_ids, cu_seqlens, vectors, forward_deltas, backward_deltas) => (embedding)
{ embedding = Constant <value = float[1, 1] {-1}> () }
"""


@needs_library
def test_the_registered_kernel_wins_over_the_body() -> None:
    """A body that computes something else shows which of the two ran."""
    inputs = {**make_batch([5, 7]), **make_tables("float32", 20, 400)}
    model = op_model(inputs, body=onnx.parser.parse_function(OTHER_BODY))
    np.testing.assert_array_equal(run(open_session(model), inputs), [[-1.0]])
    assert_close(run(open_session(model, LIBRARY), inputs), hybrid_encode(**inputs))


@needs_library
def test_tables_may_be_part_of_the_model() -> None:
    batch, tables = make_batch([5, 7]), make_tables("int8", 20, 400)
    session = open_session(op_model(batch, constants=tables), LIBRARY)
    assert [i.name for i in session.get_inputs()] == ["token_ids", "cu_seqlens"]
    assert set(TABLE_NAMES) == set(tables)
    assert_close(run(session, batch), hybrid_encode(**batch, **tables))


@needs_library
def test_the_environment_chooses_the_instruction_set(isa: str) -> None:
    assert LIBRARY is not None
    assert kernel_isa(LIBRARY) == isa


@needs_library
def test_an_unknown_instruction_set_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMOW_ISA", "avx1024")
    options = onnxruntime.SessionOptions()
    with pytest.raises(InvalidArgument, match=r'CMOW_ISA is "avx1024", but this machine supports .*portable'):
        options.register_custom_ops_library(str(LIBRARY))
