"""What every training stage shares: the run's folder, optimisers, schedule, checkpoints and resume."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from training.optim import RowAdam
from training.student import CheckpointError, Student


class Stateful(Protocol):
    """What a checkpoint can hold beside the model: an optimiser, or several."""

    def state_dict(self) -> dict[str, Any]:
        """All that a resume needs."""

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Inverse of ``state_dict``."""


class Optimisers:
    """Lazy Adam for the tables (only the rows of a batch move), Adam for everything else, one schedule over both."""

    def __init__(self, student: Student, matrix_lr: float, vector_lr: float, head_lr: float) -> None:
        encoder = student.encoder
        matrices = [encoder.forward_deltas, encoder.backward_deltas]
        heads = [weight for name, weight in student.named_parameters() if not name.startswith("encoder.")]
        groups = [{"params": matrices, "lr": matrix_lr}, {"params": [encoder.vectors], "lr": vector_lr}]
        self.tables = RowAdam(groups)
        self.heads = torch.optim.Adam(heads, lr=head_lr)
        self.peaks = matrix_lr, vector_lr, head_lr

    def step(self, scale: float) -> None:
        """One update with every learning rate at ``scale`` times its peak; clears the gradients."""
        for group, peak in zip((*self.tables.param_groups, *self.heads.param_groups), self.peaks, strict=True):
            group["lr"] = peak * scale
        for optimiser in (self.tables, self.heads):
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        """State of both optimisers."""
        return {"tables": self.tables.state_dict(), "heads": self.heads.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of ``state_dict``."""
        self.tables.load_state_dict(state["tables"])
        self.heads.load_state_dict(state["heads"])


def warmup_cosine(step: int, steps: int, warmup: float = 0.03) -> float:
    """Factor on the peak learning rate: a linear rise over the first share ``warmup``, then half a cosine to zero."""
    rise = max(1, round(steps * warmup))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def shuffled_batches(rows: int, batch: int, seed: int, epoch: int) -> Iterator[NDArray[np.int64]]:
    """Row numbers of every full batch of one epoch; the same for the same seed and epoch."""
    order = np.random.default_rng([seed, epoch]).permutation(rows)
    yield from (order[start : start + batch] for start in range(0, rows - batch + 1, batch))


class Run:
    """A run's folder: ``metrics.jsonl`` and ``resume.pt``, beside what the stage itself writes."""

    def __init__(self, folder: Path, config: Any) -> None:
        self.folder = folder
        self.config = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(config).items()}
        folder.mkdir(parents=True, exist_ok=True)

    def log(self, **values: float | int | str) -> None:
        """Append one record to ``metrics.jsonl`` and show it."""
        line = json.dumps(values)
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(line + "\n")
        tqdm.write(line)

    def save(self, model: nn.Module, optimiser: Stateful, step: int) -> None:
        """Checkpoint after ``step`` steps: all that a resume needs in one file, replaced at once."""
        state = {
            "config": self.config,
            "step": step,
            "model": model.state_dict(),
            "optimiser": optimiser.state_dict(),
            "random": torch.get_rng_state(),
        }
        torch.save(state, self.folder / "resume.new")
        (self.folder / "resume.new").replace(self.folder / "resume.pt")

    def resume(self, model: nn.Module, optimiser: Stateful) -> int:
        """Load the newest checkpoint, if there is one; returns the number of steps already done."""
        path = self.folder / "resume.pt"
        if not path.exists():
            return 0
        state = torch.load(path, weights_only=True)
        if state["config"] != self.config:
            raise CheckpointError(f"{path}: begun with {state['config']}, asked to go on with {self.config}")
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["random"])
        self.log(event="resumed", step=state["step"])
        return int(state["step"])


class Clock:
    """Averages of values since the last reading, with the rate of sentences."""

    def __init__(self) -> None:
        self._restart()

    def _restart(self) -> None:
        self.start, self.sentences, self.steps = time.perf_counter(), 0, 0
        self.sums: dict[str, float] = {}

    def add(self, sentences: int, **values: float) -> None:
        """Count one step."""
        self.sentences += sentences
        self.steps += 1
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def read(self) -> dict[str, float]:
        """Means since the last call and sentences a second; starts anew."""
        seconds = time.perf_counter() - self.start
        means = {name: round(total / self.steps, 5) for name, total in self.sums.items()}
        rate = round(self.sentences / seconds)
        self._restart()
        return means | {"sentences_per_second": rate}
