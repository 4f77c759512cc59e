"""Adam on sparse gradients that touches the rows of a batch alone, fused over weights and moments on a CPU."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor

from training.kernels import native


class RowAdam(torch.optim.Optimizer):
    """Lazy Adam, as ``torch.optim.SparseAdam`` defines it.

    The bias correction goes by the global step, and untouched rows keep their moments. ``weight_decay`` is decoupled
    (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019) and applies to the touched rows.
    Parameters are [V, ...] with ``torch.sparse_coo`` gradients over their first dimension; others raise ``ValueError``.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        if lr < 0 or eps <= 0 or weight_decay < 0 or not all(0 <= beta < 1 for beta in betas):
            found = f"lr {lr}, betas {betas}, eps {eps}, weight_decay {weight_decay}"
            raise ValueError(f"expected lr >= 0, betas in [0, 1), eps > 0 and weight_decay >= 0, found {found}")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        return loss

    def _update(self, parameter: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        if grad.layout != torch.sparse_coo or grad.sparse_dim() != 1:
            found = f"{grad.layout} of shape {list(grad.shape)}"
            raise ValueError(f"expected a sparse_coo gradient with one sparse dimension, found {found}")
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            state["exp_avg"] = torch.zeros_like(parameter, memory_format=torch.contiguous_format)
            state["exp_avg_sq"] = torch.zeros_like(parameter, memory_format=torch.contiguous_format)
        state["step"] += 1
        rows, values = _distinct_rows(grad)
        moments = state["exp_avg"], state["exp_avg_sq"]
        coefficients = _coefficients(group, state["step"])
        if parameter.device.type == "cpu" and parameter.dtype == torch.float32 and native.available():
            native.adam_rows(parameter.data, moments, values, rows, coefficients, torch.get_num_threads())
        else:
            adam_rows(parameter, moments, values, rows, coefficients)


def _distinct_rows(grad: Tensor) -> tuple[Tensor, Tensor]:
    """Row numbers [U] and values [U, ...], each row once."""
    # Autograd drops the flag "coalesced" when it accumulates; rising rows prove the same without a sort and a copy.
    rows = grad._indices()[0]
    if not grad.is_coalesced() and bool((rows.diff() <= 0).any()):
        grad = grad.coalesce()
        rows = grad.indices()[0]
    return rows.contiguous(), grad._values().contiguous()


def _coefficients(group: dict[str, Any], step: int) -> native.AdamCoefficients:
    beta1, beta2 = group["betas"]
    step_size = group["lr"] * math.sqrt(1 - beta2**step) / (1 - beta1**step)
    return native.AdamCoefficients(
        step_size, 1 - beta1, 1 - beta2, group["eps"], 1 - group["lr"] * group["weight_decay"]
    )


def adam_rows(
    weights: Tensor, moments: tuple[Tensor, Tensor], grads: Tensor, rows: Tensor, coefficients: native.AdamCoefficients
) -> None:
    """The portable twin of ``native.adam_rows``, for any device and floating dtype."""
    first = moments[0][rows].lerp(grads, coefficients.first_rate)
    second = moments[1][rows].lerp(grads.square(), coefficients.second_rate)
    moments[0][rows] = first
    moments[1][rows] = second
    update = coefficients.step_size * first / (second.sqrt() + coefficients.eps)
    weights[rows] = coefficients.decay * weights[rows] - update
