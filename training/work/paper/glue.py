"""Task-specific training and distillation: GLUE, SNLI and SICK, one command a task.

    python -m training.paper.glue --task cola --data DIR --preset paper [--teacher NAME] [--out runs/glue/cola]
    python -m training.paper.glue_table runs/glue

Galke et al. (arXiv 2109.08449), section 3.5: the loss is ``alpha`` times the cross-entropy against the teacher's
logits at a ``temperature`` and the rest against the label; without a teacher the label alone counts. A preset is one
of the paper's configurations, which options override. DIR is a data folder (training/data/files.py) or
``nyu-mll/glue``, ``stanfordnlp/snli`` or ``RobZamp/sick`` from the hub. A task without dev rows, as MRPC in a data
folder, is cross-validated. The metrics of the last step, not of the best one, are written to ``result.json``.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from training.data.atomic import make_folder
from training.data.files import DataError
from training.data.hub import dataset_source, is_data_folder
from training.data.identity import Identity
from training.data.inputs import labelled_files, made_files
from training.data.recipe import Recipe, command_line
from training.data.sources import SOURCES, teacher_source
from training.errors import one_line_errors
from training.loop.losses import soft_losses
from training.loop.parallel import Processes, processes
from training.loop.run import Optimisers, Run, shuffled_epochs, train
from training.options import DEVICE, AtLeastTwo, Device, Natural, Share, Temperature, parse_options
from training.paper.classifier import Classifier, EncoderName
from training.paper.glue_table import RESULT, Result
from training.paper.task_rows import Rows
from training.paper.task_teacher import load_outputs, save_outputs, teacher_outputs
from training.paper.tasks import TASKS, Examples, Task, folds, scores, splits, task_named
from training.student.model import HybridEncoder, load_student
from training.student.packing import drop_tokens


@dataclass(frozen=True)
class Preset:
    """One of the paper's configurations."""

    encoder: EncoderName = "bidirectional"
    diffcat: bool = True
    hidden_dim: int = 1000
    scratch: bool = False


PRESETS = {
    "paper": Preset(),
    "cbow": Preset(encoder="cbow"),
    "cmow": Preset(encoder="cmow"),
    "hybrid": Preset(encoder="hybrid"),
    "no-diffcat": Preset(diffcat=False),
    "linear": Preset(hidden_dim=0),
    "scratch": Preset(scratch=True),
}


@dataclass(frozen=True)
class GlueConfig:
    """One task's run; the defaults of the first block come from the preset, that of ``epochs`` from the task."""

    task: str = field(metadata={"help": f"one of {', '.join(TASKS)}"})
    data: Path = field(metadata={"help": "data folder, or name of a Hugging Face dataset"})
    preset: str = field(default="paper", metadata={"help": f"one of {', '.join(PRESETS)}"})
    encoder: EncoderName = field(default="bidirectional", metadata={"help": "parts of the embedding"})
    diffcat: bool = field(default=True, metadata={"help": "[u; v; |u - v|]; without, both texts are one sequence"})
    hidden_dim: Natural = field(default=1000, metadata={"help": "hidden units of the MLP; 0 makes the head linear"})
    scratch: bool = field(default=False, metadata={"help": "fresh tables of the student's sizes"})
    epochs: int = field(default=5, metadata={"help": "passes over the training rows"})
    student: Path = field(default=Path("runs/distill"), metadata={"help": "folder of a distilled student"})
    teacher: str = field(default="", metadata={"help": "sequence classifier or pair teacher, folder or hub name"})
    out: Path | None = field(default=None, metadata={"help": "run folder; runs/glue/TASK where left out"})
    alpha: Share = field(default=0.5, metadata={"help": "weight of the teacher's logits"})
    temperature: Temperature = field(default=2.0, metadata={"help": "of both predictions in the soft loss"})
    batch: int = field(default=64, metadata={"help": "rows a step, over all processes"})
    matrix_lr: float = field(default=1e-4, metadata={"help": "peak learning rate of the matrix tables"})
    vector_lr: float = field(default=1e-3, metadata={"help": "peak learning rate of the vector table"})
    head_lr: float = field(default=5e-4, metadata={"help": "peak learning rate of the head"})
    dropout: Share = field(default=0.1, metadata={"help": "of the inputs and hidden units of the head"})
    token_dropout: Share = field(default=0.1, metadata={"help": "share of the tokens left out of a row"})
    max_tokens: int = field(default=128, metadata={"help": "longer sentences are cut"})
    folds: AtLeastTwo = field(default=5, metadata={"help": "of the cross-validation where a task has no dev rows"})
    checkpoint_steps: int = field(default=500, metadata={"help": "steps between two checkpoints"})
    seed: int = field(default=0, metadata={"help": "seed of weights, dropout, batches and folds"})
    device: Device = field(default="auto", metadata=DEVICE)

    @property
    def folder(self) -> Path:
        """Where the run is kept."""
        return self.out or Path("runs/glue") / self.task


def row_losses(task: Task, found: Tensor, known: Rows, config: GlueConfig) -> Tensor:
    """Losses [R] of the outputs [R, C] for the rows ``known``, as many."""
    targets = torch.from_numpy(known.targets).to(found)
    if task.is_regression:
        hard = (found[:, 0] - targets).square()
    else:
        hard = F.cross_entropy(found, targets.long(), reduction="none")
    if known.teacher is None:
        return hard
    taught = torch.from_numpy(known.teacher).to(found)
    soft = (found - taught).square()[:, 0] if task.is_regression else soft_losses(found, taught, config.temperature)
    return config.alpha * soft + (1 - config.alpha) * hard


@torch.no_grad()
def predict(model: Classifier, rows: Rows, device: torch.device, block: int = 512) -> NDArray[np.float32]:
    """Outputs [P, C] for all rows."""
    model.train(False)
    parts = [
        model(*(tensor.to(device) for tensor in rows.take(chosen).packed())).cpu().numpy()
        for chosen in np.split(np.arange(len(rows)), range(block, len(rows), block))
    ]
    model.train()
    return np.concatenate(parts)


def task_files(config: GlueConfig) -> list[Path]:
    """The files of the task; what is on the hub has none here."""
    folder = task_named(config.task).folder
    return labelled_files(config.data, folder) if is_data_folder(config.data) else made_files(config.data)


def inputs(config: GlueConfig) -> list[Path]:
    """The files that a run reads."""
    return [*task_files(config), *made_files(config.student), *made_files(config.teacher or None)]


def train_task(config: GlueConfig, folder: Path, rows: Rows, dev: Rows, world: Processes) -> dict[str, float]:
    """Train a model on ``rows``, or go on with it; returns its metrics on ``dev``."""
    run, task = Run(folder, config, inputs(config), world.first), task_named(config.task)
    torch.manual_seed(config.seed)
    model = start_model(config, task, rows.width).to(world.device)

    def losses(step: int, chosen: NDArray[np.int64]) -> dict[str, Tensor]:
        torch.manual_seed(step_seed(config.seed, step, world.rank))
        known = rows.take(world.share(chosen))
        shortened = drop_tokens(*known.packed(), config.token_dropout)
        found = model(*(tensor.to(world.device) for tensor in shortened))
        return {"loss": row_losses(task, found, known, config).sum() / len(chosen)}

    def evaluate() -> dict[str, float]:
        return scores(task, predict(model, dev, world.device), dev.targets)

    train(
        run,
        model,
        Optimisers(model, config.matrix_lr, config.vector_lr, config.head_lr),
        shuffled_epochs(len(rows), config.batch, config.epochs, config.seed, config.checkpoint_steps),
        losses,
        evaluate,
        world,
    )
    return evaluate()


def step_seed(seed: int, step: int, rank: int) -> int:
    """What dropout starts from: a number of its own for every step, so that a resumed run goes on alike."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1)[0])


def start_model(config: GlueConfig, task: Task, width: int) -> Classifier:
    """A classifier on the student's tables, or on fresh ones of their sizes."""
    student = load_student(config.student)
    encoder = HybridEncoder(student.config) if config.scratch else student.encoder
    return Classifier(encoder, config.encoder, width == 2, config.hidden_dim, task.outputs, config.dropout)


def make_rows(config: GlueConfig, examples: Examples, teacher: NDArray[np.float32] | None = None) -> Rows:
    """``examples`` as the model takes them."""
    return Rows.of(examples, config.student / "tokenizer.json", config.max_tokens, not config.diffcat, teacher)


def teacher_identity(config: GlueConfig) -> Identity:
    """What the outputs of the teacher depend on."""
    options = {name: getattr(config, name) for name in ("task", "teacher", "max_tokens")}
    return Identity.of(options, [*task_files(config), *made_files(config.teacher)])


def read_teacher(config: GlueConfig, examples: Examples, world: Processes) -> NDArray[np.float32] | None:
    """The teacher's outputs for the training rows; the first process asks it and keeps them in the run's folder."""
    if not config.teacher:
        return None
    path, task = config.folder / "teacher.npz", task_named(config.task)
    identity = teacher_identity(config)
    if world.first and not path.exists():
        make_folder(config.folder)
        found = teacher_outputs(config.teacher, task, examples, world.device, config.max_tokens)
        save_outputs(path, identity, found)
    world.wait()
    return load_outputs(path, identity, (len(examples), task.outputs))


def run_task(config: GlueConfig, world: Processes) -> Result:
    """Run or go on with the task that ``config`` describes; writes and returns its result."""
    task = task_named(config.task)
    examples, dev = splits(config.task, config.data)
    check_start(config, len(examples) if dev is not None else len(examples) * (config.folds - 1) // config.folds)
    teacher = read_teacher(config, examples, world)
    rows = make_rows(config, examples, teacher)
    if dev is None:
        metrics, evaluated = cross_validate(config, rows, world), f"{config.folds} folds of train"
    else:
        metrics, evaluated = train_task(config, config.folder, rows, make_rows(config, dev), world), "dev"
    taught = {} if teacher is None else scores(task, teacher, examples.targets)
    result = Result(config.task, config.preset, evaluated, len(examples), metrics, config.teacher, taught)
    if world.first:
        write_recipe(config)
        (config.folder / RESULT).write_text(json.dumps(asdict(result), indent=2) + "\n")
    return result


def check_start(config: GlueConfig, rows: int) -> None:
    """What would fail later should fail before a teacher's long work: too few rows, or no student."""
    if rows < config.batch:
        raise DataError(f"{config.task}: expected at least {config.batch} training rows (one batch), found {rows}")
    load_student(config.student)


def cross_validate(config: GlueConfig, rows: Rows, world: Processes) -> dict[str, float]:
    """Means over the folds of the metrics of models that have not seen the fold."""
    found = []
    parts = folds(task_named(config.task), rows.targets, config.folds, config.seed)
    for number, (rest, held_out) in enumerate(parts):
        folder = config.folder / f"fold-{number}"
        found.append(train_task(config, folder, rows.take(rest), rows.take(held_out), world))
    return {metric: round(float(np.mean([scores[metric] for scores in found])), 4) for metric in found[0]}


def write_recipe(config: GlueConfig) -> None:
    """Record how the model came to be."""
    task = task_named(config.task)
    sources = [SOURCES[task.folder]] if task.folder in SOURCES else []
    if not is_data_folder(config.data):
        sources = [dataset_source(config.data)]
    if config.teacher:
        sources.append(teacher_source(config.teacher))
    before = Recipe() if config.scratch else Recipe.read(config.student)
    before.then(command_line("training.paper.glue", config), sources).write(config.folder)


def read_config(arguments: list[str]) -> GlueConfig:
    """The options, over the defaults of their preset and task."""
    first = ArgumentParser(add_help=False)
    first.add_argument("--preset", default="paper")
    first.add_argument("--task", default="")
    named, _ = first.parse_known_args(arguments)
    if named.preset not in PRESETS:
        raise DataError(f"--preset: expected one of {', '.join(PRESETS)}, found {named.preset!r}")
    defaults: Mapping[str, object] = asdict(PRESETS[named.preset])
    if named.task:
        defaults = {**defaults, "epochs": task_named(named.task).epochs}
    config = parse_options(GlueConfig, arguments, defaults)
    return config if config.out else replace(config, out=config.folder)


def main(arguments: list[str]) -> None:
    """Entry point of ``python -m training.paper.glue``."""
    with one_line_errors():
        config = read_config(arguments)
        with processes(config.device) as world:
            run_task(config, world)


if __name__ == "__main__":
    main(sys.argv[1:])
