"""Task-specific training and distillation: GLUE, SNLI and SICK, one command a task.

python -m training.paper.glue --task cola --data DIR --preset paper [--teacher NAME] [--out runs/glue/cola]
python -m training.paper.glue_table runs/glue
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from training.command.start import start_with
from training.data.files import DataError
from training.options import (
    DEVICE,
    AtLeastTwo,
    Device,
    Natural,
    OutputFolder,
    Share,
    Temperature,
    Threaded,
    parse_options,
)
from training.paper.tasks import TASKS, task_named

EncoderName = Literal["cbow", "cmow", "hybrid", "bidirectional"]


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
class GlueConfig(Threaded):
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
    out: OutputFolder | None = field(default=None, metadata={"help": "run folder; runs/glue/TASK where left out"})
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


def read_config(arguments: list[str]) -> GlueConfig:
    """The options among ``arguments``, over the defaults of their preset and task."""
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


if __name__ == "__main__":
    start_with(lambda: read_config(sys.argv[1:]), "training.work.paper.glue:main")
