"""General distillation with per-token representations: a masked-language model teaches the student's states.

python -m training.paper.pretrain --data DIR --teacher bert-base-uncased [--out runs/pretrain]
torchrun --nproc-per-node 8 -m training.paper.pretrain --data DIR --teacher bert-base-uncased
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.command.start import start
from training.options import DEVICE, Device, OutputFolder, Share, Temperature, Threaded


@dataclass(frozen=True)
class PretrainConfig(Threaded):
    """One run of general distillation; alpha, temperature and masking are those of the authors' published code."""

    data: Path = field(metadata={"help": "folder with text/*.txt.gz, or a Hugging Face dataset with a column text"})
    subset: str = field(default="", metadata={"help": "configuration of the Hugging Face dataset"})
    teacher: str = field(default="bert-base-uncased", metadata={"help": "masked-language model, hub name or folder"})
    student: Path | None = field(default=None, metadata={"help": "folder of a student to go on from"})
    out: OutputFolder = field(default=Path("runs/pretrain"), metadata={"help": "run folder"})
    sentences: int = field(default=0, metadata={"help": "texts to take; 0 takes all"})
    matrix_dim: int = field(default=20, metadata={"help": "matrix side of a fresh student"})
    vector_dim: int = field(default=400, metadata={"help": "vector size of a fresh student"})
    epochs: int = field(default=1, metadata={"help": "passes over the text"})
    batch: int = field(default=256, metadata={"help": "sentences a step, over all processes"})
    alpha: Share = field(default=0.5, metadata={"help": "weight of the teacher's prediction"})
    temperature: Temperature = field(default=2.0, metadata={"help": "of both predictions in the soft loss"})
    mask_share: Share = field(default=0.15, metadata={"help": "share of a sentence's tokens that is hidden"})
    matrix_lr: float = field(default=3e-4, metadata={"help": "peak learning rate of the matrix tables"})
    vector_lr: float = field(default=3e-3, metadata={"help": "peak learning rate of the vector table"})
    head_lr: float = field(default=1e-3, metadata={"help": "peak learning rate of the language-model head"})
    max_tokens: int = field(default=128, metadata={"help": "longer sentences are cut"})
    teacher_tokens: int = field(default=4096, metadata={"help": "tokens in one pass of the teacher"})
    checkpoint_steps: int = field(default=1000, metadata={"help": "steps between two checkpoints"})
    seed: int = field(default=0, metadata={"help": "seed of weights, batches and masks"})
    device: Device = field(default="auto", metadata=DEVICE)


if __name__ == "__main__":
    start(PretrainConfig, "training.work.paper.pretrain:main")
