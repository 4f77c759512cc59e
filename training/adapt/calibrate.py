"""Probabilities that mean what they say on somebody's pairs: a scale and a shift of logits, fitted on held-out ones.

Letters: P pairs, K outputs of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.adapt.tasks import HeadTask

DOUBT = 1.0  # of scale and shift: as much as pairs of a loss of one are worth against a change by e, or by one


def fitted_scale(task: HeadTask, logits: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Scale [1] and shift [K] of ``logits`` [P, K] under which the losses by ``truth`` are least.

    Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017), with a shift of each output besides, since
    somebody's classes have other shares. Few pairs are held near what they were.
    """
    logits, log_scale, shift = logits.double(), torch.zeros(1).double(), torch.zeros(logits.shape[1]).double()
    numbers = [log_scale.requires_grad_(), shift.requires_grad_()]
    fitting = torch.optim.LBFGS(numbers, max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        fitting.zero_grad()
        doubt = DOUBT * torch.stack([number.square().sum() for number in numbers]).sum()
        total = task.losses(logits * log_scale.exp() + shift, truth).sum() + doubt
        total.backward()
        return total

    fitting.step(loss)  # type: ignore[no-untyped-call]
    return log_scale.detach().exp().float(), shift.detach().float()
