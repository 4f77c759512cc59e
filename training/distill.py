"""General distillation: the student learns the teacher's sentence embeddings on unlabelled text.

python -m training.distill --data DIR [--teacher-cache runs/teacher] [--out runs/distill]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.command.start import start
from training.options import DEVICE, AtLeastTwo, Device, OutputFolder, Threaded


@dataclass(frozen=True)
class DistillConfig(Threaded):
    """One run of general distillation."""

    data: Path = field(metadata={"help": "data folder; its similarity dev splits are scored at every checkpoint"})
    teacher_cache: Path = field(default=Path("runs/teacher"), metadata={"help": "folder made by training.teacher"})
    start: Path | None = field(default=None, metadata={"help": "student of training.paper.pretrain to start from"})
    out: OutputFolder = field(default=Path("runs/distill"), metadata={"help": "run folder"})
    epochs: int = field(default=8, metadata={"help": "passes over the cached sentences"})
    batch: AtLeastTwo = field(default=1024, metadata={"help": "sentences a step, over all processes"})
    matrix_lr: float = field(default=3e-4, metadata={"help": "peak learning rate of the matrix tables"})
    vector_lr: float = field(default=3e-3, metadata={"help": "peak learning rate of the vector table"})
    head_lr: float = field(default=1e-3, metadata={"help": "peak learning rate of the projection"})
    pair_weight: float = field(default=20.0, metadata={"help": "weight of the in-batch similarity loss"})
    max_tokens: int = field(default=128, metadata={"help": "longer sentences are cut"})
    checkpoint_steps: int = field(default=1000, metadata={"help": "steps between two checkpoints"})
    seed: int = field(default=0, metadata={"help": "seed of weights and batches"})
    device: Device = field(default="auto", metadata=DEVICE)


if __name__ == "__main__":
    start(DistillConfig, "training.work.distill:main")
