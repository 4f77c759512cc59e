"""Probabilities that mean what they say on somebody's pairs: a scale and a shift of logits, fitted on held-out ones.

Letters: P pairs, K outputs of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.adapt.tasks import HeadTask

DOUBT = 1.0  # of scale and shift: as much as pairs of a loss of one are worth against a change by e, or by one


def fitted_scale(task: HeadTask, logits: Tensor, truth: Tensor, with_shift: bool) -> tuple[Tensor, Tensor]:
    """Scale [1] and shift [K] of ``logits`` [P, K] under which the losses by ``truth`` are least.

    Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017). Without ``with_shift`` that is zero, so that no
    answer changes: a head that was fitted has found it. Few pairs are held near what they were.
    """
    logits, log_scale, shift = logits.double(), torch.zeros(1).double(), torch.zeros(logits.shape[1]).double()
    numbers = [number.requires_grad_() for number in ([log_scale, shift] if with_shift else [log_scale])]
    fitting = torch.optim.LBFGS(numbers, max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        fitting.zero_grad()
        doubt = DOUBT * torch.stack([number.square().sum() for number in numbers]).sum()
        total = task.losses(logits * log_scale.exp() + shift, truth).sum() + doubt
        total.backward()
        return total

    fitting.step(loss)
    return log_scale.detach().exp().float(), shift.detach().float()
