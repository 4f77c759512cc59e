"""What every training stage shares: the run's folder, optimisers, schedule, checkpoints, resume, and the loop."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from training.command.interruption import deferred
from training.data.atomic import make_folder, replacing
from training.data.files import DataError
from training.data.identity import Identity, recorded
from training.errors import InterruptedRunError, StaleError, TrainingError
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


def once(folder: Path, options: dict[str, Any], files: Iterable[Path], run: Callable[[], object]) -> None:
    """Call ``run`` unless that of ``options`` and ``files`` has ended in ``folder``; ``StaleError`` if another has."""
    ended = folder / "ended.json"
    found = Identity.read(ended)
    identity = Identity.of(options, files, found)
    if found is not None:
        identity.check(found, folder)
        return
    run()
    identity.write(ended)


class Run:
    """A run's folder: ``run.json`` (what it is made of), ``metrics.jsonl`` and ``resume.pt``, beside the stage's own.

    Of several processes only the one that ``writes`` leaves anything there; all of them can resume from it.
    """

    def __init__(self, folder: Path, config: Any, files: Iterable[Path], writes: bool = True) -> None:
        """A run with the options ``config`` that reads ``files``; ``StaleError`` where ``folder`` holds another one."""
        self.folder, self.writes = folder, writes
        self._noted, self._checkpoint = folder / "run.json", folder / "resume.pt"
        found = Identity.read(self._noted)
        self.identity = Identity.of(recorded(config), files, found)
        if self._checkpoint.exists() or any(folder.glob("*.safetensors")):
            if found is None:
                raise StaleError(f"{folder}: expected run.json beside a model, found none: take another --out")
            self.identity.check(found, folder)
        make_folder(folder)

    def begin(self) -> None:
        """Note what the run is made of."""
        if self.writes:
            self.identity.write(self._noted)

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
            "step": step,
            "steps": steps,
            "model": model.state_dict(),
            "optimiser": optimiser.state_dict(),
            "random": torch.get_rng_state(),
            "cuda_random": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }
        with replacing(self._checkpoint) as file:
            torch.save(state, file)

    def begun_steps(self) -> int | None:
        """As how many steps the run was begun; ``None`` where it is not."""
        return int(self._load(mmap=True)["steps"]) if self._checkpoint.exists() else None

    def resume(self, model: nn.Module, optimiser: Optimiser, steps: int) -> int:
        """Load the newest checkpoint, if there is one; returns the number of steps already done.

        Raises ``CheckpointError`` where it is none of a run of ``steps`` steps.
        """
        if not self._checkpoint.exists():
            return 0
        state = self._load()
        if state["steps"] != steps:
            raise CheckpointError(f"{self._checkpoint}: begun as {state['steps']} steps, asked to go on as {steps}")
        try:
            model.load_state_dict(state["model"])
        except RuntimeError as error:
            message = " ".join(str(error).split())  # a line for each weight otherwise
            raise CheckpointError(f"{self._checkpoint}: weights of another shape: {message}") from error
        optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["random"])
        if torch.cuda.is_available() and state["cuda_random"]:
            torch.cuda.set_rng_state_all(state["cuda_random"])
        self.log(event="resumed", step=state["step"])
        return int(state["step"])

    def _load(self, mmap: bool = False) -> dict[str, Any]:
        try:
            state: dict[str, Any] = torch.load(self._checkpoint, weights_only=True, map_location="cpu", mmap=mmap)
            missing = {"step", "steps", "model", "optimiser", "random", "cuda_random"} - state.keys()
        except (OSError, EOFError, AttributeError, ValueError, RuntimeError, UnpicklingError) as error:
            raise CheckpointError(
                f"{self._checkpoint}: expected a checkpoint that this stage wrote: {error}"
            ) from error
        if missing:
            raise CheckpointError(
                f"{self._checkpoint}: expected a checkpoint of this stage, found no {sorted(missing)}"
            )
        return state


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

    Raises ``DataError`` where there is nothing to do, ``CheckpointError`` where ``run`` holds another one,
    ``TrainingError`` where the loss is no number any more (the last checkpoint stays), and ``InterruptedRunError``
    after a checkpoint where Ctrl-C or SIGTERM asked for the end.
    """
    if schedule.steps < 1:
        raise DataError("expected rows for at least one batch, found fewer: take a smaller --batch")
    start = run.resume(model, optimiser, schedule.steps)
    run.begin()
    remaining = islice(schedule.batches, start, schedule.steps)
    progress = tqdm(remaining, total=schedule.steps, initial=start, unit=" steps", disable=not run.writes)
    pace, clock = Pace(schedule.steps - start, "steps", tqdm.write if run.writes else str), Clock()
    with deferred() as asked:
        for step, rows in enumerate(progress, start=start):
            values = gradients(model, losses(step, rows), step, world)
            optimiser.step(schedule.factor(step))
            clock.add(len(rows), **values)
            pace.add(1)
            done, is_checkpoint = step + 1, schedule.is_checkpoint(step + 1)
            if run.writes and is_checkpoint:
                run.log(step=done, **clock.read(), **evaluate())
            number = world.agree(asked.number)
            if is_checkpoint or number:
                run.save(model, optimiser, done, schedule.steps)
            if number and done < schedule.steps:
                raise InterruptedRunError(number, f"{run.folder} goes on after step {done} with the same command")


def gradients(model: nn.Module, parts: dict[str, Tensor], step: int, world: Processes) -> dict[str, float]:
    """Leave the gradients of ``parts["loss"]`` over all processes in ``model``; returns the ``parts`` over all."""
    parts["loss"].backward()
    values = {name: world.sum(value.detach().clone()).item() for name, value in parts.items()}
    if not math.isfinite(values["loss"]):
        raise TrainingError(f"step {step + 1}: expected a finite loss, got {values}: take smaller learning rates")
    world.sum_gradients(model)
    return values
