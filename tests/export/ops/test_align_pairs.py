"""Kernels, portable body and torch's operator against the float64 reference, over odd shapes and wrong inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from export.graphs.session import open_session
from export.ops.align_body import align_pairs_function
from export.ops.align_reference import align_pairs
from export.ops.op_model import op_model
from export.ops.signatures import ALIGN_PAIRS
from export.to_onnx import OPSET, TRANSLATIONS
from tests.export.ops.test_hybrid_encode import LIBRARY, Arrays, needs_library, replace, run
from training.student import alignment

# q, k, h: as the model has them, larger, and sizes that no vector divides
SHAPES = [(32, 64, 64), (64, 128, 128), (16, 16, 16), (1, 3, 20), (3, 100, 1), (20, 1, 100), (100, 20, 3)]
ODD_LENGTHS = [0, 0, 1, 2, 15, 0, 16, 17, 63, 64, 65, 129, 1000, 3, 256, 257]

TOLERANCE = 1e-5  # relative L2 error of one half of a pair


def make_inputs(lengths: Sequence[int], shape: tuple[int, int, int] = (32, 64, 64), scale: float = 1.0) -> Arrays:
    """Random tokens in sentences of ``lengths``, each paired with the next one and the last with the first."""
    q, k, h = shape
    rng = np.random.default_rng(7)
    cu_seqlens = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
    sentences = np.arange(len(lengths))
    shapes = {"keys": (cu_seqlens[-1], q), "values": (cu_seqlens[-1], k), "weight": (4 * k, h), "bias": (h,)}
    arrays = {name: rng.standard_normal(size).astype(np.float32) for name, size in shapes.items()}
    arrays["keys"] *= np.float32(scale / np.sqrt(q))
    arrays["weight"] /= np.float32(np.sqrt(4 * k))
    return {**arrays, "cu_seqlens": cu_seqlens, "pairs": np.stack([sentences, np.roll(sentences, -1)], axis=1)}


def run_kernel(inputs: Arrays, threads: int = 1) -> NDArray[np.float32]:
    return run(open_session(op_model(inputs, op=ALIGN_PAIRS), LIBRARY, threads), inputs)


def run_body(inputs: Arrays) -> NDArray[np.float32]:
    return run(open_session(op_model(inputs, body=align_pairs_function(), op=ALIGN_PAIRS)), inputs)


def run_torch(inputs: Arrays) -> NDArray[np.float32]:
    tensors = (torch.from_numpy(inputs[name]) for name in ALIGN_PAIRS.inputs)
    return np.asarray(alignment.align_op(*tensors).numpy())


def run_all(inputs: Arrays) -> list[NDArray[np.float32]]:
    return [run_body(inputs), run_torch(inputs)] + ([] if LIBRARY is None else [run_kernel(inputs)])


def assert_close(actual: NDArray[np.float32], expected: NDArray[np.float64]) -> None:
    assert actual.dtype == np.float32
    assert actual.shape == expected.shape
    error = np.linalg.norm(actual - expected, axis=2)
    assert (error <= TOLERANCE * np.linalg.norm(expected, axis=2)).all(), error.max()


@needs_library
@pytest.mark.parametrize("shape", SHAPES)
def test_kernel_matches_reference(isa: str, shape: tuple[int, int, int]) -> None:
    inputs = make_inputs(ODD_LENGTHS, shape)
    assert_close(run_kernel(inputs, threads=2), align_pairs(**inputs))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("implementation", [run_body, run_torch])
def test_others_match_reference(
    implementation: Callable[[Arrays], NDArray[np.float32]], shape: tuple[int, int, int]
) -> None:
    inputs = make_inputs(ODD_LENGTHS, shape)
    assert_close(implementation(inputs), align_pairs(**inputs))


def test_any_sentences_in_any_order() -> None:
    inputs = make_inputs([5, 0, 9, 1])
    inputs["pairs"] = np.array([[2, 2], [0, 3], [3, 0], [1, 1], [0, 3], [1, 2]])
    for output in run_all(inputs):
        assert_close(output, align_pairs(**inputs))
        np.testing.assert_array_equal(output[3], 0)


@pytest.mark.parametrize("lengths", [[], [0], [0, 0, 0], [4, 2]])
def test_no_pairs_or_no_tokens(lengths: list[int]) -> None:
    inputs = make_inputs(lengths)
    if any(lengths):
        inputs["pairs"] = inputs["pairs"][:0]
    for output in run_all(inputs):
        assert output.shape == (len(inputs["pairs"]), 2, 128)
        np.testing.assert_array_equal(output, 0)


def test_256_pairs() -> None:
    inputs = make_inputs([14, 10] * 256)
    inputs["pairs"] = np.arange(512).reshape(256, 2)
    for output in run_all(inputs):
        assert_close(output, align_pairs(**inputs))


@needs_library
def test_large_logits(isa: str) -> None:
    """Logits in the tens of thousands: exp of any of them alone leaves float32 at 89. Whole numbers are exact."""
    inputs = make_inputs([3, 70, 300, 20])
    inputs["keys"] = np.rint(100 * inputs["keys"])
    for output in (run_kernel(inputs), run_body(inputs), run_torch(inputs)):
        assert_close(output, align_pairs(**inputs))


@needs_library
def test_growing_logits(isa: str) -> None:
    """Each later token has a larger logit, so that the softmax is rescaled with every block."""
    inputs = make_inputs([1, 1000])
    inputs["keys"][:] = 1 / 8
    inputs["keys"][1:] *= np.linspace(-20, 20, 1000, dtype=np.float32)[:, None]
    assert_close(run_kernel(inputs), align_pairs(**inputs))


@cache
def hundred_thousand_tokens() -> tuple[Arrays, NDArray[np.float64]]:
    """A long sentence beside a short one, and their reference."""
    inputs = make_inputs([100_000, 5], (16, 16, 16))
    return inputs, align_pairs(**inputs)


@needs_library
def test_100_000_tokens(isa: str) -> None:
    inputs, expected = hundred_thousand_tokens()
    assert_close(run_kernel(inputs, threads=2), expected)


@needs_library
@pytest.mark.parametrize("shape", [(32, 64, 64), (3, 5, 7)])
def test_a_pair_is_the_same_bits_anywhere(isa: str, shape: tuple[int, int, int]) -> None:
    inputs = make_inputs([*ODD_LENGTHS, 14, 10, 9, 600], shape)
    model = op_model(inputs, op=ALIGN_PAIRS)
    pairs = inputs["pairs"]
    session = open_session(model, LIBRARY)
    alone = np.concatenate([run(session, {**inputs, "pairs": pairs[i : i + 1]}) for i in range(len(pairs))])
    order = np.random.default_rng(0).permutation(np.repeat(np.arange(len(pairs)), 3))
    for threads in (1, 2, 3):
        together = run(open_session(model, LIBRARY, threads), {**inputs, "pairs": pairs[order]})
        np.testing.assert_array_equal(together, alone[order])
    np.testing.assert_array_equal(run(session, {**inputs, "pairs": pairs[:, ::-1].copy()}), alone[:, ::-1])


@needs_library
def test_nan_and_infinity_stay_in_their_pairs(isa: str) -> None:
    inputs = make_inputs([3, 70, 2, 4])
    inputs["keys"][0], inputs["keys"][40], inputs["values"][1] = np.nan, np.inf, -np.inf
    output = run_kernel(inputs)
    assert_close(output[2:3], align_pairs(**{**inputs, "pairs": inputs["pairs"][2:3]}))


def with_pair(pair: int, side: int, sentence: int) -> Callable[[Arrays], None]:
    def change(inputs: Arrays) -> None:
        inputs["pairs"][pair, side] = sentence

    return change


# What is done to good inputs (lengths 2, 3, 4; N = 9; q, k, h = 32, 64, 64), and what the message says
WRONG_INPUTS = {
    "row too large": (with_pair(1, 0, 3), r"pairs\[1, 0\] is 3, outside \[0, 3\)"),
    "row negative": (with_pair(2, 1, -1), r"pairs\[2, 1\] is -1, outside \[0, 3\)"),
    "row far too large": (with_pair(0, 1, 2**62), rf"pairs\[0, 1\] is {2**62}, outside"),
    "pairs of int32": (replace("pairs", lambda x: x["pairs"].astype(np.int32)), "pairs must be int64, got int32"),
    "pairs of three": (replace("pairs", lambda x: np.zeros((2, 3), np.int64)), r"pairs .* \[Q, 2\], got \[2, 3\]"),
    "pairs of rank 1": (replace("pairs", lambda x: np.zeros(2, np.int64)), r"pairs .* \[Q, 2\], got \[2\]"),
    "offsets start": (replace("cu_seqlens", lambda x: np.array([1, 4, 5, 9])), r"cu_seqlens\[0\] must be 0, got 1"),
    "offsets fall": (
        replace("cu_seqlens", lambda x: np.array([0, 7, 5, 9])),
        r"cu_seqlens\[1\] is 7 and cu_seqlens\[2\] is 5",
    ),
    "offsets end": (
        replace("cu_seqlens", lambda x: np.array([0, 2, 5, 12])),
        r"cu_seqlens\[3\] must be the number of rows of keys, 9, got 12",
    ),
    "offsets empty": (replace("cu_seqlens", lambda x: np.zeros(0, np.int64)), r"\[B \+ 1\], got \[0\]"),
    "offsets float": (
        replace("cu_seqlens", lambda x: np.zeros(4, np.float32)),
        "cu_seqlens must be int64, got float32",
    ),
    "keys of float64": (
        replace("keys", lambda x: x["keys"].astype(np.float64)),
        "keys must be float32, got ONNX element type 11",
    ),
    "keys of rank 1": (replace("keys", lambda x: np.zeros(9, np.float32)), r"keys must have shape \[N, q\].*got \[9\]"),
    "keys without size": (
        replace("keys", lambda x: np.zeros((9, 0), np.float32)),
        r"q from 1 to 65536, got \[9, 0\]",
    ),
    "keys too wide": (
        replace("keys", lambda x: np.zeros((0, 70000), np.float32)),
        r"q from 1 to 65536, got \[0, 70000\]",
    ),
    "fewer values": (
        replace("values", lambda x: x["values"][1:]),
        r"values must have shape \[9, 64\] with a row for each of keys, got \[8, 64\]",
    ),
    "values of float16": (replace("values", lambda x: x["values"].astype(np.float16)), "values must be float32"),
    "weight of three parts": (
        replace("weight", lambda x: x["weight"][:192]),
        r"weight must have shape \[256, 64\] with 4 k rows, got \[192, 64\]",
    ),
    "weight of rank 3": (replace("weight", lambda x: x["weight"][None]), r"weight .* \[4 k, h\].*got \[1, 256, 64\]"),
    "bias too short": (replace("bias", lambda x: x["bias"][1:]), r"bias must have shape \[64\], got \[63\]"),
    "bias of rank 2": (replace("bias", lambda x: x["bias"][None]), r"bias must have shape \[64\], got \[1, 64\]"),
}


@needs_library
@pytest.mark.parametrize(("change", "message"), WRONG_INPUTS.values(), ids=WRONG_INPUTS.keys())
def test_wrong_inputs_are_refused(change: Callable[[Arrays], None], message: str) -> None:
    inputs = make_inputs([2, 3, 4])
    before = {name: array.copy() for name, array in inputs.items()}
    change(inputs)
    session = open_session(op_model(inputs, op=ALIGN_PAIRS), LIBRARY)
    with pytest.raises(InvalidArgument, match=message):
        session.run(None, inputs)
    if all(inputs[name].dtype == before[name].dtype for name in inputs):
        assert_close(run(session, before), align_pairs(**before))  # the session survives


class Aligned(torch.nn.Module):
    """A head around the operator, as a traced model has it."""

    def __init__(self) -> None:
        super().__init__()
        self.compare = torch.nn.Linear(4 * 8, 6)

    def forward(self, tokens: torch.Tensor, cu_seqlens: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
        weight, bias = self.compare.weight.T, self.compare.bias
        return alignment.align_pairs(tokens[:, :5], tokens[:, 5:], cu_seqlens, pairs, weight, bias).flatten(1)


def trace(model: Aligned) -> onnx.ModelProto:
    sample = (torch.zeros(7, 13), torch.tensor([0, 2, 4, 7]), torch.tensor([[0, 1], [1, 2], [2, 0], [0, 2]]))
    program: Any = torch.onnx.export(
        model.eval(),
        sample,
        dynamo=True,
        opset_version=OPSET,
        input_names=["tokens", "cu_seqlens", "pairs"],
        dynamic_shapes=tuple({0: torch.export.Dim(name)} for name in ("N", "boundaries", "Q")),
        custom_translation_table=TRANSLATIONS,
        verbose=False,
    )
    traced: onnx.ModelProto = program.model_proto
    return traced


@pytest.mark.filterwarnings("ignore::FutureWarning")  # torch.export's own use of its own deprecated names
def test_export_gives_one_node_that_kernel_and_body_serve() -> None:
    torch.manual_seed(0)
    model = Aligned()
    traced = trace(model)
    assert [node.op_type for node in traced.graph.node if node.domain == "ai.cmow"] == ["AlignPairs"]
    traced.functions.append(align_pairs_function())
    tokens = torch.randn(12, 13)
    feeds = (tokens, torch.tensor([0, 3, 3, 10, 11, 12]), torch.tensor([[0, 2], [1, 4]]))
    expected = model(*feeds).detach().numpy()
    inputs = {name: tensor.numpy() for name, tensor in zip(("tokens", "cu_seqlens", "pairs"), feeds, strict=True)}
    for library in [None] if LIBRARY is None else [None, LIBRARY]:
        output = run(open_session(traced.SerializeToString(), library), inputs)
        np.testing.assert_allclose(output, expected, atol=1e-6)
