"""Linear layers in int8 arithmetic."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import nn

from export.graphs.int8 import Int8Linear
from export.to_onnx import export_module
from training.bundle.rounding import LARGEST_WEIGHT


@pytest.fixture
def linear() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(70, 33)


@pytest.fixture
def session(linear: nn.Linear) -> ort.InferenceSession:
    shapes = ({0: torch.export.Dim("P")},)
    model = export_module(Int8Linear(linear), (torch.ones(2, 70),), (("inputs",), ("outputs",)), shapes)
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("rows", [0, 1, 2, 7, 64])
def test_the_graph_computes_what_torch_does(linear: nn.Linear, session: ort.InferenceSession, rows: int) -> None:
    inputs = torch.randn(rows, 70) * torch.logspace(-3, 3, rows)[:, None]
    (found,) = session.run(None, {"inputs": inputs.numpy()})
    np.testing.assert_allclose(found, Int8Linear(linear)(inputs), rtol=1e-4, atol=1e-5)


def test_a_row_does_not_depend_on_its_company(session: ort.InferenceSession) -> None:
    inputs = np.random.default_rng(1).standard_normal((65, 70), np.float32) * np.float32(3)
    (together,) = session.run(None, {"inputs": inputs})
    for start, end in ((0, 1), (1, 4), (4, 20), (20, 65)):
        (alone,) = session.run(None, {"inputs": inputs[start:end]})
        np.testing.assert_array_equal(alone, together[start:end])


def test_it_is_near_the_layer(linear: nn.Linear) -> None:
    inputs = torch.randn(200, 70)
    expected = linear(inputs)
    error = (Int8Linear(linear)(inputs) - expected).norm(dim=1) / expected.norm(dim=1)
    assert error.max() < 0.05
    assert error.mean() < 0.02


def test_rows_of_zeros_give_the_bias(linear: nn.Linear, session: ort.InferenceSession) -> None:
    (found,) = session.run(None, {"inputs": np.zeros((1, 70), np.float32)})
    np.testing.assert_allclose(found[0], linear.bias.detach(), rtol=1e-6)


def test_two_products_fit_sixteen_bits(linear: nn.Linear) -> None:
    """As processors without VNNI add them."""
    assert Int8Linear(linear).weight.abs().max() == LARGEST_WEIGHT
    assert np.iinfo(np.int16).max >= 2 * 255 * LARGEST_WEIGHT


@torch.no_grad()
def test_a_balance_leaves_other_columns_more_than_a_few_steps(linear: nn.Linear) -> None:
    """As products of standardised numbers need it, which are far larger than the numbers."""
    inputs = torch.randn(200, 70)
    inputs[:, :10] *= 200
    balance = inputs.abs().amax(dim=0).rsqrt()
    with torch.no_grad():
        linear.weight[:, :10] /= 200
    expected = linear(inputs)
    plain, balanced = (
        float(((layer(inputs) - expected).norm(dim=1) / expected.norm(dim=1)).mean())
        for layer in (Int8Linear(linear), Int8Linear(linear, balance))
    )
    assert balanced < 0.1
    assert plain > 3 * balanced


def test_the_graph_balances_as_torch_does(linear: nn.Linear) -> None:
    inputs, balance = torch.randn(7, 70), torch.rand(70) + 0.1
    layer = Int8Linear(linear, balance)
    shapes = ({0: torch.export.Dim("P")},)
    model = export_module(layer, (torch.ones(2, 70),), (("inputs",), ("outputs",)), shapes)
    (found,) = ort.InferenceSession(model.SerializeToString()).run(None, {"inputs": inputs.numpy()})
    np.testing.assert_allclose(found, layer(inputs), rtol=1e-4, atol=1e-5)
