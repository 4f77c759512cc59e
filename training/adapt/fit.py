"""The fit of a head to somebody's pairs, beside general ones whose answers are to stay as they were.

A head alone is fitted, on features that are computed once (`features`): that takes seconds for hundreds of pairs, and
forgets nothing elsewhere. General pairs come in every step with the answers that the model gave before (Li and Hoiem,
"Learning without Forgetting", ECCV 2016). How many steps are best is seen on pairs that are held out; then the head is
fitted again, to all of them.

Letters: P pairs, R of a batch, H held out, S checks, K outputs of a head.
"""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from training.adapt.features import PairFeatures
from training.adapt.splits import Rows
from training.adapt.tasks import HeadTask
from training.errors import TrainingError

CHECKS = 10  # of a run, at which what is held out is scored


@dataclass(frozen=True)
class FitOptions:
    """How a head is fitted (docs/adapt.md has what was tried)."""

    batch: int = 64  # pairs of each kind a step
    lr: float = 3e-4
    weight_decay: float = 0.05
    dropout: float = 0.1  # of the hidden units
    warmup: int = 20  # steps
    general_weight: float = 2.0  # of the loss of general pairs
    steps: int = 0  # of a whole run; 0 as the pairs ask
    seed: int = 0

    def steps_of(self, pairs: int) -> int:
        """Of a run over so many ``pairs``, a multiple of ``CHECKS``: 20 passes, of few pairs more, of many fewer."""
        a_pass = math.ceil(pairs / self.batch)
        steps = self.steps or max(300, min(20 * a_pass, max(1000, 3 * a_pass)))
        return math.ceil(steps / CHECKS) * CHECKS


@dataclass(frozen=True)
class Known:
    """Pairs with what is to be learnt of them: ``truth`` [P, ...]; of general pairs the logits before, [P, K]."""

    features: PairFeatures
    truth: Tensor

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True)
class Fit:
    """The fit of ``begun``, a head of ``task``, to its ``own`` pairs beside ``general`` ones."""

    task: HeadTask
    begun: nn.Sequential
    own: Known
    general: Known
    options: FitOptions

    def heads(self, rows: Rows, checks: int, progress: tqdm[object]) -> Iterator[nn.Sequential]:
        """The head at each of the first ``checks`` checks of a run on ``rows``; it is one and goes on being fitted."""
        torch.manual_seed(self.options.seed)
        head, steps = copy.deepcopy(self.begun), self.options.steps_of(len(rows)) // CHECKS
        set_dropout(head, self.options.dropout)
        adam = torch.optim.AdamW(head.parameters(), lr=self.options.lr, weight_decay=self.options.weight_decay)
        for step, (own, general) in enumerate(islice(self._batches(rows), checks * steps), start=1):
            for group in adam.param_groups:
                group["lr"] = self.options.lr * min(1.0, step / self.options.warmup)
            loss = self._loss(head.train(), own, general)
            if not loss.isfinite():
                raise TrainingError(f"step {step}: expected a finite loss, got {float(loss)}")
            loss.backward()
            adam.step()
            adam.zero_grad(set_to_none=True)
            progress.update()
            if step % steps == 0:
                yield head.eval()

    def head(self, rows: Rows, check: int, progress: tqdm[object]) -> nn.Sequential:
        """The head at that check of a run on ``rows``; before the first one it is as it was."""
        (last,) = deque(self.heads(rows, check, progress), maxlen=1) or (self.begun,)
        return copy.deepcopy(last)

    def _batches(self, rows: Rows) -> Iterator[tuple[Rows, Rows]]:
        """Rows of own and of general pairs without end."""
        sets = rows, np.arange(len(self.general))
        return zip(
            *(endless(each, self.options.batch, [self.options.seed, k]) for k, each in enumerate(sets)), strict=True
        )

    def _loss(self, head: nn.Sequential, own: Rows, general: Rows) -> Tensor:
        """Of a batch of both: that of the truth, and that of answers other than those before."""
        features, truth = self.own.features, self.own.truth[torch.from_numpy(own)]
        learnt = self.task.losses(self.task.logits(head, features.batch(own)), truth).mean()
        before = self.general.truth[torch.from_numpy(general)]
        kept = self.task.kept(self.task.logits(head, self.general.features.batch(general)), before).mean()
        return learnt + self.options.general_weight * kept


def endless(rows: Rows, batch: int, seed: list[int]) -> Iterator[Rows]:
    """Batches of ``rows``, each row once before any comes again; all of them in each where they are fewer."""
    random, left = np.random.default_rng(seed), np.empty(0, np.int64)
    size = min(batch, len(rows))
    while True:
        if len(left) < size:
            left = np.concatenate([left, random.permutation(rows)])
        yield left[:size]
        left = left[size:]


@torch.no_grad()
def logits_of(task: HeadTask, head: nn.Sequential, features: PairFeatures, at: Rows, block: int = 1024) -> Tensor:
    """What ``head`` says of the pairs ``at`` [H] of ``features``: [H, K]."""
    blocks = np.split(at, range(block, len(at), block))
    return torch.cat([task.logits(head, features.batch(rows)) for rows in blocks])


def set_dropout(head: nn.Sequential, share: float) -> None:
    """Drop that ``share`` of hidden units in training."""
    for layer in head:
        if isinstance(layer, nn.Dropout):
            layer.p = share
