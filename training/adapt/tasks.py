"""What is fitted for each task: a head, what it takes, its losses, and how its answers become probabilities.

A head is fitted as it is served: its last layer holds what calibration found, so that its outputs are the logits whose
softmax or sigmoid the service gives.

Letters: P pairs, R of a batch, K outputs of a head, D state size, w width of the pair encoder.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from training.bundle.scorer import Calibration
from training.loop.losses import binary_losses, entailment_losses, soft_losses
from training.pairs.pairset import PairSet
from training.student.pair_encoder import entailment_features, same_features
from training.student.pair_model import PairModel


@dataclass(frozen=True)
class HeadTask:
    """A task of pairs with a head of its own: the ``outputs`` of the head of a pair model that ``head`` names.

    ``features`` [R, F] are made of what ``PairFeatures.batch`` gives, ``truth`` [P, ...] of a set of pairs;
    ``calibration`` is what the bundle multiplies the logits with, and adds to them.
    """

    head: str
    outputs: slice
    features: Callable[[Tensor, Tensor, Tensor], Tensor]
    truth: Callable[[PairSet], Tensor]
    losses: Callable[[Tensor, Tensor], Tensor]  # [R] of logits [R, K], by the truth
    kept: Callable[[Tensor, Tensor], Tensor]  # [R] of logits [R, K], by those before
    calibration: Callable[[Calibration], tuple[float, float]]

    def served(self, model: PairModel, known: Calibration) -> nn.Sequential:
        """A copy of the head of ``model``, with what is ``known`` in its last layer."""
        head = cast(nn.Sequential, copy.deepcopy(model.heads.get_submodule(self.head)))
        scale, shift = self.calibration(known)
        self.rescale(head, torch.tensor(scale), torch.tensor(shift))
        return head.eval()

    def stored(self, head: nn.Sequential, known: Calibration) -> nn.Sequential:
        """Inverse of ``served``: a copy of ``head`` for a graph that calibrates by what is ``known``."""
        head = copy.deepcopy(head)
        scale, shift = self.calibration(known)
        self.rescale(head, torch.tensor(1 / scale), torch.tensor(-shift / scale))
        return head

    @torch.no_grad()
    def rescale(self, head: nn.Sequential, scale: Tensor, shift: Tensor) -> None:
        """Let the logits of ``head`` be ``scale`` times what they are, plus ``shift``; numbers, or [K] each."""
        layer = cast(nn.Linear, head[-1])
        layer.weight[self.outputs] *= scale.reshape(-1, 1)
        layer.bias[self.outputs] = layer.bias[self.outputs] * scale + shift

    def logits(self, head: nn.Sequential, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """[R, K] of the pairs of ``batch``."""
        found: Tensor = head(self.features(*batch))[:, self.outputs]
        return found


def _column(name: str) -> Callable[[PairSet], Tensor]:
    return lambda pairs: torch.from_numpy(getattr(pairs, name))[:, None]


def _binary(logits: Tensor, truth: Tensor) -> Tensor:
    return binary_losses(logits, truth)[:, 0]


def _as_before(logits: Tensor, before: Tensor) -> Tensor:
    return _binary(logits, before.sigmoid())


ENTAILMENT = HeadTask(
    head="entailment",
    outputs=slice(0, 3),
    features=entailment_features,
    truth=lambda pairs: torch.from_numpy(pairs.accepted),
    losses=entailment_losses,
    kept=lambda logits, before: soft_losses(logits, before, 1.0),
    calibration=lambda known: (1 / known.entailment_temperature, 0.0),
)
PARAPHRASE = HeadTask(
    head="same",
    outputs=slice(0, 1),
    features=same_features,
    truth=_column("paraphrase"),
    losses=_binary,
    kept=_as_before,
    calibration=lambda known: (known.paraphrase_scale, known.paraphrase_shift),
)
RELATEDNESS = HeadTask(
    head="same",
    outputs=slice(1, 2),
    features=same_features,
    truth=_column("similarity"),
    losses=_binary,
    kept=_as_before,
    calibration=lambda known: (1.0, 0.0),
)
TASKS = {"entailment": ENTAILMENT, "paraphrase": PARAPHRASE, "relatedness": RELATEDNESS}
