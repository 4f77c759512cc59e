"""What every training stage shares: the run's folder, optimisers, schedule, checkpoints, resume, and the loop."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sized
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from training.data.files import DataError
from training.errors import TrainingError
from training.loop.optim import RowAdam
from training.loop.pace import Pace
from training.loop.parallel import Processes
from training.student.model import CheckpointError, HybridEncoder

Rows = NDArray[np.int64]
Batch = TypeVar("Batch", bound=Sized)


class Optimiser(Protocol):
    """What moves the weights, and is saved in a checkpoint with them."""

    def step(self, scale: float) -> None:
        """One update with every learning rate at ``scale`` times its peak; clears the gradients."""

    def state_dict(self) -> dict[str, Any]:
        """All that a resume needs."""

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Inverse of ``state_dict``."""


class Encoding(Protocol):
    """A model around the encoder; all its other parameters are heads."""

    @property
    def encoder(self) -> HybridEncoder:
        """The tables."""

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """As of ``nn.Module``."""


class Optimisers:
    """Lazy Adam for the tables (only the rows of a batch move), Adam for everything else, one schedule over both."""

    def __init__(self, model: Encoding, matrix_lr: float, vector_lr: float, head_lr: float) -> None:
        encoder = model.encoder
        matrices = [encoder.forward_deltas, encoder.backward_deltas]
        heads = [weight for name, weight in model.named_parameters() if not name.startswith("encoder.")]
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


def warmup_cosine(step: int, steps: int, warmup: float) -> float:
    """Factor on the peak learning rate: a linear rise over the first share ``warmup``, then half a cosine to zero."""
    rise = max(1, round(steps * warmup))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def warmup_plateau(step: int, steps: int, warmup: float, cooldown: float) -> float:
    """Factor on the peak learning rate: a linear rise, the peak, and a linear fall over the last share ``cooldown``.

    A run that ends on the peak can be gone on with, as long as one likes (Hägele et al., "Scaling Laws and
    Compute-Optimal Training Beyond Fixed Training Durations", 2024).
    """
    rise, fall = max(1, round(steps * warmup)), round(steps * cooldown)
    return min(1.0, (step + 1) / rise, (steps - step) / max(1, fall) if fall else 1.0)


def shuffled_batches(rows: int, batch: int, seed: int, epoch: int) -> Iterator[Rows]:
    """Row numbers of every full batch of one epoch; the same for the same seed and epoch."""
    order = np.random.default_rng([seed, epoch]).permutation(rows)
    yield from (order[start : start + batch] for start in range(0, rows - batch + 1, batch))


@dataclass(frozen=True)
class Schedule(Generic[Batch]):
    """The first ``steps`` of ``batches`` are the whole run; a resumed one skips what it has seen.

    The learning rate rises over the share ``warmup`` of the steps, and falls along a cosine from there on or, where
    ``cooldown`` is given, in a line over that last share.
    """

    batches: Iterator[Batch]
    steps: int
    checkpoint_steps: int
    warmup: float = 0.03
    cooldown: float | None = None

    def factor(self, step: int) -> float:
        """What to multiply the peak learning rate by in ``step``."""
        if self.cooldown is None:
            return warmup_cosine(step, self.steps, self.warmup)
        return warmup_plateau(step, self.steps, self.warmup, self.cooldown)

    def is_checkpoint(self, done: int) -> bool:
        """Whether to save after ``done`` steps."""
        return done % self.checkpoint_steps == 0 or done == self.steps


def shuffled_epochs(rows: int, batch: int, epochs: int, seed: int, checkpoint_steps: int) -> Schedule[Rows]:
    """Epochs of shuffled full batches over ``rows`` rows."""
    batches = chain.from_iterable(shuffled_batches(rows, batch, seed, epoch) for epoch in range(epochs))
    return Schedule(batches, epochs * (rows // batch), checkpoint_steps)


def recorded(config: Any) -> dict[str, Any]:
    """The options ``config`` of a run as JSON has them, but for the device: a run may go on on another one."""
    known = {key: value for key, value in asdict(config).items() if key != "device"}
    return {key: str(value) if isinstance(value, Path) else value for key, value in known.items()}


def once(folder: Path, options: dict[str, Any], run: Callable[[], object]) -> None:
    """Call ``run`` unless one with ``options`` has ended in ``folder``; ``CheckpointError`` where another one has."""
    ended, asked = folder / "ended.json", json.dumps(options)
    if not ended.exists():
        run()
        ended.write_text(asked)
    elif (found := ended.read_text()) != asked:
        raise CheckpointError(f"{folder}: holds a run with {found}, asked for {asked}")


class Run:
    """A run's folder: ``metrics.jsonl`` and ``resume.pt``, beside what the stage itself writes.

    Of several processes only the one that ``writes`` leaves anything there; all of them can resume from it.
    """

    def __init__(self, folder: Path, config: Any, writes: bool = True) -> None:
        self.folder, self.writes = folder, writes
        self.config = recorded(config)
        folder.mkdir(parents=True, exist_ok=True)

    def log(self, **values: float | int | str) -> None:
        """Append one record to ``metrics.jsonl`` and show it."""
        if not self.writes:
            return
        line = json.dumps(values)
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(line + "\n")
        tqdm.write(line)

    def save(self, model: nn.Module, optimiser: Optimiser, step: int, steps: int) -> None:
        """Checkpoint after ``step`` of ``steps`` steps: all that a resume needs in one file, replaced at once."""
        if not self.writes:
            return
        state = {
            "config": self.config,
            "step": step,
            "steps": steps,
            "model": model.state_dict(),
            "optimiser": optimiser.state_dict(),
            "random": torch.get_rng_state(),
            "cuda_random": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }
        torch.save(state, self.folder / "resume.new")
        (self.folder / "resume.new").replace(self.folder / "resume.pt")

    def resume(self, model: nn.Module, optimiser: Optimiser, steps: int) -> int:
        """Load the newest checkpoint, if there is one; returns the number of steps already done.

        Raises ``CheckpointError`` where it is none of a run of ``steps`` steps with the same options.
        """
        path = self.folder / "resume.pt"
        if not path.exists():
            return 0
        try:
            state = torch.load(path, weights_only=True, map_location="cpu")
            begun, of = state["config"], state["steps"]
        except (OSError, EOFError, KeyError, TypeError, RuntimeError, UnpicklingError) as error:
            raise CheckpointError(f"{path}: expected a checkpoint that this stage wrote: {error}") from error
        if begun != self.config:
            raise CheckpointError(f"{path}: begun with {begun}, asked to go on with {self.config}")
        if of != steps:
            raise CheckpointError(f"{path}: begun as {of} steps, asked to go on as {steps}: the data have changed")
        try:
            model.load_state_dict(state["model"])
        except RuntimeError as error:
            message = " ".join(str(error).split())  # a line for each weight otherwise
            raise CheckpointError(f"{path}: weights of another shape: {message}") from error
        optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["random"])
        if torch.cuda.is_available() and state["cuda_random"]:
            torch.cuda.set_rng_state_all(state["cuda_random"])
        self.log(event="resumed", step=state["step"])
        return int(state["step"])


class Clock:
    """Averages of values since the last reading, with the rate of rows."""

    def __init__(self) -> None:
        self._restart()

    def _restart(self) -> None:
        self.start, self.rows, self.steps = time.perf_counter(), 0, 0
        self.sums: dict[str, float] = {}

    def add(self, rows: int, **values: float) -> None:
        """Count one step."""
        self.rows += rows
        self.steps += 1
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def read(self) -> dict[str, float]:
        """Means since the last call and rows a second; starts over."""
        seconds = time.perf_counter() - self.start
        means = {name: round(total / self.steps, 5) for name, total in self.sums.items()}
        rate = round(self.rows / seconds)
        self._restart()
        return means | {"rows_per_second": rate}


def train(
    run: Run,
    model: nn.Module,
    optimiser: Optimiser,
    schedule: Schedule[Batch],
    losses: Callable[[int, Batch], dict[str, Tensor]],
    evaluate: Callable[[], dict[str, float]],
    world: Processes,
) -> None:
    """Go through ``schedule`` from where ``run`` was left; every process of ``world`` calls this.

    ``losses`` gives, for a step and its global batch, this process's addends of scalars to log; the one
    named ``loss`` is minimised. ``evaluate`` gives more to log at every checkpoint, in the process that writes; what it
    saves is there before the checkpoint, so that a killed run never lacks it.

    Raises ``DataError`` where there is nothing to do, ``CheckpointError`` where ``run`` holds another one, and
    ``TrainingError`` where the loss is no number any more: the last checkpoint stays.
    """
    if schedule.steps < 1:
        raise DataError("expected rows for at least one batch, found fewer: take a smaller --batch")
    start, clock = run.resume(model, optimiser, schedule.steps), Clock()
    remaining = islice(schedule.batches, start, schedule.steps)
    progress = tqdm(remaining, total=schedule.steps, initial=start, unit=" steps", disable=not run.writes)
    pace = Pace(schedule.steps - start, "steps", tqdm.write if run.writes else str)
    for step, rows in enumerate(progress, start=start):
        parts = losses(step, rows)
        parts["loss"].backward()
        values = {name: world.sum(value.detach().clone()).item() for name, value in parts.items()}
        if not math.isfinite(values["loss"]):
            raise TrainingError(f"step {step + 1}: expected a finite loss, got {values}: take smaller learning rates")
        world.sum_gradients(model)
        optimiser.step(schedule.factor(step))
        clock.add(len(rows), **values)
        pace.add(1)
        if run.writes and schedule.is_checkpoint(step + 1):
            run.log(step=step + 1, **clock.read(), **evaluate())
            run.save(model, optimiser, step + 1, schedule.steps)
