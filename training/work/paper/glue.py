"""The work of ``training.paper.glue``.

Galke et al. (arXiv 2109.08449), section 3.5: the loss is ``alpha`` times the cross-entropy against the teacher's
logits at a ``temperature`` and the rest against the label; without a teacher the label alone counts. A preset is one
of the paper's configurations, which options override. DIR is a data folder (training/data/files.py) or
``nyu-mll/glue``, ``stanfordnlp/snli`` or ``RobZamp/sick`` from the hub. A task without dev rows, as MRPC in a data
folder, is cross-validated. The metrics of the last step, not of the best one, are written to ``result.json``.
"""

from __future__ import annotations

import json
from dataclasses import asdict
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
from training.loop.losses import soft_losses
from training.loop.parallel import Processes, processes
from training.loop.run import Optimisers, Run, shuffled_epochs, train
from training.paper.classifier import Classifier
from training.paper.glue import GlueConfig
from training.paper.scores import folds, scores
from training.paper.task_rows import Rows
from training.paper.task_teacher import load_outputs, save_outputs, teacher_outputs
from training.paper.tasks import Examples, Task, splits, task_named
from training.student.model import HybridEncoder, load_student
from training.student.packing import drop_tokens
from training.work.paper.glue_table import RESULT, Result


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


def main(config: GlueConfig) -> None:
    """The same in as many processes as there are."""
    with processes(config.device) as world:
        run_task(config, world)
