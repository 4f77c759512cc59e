"""How long to fit: seen on pairs that a fit has not read, somebody's dev file or parts of his pairs in turn.

Letters: P pairs, H held out, S checks, K outputs of a head.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from training.adapt.fit import CHECKS, Fit, Known, logits_of
from training.adapt.splits import Rows, held_out
from training.adapt.stages import Stages

FEWEST = 50  # pairs to fit a head to; fewer tell where to cut


@dataclass(frozen=True)
class Part:
    """One fit: the rows that it learns from, if any, and those of ``known`` that it is scored on."""

    learnt: Rows
    known: Known
    scored: Rows

    @property
    def truth(self) -> Tensor:
        """Of what is scored, [H, ...]."""
        return self.known.truth[torch.from_numpy(self.scored)]


@dataclass(frozen=True)
class Choice:
    """The ``check`` with the least of the mean ``losses`` [S + 1], the first of which is that of the model before.

    ``logits`` [P, K] there, and ``truth`` [P, ...], of the rows ``scored`` [P] of own pairs or those of dev.
    """

    losses: list[float]
    check: int
    logits: Tensor
    truth: Tensor
    scored: Rows


def parts_of(own: Known, dev: Known | None, strata: Rows, seed: int) -> list[Part]:
    """The fits that choose. ``strata`` [P] are classes of the ``own`` pairs, or levels of their scores."""
    every, few = np.arange(len(own)), len(own) < FEWEST
    if few or dev is not None:
        known = own if dev is None else dev
        return [Part(every[:0] if few else every, known, np.arange(len(known)))]
    parts = held_out(own.features.pairs.pairs, strata, seed)
    return [Part(np.setdiff1d(every, rows), own, rows) for rows in parts]


def choose(fit: Fit, parts: list[Part], stages: Stages, progress: tqdm[object]) -> Choice:
    """Run the fits ``parts``, each at most once, and take the check at which what they had not read is told best."""
    found = [
        stages.once(f"part_{number}", partial(_checks, fit, part, progress))["logits"]
        for number, part in enumerate(parts)
    ]
    logits, truth = torch.cat(found, dim=1), torch.cat([part.truth for part in parts])
    losses = [float(fit.task.losses(each, truth).mean()) for each in logits]
    best = int(np.argmin(losses))
    return Choice(losses, best, logits[best], truth, np.concatenate([part.scored for part in parts]))


def _checks(fit: Fit, part: Part, progress: tqdm[object]) -> dict[str, Tensor]:
    """``logits`` [S + 1, H, K] of what ``part`` scores, before its fit and at each check; S is 0 where it fits none."""
    heads = fit.heads(part.learnt, CHECKS, progress) if len(part.learnt) else ()
    found = [logits_of(fit.task, head, part.known.features, part.scored) for head in chain([fit.begun], heads)]
    return {"logits": torch.stack(found)}
