"""Kernels and portable body against the float64 reference, over odd shapes and wrong inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument, RuntimeException

from export.graphs.session import open_session
from export.ops.op_model import op_model
from export.ops.pairs_body import encode_pairs_function
from export.ops.pairs_reference import encode_pairs
from export.ops.signatures import ENCODE_PAIRS
from tests.export.ops.test_hybrid_encode import LIBRARY, Arrays, needs_library, replace, run, with_id
from training.bundle.rounding import quantise
from training.student.pair_encoder import PairEncoder

Shape = tuple[int, int, int, int]

# w, q, S, T: as the model has them, and others
SHAPES: list[Shape] = [(128, 64, 64, 2), (16, 16, 1, 1), (48, 32, 5, 3), (80, 16, 200, 1), (192, 128, 7, 2)]
ODD_LENGTHS = [0, 0, 1, 2, 15, 0, 16, 17, 63, 64, 65, 129, 1000, 3, 256, 257]
TOKEN_INPUTS = ("token_ids", "cu_seqlens", "pairs")
V = 97

# Relative L2 errors of one half of a pair: of sums in float32, and where an activation lands on another whole number,
# which at most half of the sentences below have.
TOLERANCE, TOLERANCE_ROUNDED, EXACT_SHARE = 2e-6, 1e-2, 0.5


def stored_weight(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """``weight`` [..., in, out] as whole numbers up to 63, and the scales [..., out] of its columns."""
    columns = weight.swapaxes(-1, -2)
    stored, scales = quantise(columns.reshape(-1, columns.shape[-1]), 63)
    return stored.reshape(columns.shape).swapaxes(-1, -2).copy(), scales.reshape(columns.shape[:-1])


def make_weights(shape: Shape = SHAPES[0]) -> Arrays:
    """Random weights of a model of w, q, S, T whose features neither vanish nor grow."""
    w, q, places, blocks = shape
    rng = np.random.default_rng(7)
    rows, scales = quantise(rng.standard_normal((V, w)).astype(np.float32))
    arrays: Arrays = {"rows": rows, "scales": scales}
    arrays["places"] = (0.3 * rng.standard_normal((places, w))).astype(np.float32)
    for name, size, depth in (("mix", (w, 3 * w), 3 * w), ("key", (w, q), w), ("fuse", (4, w, w), 4 * w)):
        weight = (rng.standard_normal((blocks, *size)) / np.sqrt(depth)).astype(np.float32)
        arrays[name], arrays[f"{name}_scales"] = stored_weight(weight)
        bias = (blocks, q if name == "key" else w)
        arrays[f"{name}_bias"] = (0.1 * rng.standard_normal(bias)).astype(np.float32)
    return arrays


def make_inputs(lengths: Sequence[int], shape: Shape = SHAPES[0]) -> Arrays:
    """Random tokens in sentences of ``lengths``, each paired with the next one and the last with the first."""
    cu_seqlens = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
    sentences = np.arange(len(lengths))
    return {
        "token_ids": np.random.default_rng(11).integers(0, V, cu_seqlens[-1]),
        "cu_seqlens": cu_seqlens,
        "pairs": np.stack([sentences, np.roll(sentences, -1)], axis=1),
        **make_weights(shape),
    }


@cache
def odd_lengths(shape: Shape) -> tuple[Arrays, NDArray[np.float64]]:
    """Sentences of ``ODD_LENGTHS``, and their reference, which takes seconds."""
    inputs = make_inputs(ODD_LENGTHS, shape)
    return inputs, encode_pairs(**inputs)


def open_kernel(inputs: Arrays, threads: int = 1) -> onnxruntime.InferenceSession:
    """With tables and weights as constants of the model, as a bundle has them."""
    feeds = {name: inputs[name] for name in TOKEN_INPUTS}
    constants = {name: array for name, array in inputs.items() if name not in feeds}
    return open_session(op_model(feeds, constants, op=ENCODE_PAIRS), LIBRARY, threads)


def run_tokens(session: onnxruntime.InferenceSession, inputs: Arrays) -> NDArray[np.float32]:
    return run(session, {name: inputs[name] for name in TOKEN_INPUTS})


def run_kernel(inputs: Arrays, threads: int = 1) -> NDArray[np.float32]:
    return run_tokens(open_kernel(inputs, threads), inputs)


def run_body(inputs: Arrays) -> NDArray[np.float32]:
    return run(open_session(op_model(inputs, body=encode_pairs_function(), op=ENCODE_PAIRS)), inputs)


def run_all(inputs: Arrays) -> list[NDArray[np.float32]]:
    return [run_body(inputs)] + ([] if LIBRARY is None else [run_kernel(inputs)])


def relative_errors(actual: NDArray[np.float32], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each half of a pair [P, 2]."""
    assert actual.dtype == np.float32
    assert actual.shape == expected.shape
    norms = np.linalg.norm(expected, axis=2)
    errors: NDArray[np.float64] = np.linalg.norm(actual - expected, axis=2) / np.where(norms == 0, 1, norms)
    return errors


def assert_close(actual: NDArray[np.float32], expected: NDArray[np.float64], exact_share: float = EXACT_SHARE) -> None:
    """Equal to the precision of float32, but where an activation was rounded to the next whole number."""
    errors = relative_errors(actual, expected)
    assert (errors <= TOLERANCE_ROUNDED).all(), errors.max()
    assert (errors <= TOLERANCE).sum() >= exact_share * errors.size, np.sort(errors.ravel())


@needs_library
@pytest.mark.parametrize("shape", SHAPES)
def test_kernel_matches_reference(isa: str, shape: Shape) -> None:
    inputs, expected = odd_lengths(shape)
    assert_close(run_kernel(inputs, threads=2), expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_body_matches_reference(shape: Shape) -> None:
    inputs, expected = odd_lengths(shape)
    assert_close(run_body(inputs), expected)


def whole_numbers(shape: Shape) -> Arrays:
    """Sentences of one token and of none, so that no activation is near a step: all weights count, to the last bit."""
    inputs = make_inputs([1, 0], shape)
    w = shape[0]
    inputs["rows"] = np.random.default_rng(5).integers(4, 128, (V, w)).astype(np.int8)
    inputs["rows"][:, 0] = 127  # the largest, so that a row's activations are its own numbers
    inputs["scales"][:], inputs["places"][:] = 1, 0
    for name in ("mix", "key", "fuse"):
        inputs[f"{name}_scales"][:], inputs[f"{name}_bias"][:] = 2.0**-10, 64
    inputs["fuse"][:] = 0
    return inputs


@needs_library
@pytest.mark.parametrize("shape", [(16, 16, 3, 1), (64, 16, 3, 1)])
def test_kernel_agrees_exactly_on_whole_numbers(isa: str, shape: Shape) -> None:
    inputs = whole_numbers(shape)
    np.testing.assert_allclose(run_kernel(inputs), encode_pairs(**inputs), rtol=2e-7)


def test_reference_is_the_trained_model() -> None:
    """The torch model with weights and activations rounded to int8; what rounding changes is below two in a hundred."""
    torch.manual_seed(3)
    inputs = make_inputs([5, 0, 9, 70])
    w, q, places, blocks = SHAPES[0]
    table = inputs["rows"] * inputs["scales"][:, None]
    model = PairEncoder(torch.from_numpy(table), blocks, q, places).eval()
    layers: dict[str, Any] = {"mix": [], "key": [], "fuse": []}
    for block in model.blocks:
        layers["mix"].append(torch.cat([block.before.weight, block.here.weight, block.after.weight]).T)
        layers["key"].append(block.key.weight.T)
        layers["fuse"].append(block.fuse.weight.T.reshape(4, w, w))
    for name, weights in layers.items():
        inputs[name], inputs[f"{name}_scales"] = stored_weight(torch.stack(weights).detach().numpy())
    for name, layer in (("mix", "here"), ("key", "key"), ("fuse", "fuse")):
        biases = [getattr(block, layer).bias for block in model.blocks]
        inputs[f"{name}_bias"] = torch.stack(biases).detach().numpy()
    inputs["places"] = model.places.detach().numpy()
    expected = model(*(torch.from_numpy(inputs[name]) for name in TOKEN_INPUTS)).detach().numpy()
    assert relative_errors(expected, encode_pairs(**inputs)).max() < 0.02


def test_any_sentences_in_any_order() -> None:
    inputs = make_inputs([5, 0, 9, 1])
    inputs["pairs"] = np.array([[2, 2], [0, 3], [3, 0], [1, 1], [0, 3], [1, 2]])
    for output in run_all(inputs):
        assert_close(output, encode_pairs(**inputs))
        np.testing.assert_array_equal(output[3], 0)
        np.testing.assert_array_equal(output[5, 0], 0)
        np.testing.assert_array_equal(output[1], output[4])


@pytest.mark.parametrize("lengths", [[], [0], [0, 0, 0], [4, 2]])
def test_no_pairs_or_no_tokens(lengths: list[int]) -> None:
    inputs = make_inputs(lengths)
    if any(lengths):
        inputs["pairs"] = inputs["pairs"][:0]
    for output in run_all(inputs):
        assert output.shape == (len(inputs["pairs"]), 2, 256)
        np.testing.assert_array_equal(output, 0)


def test_one_sentence_with_many() -> None:
    inputs = make_inputs([14, *range(1, 40)])
    inputs["pairs"] = np.stack([np.zeros(39, np.int64), np.arange(1, 40)], axis=1)
    for output in run_all(inputs):
        assert_close(output, encode_pairs(**inputs))


@needs_library
def test_large_logits(isa: str) -> None:
    """Logits in the thousands: exp of any of them alone leaves float32 at 89."""
    inputs = make_inputs([3, 70, 300, 20])
    inputs["key_scales"] *= 20
    for output in (run_kernel(inputs), run_body(inputs)):
        assert_close(output, encode_pairs(**inputs), exact_share=0)


@needs_library
def test_rows_of_zeros_and_of_tiny_numbers(isa: str) -> None:
    inputs = make_inputs([3, 70, 2])
    inputs["rows"][::2], inputs["places"][:] = 0, 0
    inputs["scales"][1::4] = 1e-38
    for output in (run_kernel(inputs), run_body(inputs)):
        assert_close(output, encode_pairs(**inputs))


@needs_library
@pytest.mark.parametrize("shape", [SHAPES[0], (16, 32, 5, 1)])
def test_a_pair_is_the_same_bits_anywhere(isa: str, shape: Shape) -> None:
    inputs = make_inputs([*ODD_LENGTHS, 14, 10, 9, 600, 511, 0], shape)
    pairs = inputs["pairs"]
    session = open_kernel(inputs)
    alone = np.concatenate([run_tokens(session, {**inputs, "pairs": pairs[i : i + 1]}) for i in range(len(pairs))])
    order = np.random.default_rng(0).permutation(np.repeat(np.arange(len(pairs)), 2))
    for threads in (1, 2, 3):
        together = run_tokens(open_kernel(inputs, threads), {**inputs, "pairs": pairs[order]})
        np.testing.assert_array_equal(together, alone[order])
    np.testing.assert_array_equal(run_tokens(session, {**inputs, "pairs": pairs[:, ::-1].copy()}), alone[:, ::-1])


@needs_library
def test_weights_may_come_with_the_run(isa: str) -> None:
    inputs = make_inputs([3, 70, 0])
    session = open_session(op_model(inputs, op=ENCODE_PAIRS), LIBRARY)
    np.testing.assert_array_equal(run(session, inputs), run_kernel(inputs))
    inputs["mix"] = -inputs["mix"]
    np.testing.assert_array_equal(run(session, inputs), run_kernel(inputs))


@needs_library
def test_long_texts(isa: str) -> None:
    """Pairs that threads share: one long text beside a short one, and two long ones."""
    inputs = make_inputs([5000, 5, 700], (16, 16, 16, 2))
    assert_close(run_kernel(inputs, threads=2), encode_pairs(**inputs), exact_share=0)


@needs_library
def test_nan_and_infinity_stay_in_their_pairs(isa: str) -> None:
    inputs = make_inputs([3, 70, 2, 4])
    inputs["token_ids"][:73] = np.arange(73)
    inputs["token_ids"][73:] = 90
    clean = run_kernel(inputs)
    inputs["scales"][:3] = np.nan, np.inf, -np.inf
    np.testing.assert_array_equal(run_kernel(inputs)[2], clean[2])


@needs_library
def test_every_number_of_the_output_is_written(isa: str) -> None:
    inputs = make_inputs([3, 0, 40])
    session = open_kernel(inputs)
    poisoned = onnxruntime.OrtValue.ortvalue_from_numpy(np.full((3, 2, 256), np.nan, np.float32))
    binding = session.io_binding()
    for name in TOKEN_INPUTS:
        binding.bind_cpu_input(name, inputs[name])
    binding.bind_ortvalue_output("pooled", poisoned)
    session.run_with_iobinding(binding)
    np.testing.assert_array_equal(poisoned.numpy(), run_tokens(session, inputs))
    assert np.isfinite(poisoned.numpy()).all()


def with_weight(name: str, place: tuple[int, ...], weight: int) -> Callable[[Arrays], None]:
    def change(inputs: Arrays) -> None:
        inputs[name][place] = weight

    return change


def without_last(name: str, axis: int = 0) -> Callable[[Arrays], None]:
    return replace(name, lambda inputs: np.delete(inputs[name], -1, axis))


def as_type(name: str, dtype: type) -> Callable[[Arrays], None]:
    return replace(name, lambda inputs: inputs[name].astype(dtype))


def constant_array(name: str, shape: tuple[int, ...], dtype: type = np.float32) -> Callable[[Arrays], None]:
    return replace(name, lambda inputs: np.zeros(shape, dtype))


# What is done to good inputs (lengths 2, 3, 4; N = 9; w, q, S, T = 128, 64, 64, 2), and what the message says
WRONG_TOKENS = {
    "id too large": (with_id(4, V), rf"token_ids\[4\] is {V}, outside \[0, {V}\)"),
    "id negative": (with_id(8, -3), rf"token_ids\[8\] is -3, outside \[0, {V}\)"),
    "ids of int32": (as_type("token_ids", np.int32), "token_ids must be int64, got int32"),
    "ids of rank 2": (constant_array("token_ids", (3, 3), np.int64), r"token_ids .* \[N\], got \[3, 3\]"),
    "row too large": (
        replace("pairs", lambda x: np.array([[0, 1], [3, 0]])),
        r"pairs\[1, 0\] is 3, outside \[0, 3\)",
    ),
    "row negative": (replace("pairs", lambda x: np.array([[0, -1]])), r"pairs\[0, 1\] is -1, outside \[0, 3\)"),
    "pairs of three": (constant_array("pairs", (2, 3), np.int64), r"pairs .* \[P, 2\], got \[2, 3\]"),
    "pairs of int32": (as_type("pairs", np.int32), "pairs must be int64, got int32"),
    "offsets start": (replace("cu_seqlens", lambda x: np.array([1, 4, 5, 9])), r"cu_seqlens\[0\] must be 0, got 1"),
    "offsets fall": (
        replace("cu_seqlens", lambda x: np.array([0, 7, 5, 9])),
        r"cu_seqlens\[1\] is 7 and cu_seqlens\[2\] is 5",
    ),
    "offsets end": (
        replace("cu_seqlens", lambda x: np.array([0, 2, 5, 12])),
        r"cu_seqlens\[3\] must be the number of token ids, 9, got 12",
    ),
    "offsets empty": (constant_array("cu_seqlens", (0,), np.int64), r"\[B \+ 1\], got \[0\]"),
    "rows of another width": (without_last("rows", 1), rf"rows must have shape \[V, 128\] like mix, got \[{V}, 127\]"),
    "rows of float": (as_type("rows", np.float32), "rows must be int8, got float32"),
    "fewer scales": (without_last("scales"), rf"scales must have shape \[{V}\], got \[{V - 1}\]"),
    "no places": (constant_array("places", (0, 128)), r"places .* \[S, 128\] with S at least 1, got \[0, 128\]"),
}
WRONG_WEIGHTS = {
    "weight too large": (with_weight("mix", (1, 5, 17), 64), r"mix\[1, 5, 17\] is 64, outside \[-63, 63\]"),
    "weight too small": (with_weight("fuse", (0, 3, 127, 2), -64), r"fuse\[0, 3, 127, 2\] is -64, outside"),
    "no blocks": (constant_array("mix", (0, 128, 384), np.int8), r"T at least 1 .* got \[0, 128, 384\]"),
    "odd width": (constant_array("mix", (1, 24, 72), np.int8), r"w a multiple of 16 up to 2048, got \[1, 24, 72\]"),
    "two columns a feature": (without_last("mix", 2), r"\[T, w, 3 w\].*got \[2, 128, 383\]"),
    "mix of uint8": (as_type("mix", np.uint8), "mix must be int8, got ONNX element type 2"),
    "mix scales": (without_last("mix_scales", 1), r"mix_scales must have shape \[2, 384\], got \[2, 383\]"),
    "mix bias": (without_last("mix_bias"), r"mix_bias must have shape \[2, 128\], got \[1, 128\]"),
    "odd key size": (without_last("key", 2), r"\[2, 128, q\] with q a multiple of 16 .* got \[2, 128, 63\]"),
    "keys of fewer blocks": (without_last("key"), r"key must have shape \[2, 128, q\]"),
    "key scales": (without_last("key_scales", 1), r"key_scales must have shape \[2, 64\]"),
    "key bias": (as_type("key_bias", np.float64), "key_bias must be float32, got ONNX element type 11"),
    "three features": (without_last("fuse", 1), r"fuse must have shape \[2, 4, 128, 128\], got \[2, 3, 128, 128\]"),
    "fuse scales": (without_last("fuse_scales", 1), r"fuse_scales must have shape \[2, 4, 128\]"),
    "fuse bias": (without_last("fuse_bias", 1), r"fuse_bias must have shape \[2, 128\]"),
}


@needs_library
@pytest.mark.parametrize(("change", "message"), WRONG_TOKENS.values(), ids=WRONG_TOKENS.keys())
def test_wrong_tokens_are_refused(change: Callable[[Arrays], None], message: str) -> None:
    inputs = make_inputs([2, 3, 4])
    before = {name: array.copy() for name, array in inputs.items()}
    change(inputs)
    session = open_session(op_model(inputs, op=ENCODE_PAIRS), LIBRARY)
    with pytest.raises(InvalidArgument, match=message):
        session.run(None, inputs)
    if all(inputs[name].dtype == before[name].dtype for name in inputs):
        assert_close(run(session, before), encode_pairs(**before))  # the session survives


@needs_library
@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize(("change", "message"), WRONG_WEIGHTS.values(), ids=WRONG_WEIGHTS.keys())
def test_wrong_weights_are_refused(constant: bool, change: Callable[[Arrays], None], message: str) -> None:
    """When the session is made, if they are constants of the model."""
    inputs = make_inputs([2, 3, 4])
    change(inputs)
    if constant:
        with pytest.raises(RuntimeException, match=message):
            open_kernel(inputs)
        return
    session = open_session(op_model(inputs, op=ENCODE_PAIRS), LIBRARY)
    with pytest.raises(InvalidArgument, match=message):
        session.run(None, inputs)
