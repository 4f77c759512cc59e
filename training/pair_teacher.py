"""Fine-tuning of the pair teacher on labelled pairs: NLI, similarity and paraphrase together.

python -m training.pair_teacher --data DIR [--out runs/pair_teacher] [--encoder all-MiniLM-L6-v2]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.command.start import start
from training.options import DEVICE, Device, Natural, OutputFolder, Threaded


@dataclass(frozen=True)
class PairTeacherConfig(Threaded):
    """One run of fine-tuning a cross-encoder."""

    data: Path = field(metadata={"help": "data folder (see training/data/files.py)"})
    teacher_cache: Path = field(default=Path("runs/teacher"), metadata={"help": "sentence embeddings, for mining"})
    out: OutputFolder = field(default=Path("runs/pair_teacher"), metadata={"help": "run folder"})
    encoder: str = field(default="all-MiniLM-L6-v2", metadata={"help": "packaged name, local folder or hub name"})
    epochs: int = field(default=1, metadata={"help": "passes over the pairs"})
    batch_tokens: int = field(default=2048, metadata={"help": "tokens a step"})
    lr: float = field(default=1e-4, metadata={"help": "peak learning rate of the encoder"})
    head_lr: float = field(default=5e-4, metadata={"help": "peak learning rate of pooling and heads"})
    weight_decay: float = field(default=0.01, metadata={"help": "decoupled weight decay"})
    similarity_repeats: Natural = field(default=2, metadata={"help": "how often an epoch holds each scored pair"})
    mined_negatives: Natural = field(default=10_000, metadata={"help": "close question pairs taken as negatives"})
    max_tokens: int = field(default=128, metadata={"help": "longer pairs are cut"})
    dev_rows: int = field(default=1000, metadata={"help": "rows of each dev split scored at a checkpoint"})
    checkpoint_steps: int = field(default=1000, metadata={"help": "steps between two checkpoints"})
    seed: int = field(default=0, metadata={"help": "seed of heads, dropout and batches"})
    device: Device = field(default="auto", metadata=DEVICE)


if __name__ == "__main__":
    start(PairTeacherConfig, "training.work.pair_teacher:teach")
