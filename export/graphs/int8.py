"""Linear layers in int8 arithmetic, as the standard operators that ONNX Runtime fuses into one integer product.

    QuantizeLinear -> DequantizeLinear -> MatMul <- DequantizeLinear <- int8 weight

Every row is scaled by its own largest number, so that its result does not depend on its company in a batch; products of
integers are exact, whatever their order. A processor that knows nothing but float32 computes the same graph.

Letters: P rows, in and out sizes of a layer.
"""

from __future__ import annotations

from typing import Any

import onnxscript
import torch
from onnx import TensorProto
from torch import Tensor, nn

from training.bundle.rounding import quantise_layer

LARGEST_INPUT, ZERO_POINT = 127, 128
STEP = 1 / LARGEST_INPUT

standard: Any = onnxscript.opset18


@torch.library.custom_op("cmow::round_to_int8", mutates_args=())
def round_to_int8(inputs: Tensor) -> Tensor:
    """Numbers from -1 to 1, float32 of any shape, at the nearest of 255 steps."""
    return (inputs / STEP).round().clamp(-ZERO_POINT, LARGEST_INPUT) * STEP


@round_to_int8.register_fake
def _(inputs: Tensor) -> Tensor:
    return torch.empty_like(inputs)


@torch.library.custom_op("cmow::expand_columns", mutates_args=())
def expand_columns(weight: Tensor, scales: Tensor) -> Tensor:
    """The int8 ``weight`` [in, out] times ``scales`` float32 [out], float32."""
    return weight.float() * scales


@expand_columns.register_fake
def _(weight: Tensor, scales: Tensor) -> Tensor:
    return torch.empty_like(weight, dtype=torch.float32)


def translate_round_to_int8(inputs: Any) -> Any:
    """The ONNX nodes of ``cmow::round_to_int8``."""
    step = standard.Constant(value_float=STEP)
    zero_point = standard.Cast(standard.Constant(value_int=ZERO_POINT), to=TensorProto.UINT8)
    return standard.DequantizeLinear(standard.QuantizeLinear(inputs, step, zero_point), step, zero_point)


def translate_expand_columns(weight: Any, scales: Any) -> Any:
    """The ONNX node of ``cmow::expand_columns``."""
    return standard.DequantizeLinear(weight, scales, axis=1)


class Int8Linear(nn.Module):
    """``linear`` with an int8 weight of one scale an output, on inputs rounded to int8 with one scale a row.

    Columns of inputs that are far larger than others would leave these few steps: ``balance`` [in] multiplies them
    first, and the weight answers for it (Xiao et al., "SmoothQuant", ICML 2023).
    """

    def __init__(self, linear: nn.Linear, balance: Tensor | None = None) -> None:
        super().__init__()
        linear_weight = linear.weight.detach()
        self.balance = None if balance is None else nn.Buffer(balance.clone())
        weight, scales = quantise_layer((linear_weight if balance is None else linear_weight / balance).numpy())
        self.weight = nn.Buffer(torch.from_numpy(weight))  # [in, out]
        self.scales = nn.Buffer(torch.from_numpy(scales))  # [out]
        self.bias = nn.Buffer(linear.bias.detach().clone())

    def forward(self, inputs: Tensor) -> Tensor:
        """The layer of ``inputs`` [P, in]: [P, out]."""
        inputs = inputs if self.balance is None else inputs * self.balance
        largest = inputs.abs().amax(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)  # [P, 1]
        product: Tensor = round_to_int8(inputs / largest) @ expand_columns(self.weight, self.scales)
        return product * largest + self.bias
