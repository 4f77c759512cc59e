"""Sentence-embedding teacher and its cached targets.

python -m training.teacher --data DIR --out runs/teacher [--teacher all-MiniLM-L6-v2]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.command.start import start
from training.options import DEVICE, Device, Natural, OutputFolder, Threaded


@dataclass(frozen=True)
class TeacherConfig(Threaded):
    """What to embed, with which teacher."""

    data: Path = field(metadata={"help": "data folder (see training/data/files.py)"})
    out: OutputFolder = field(default=Path("runs/teacher"), metadata={"help": "cache folder"})
    teacher: str = field(default="all-MiniLM-L6-v2", metadata={"help": "packaged name, local folder or hub name"})
    plain: Natural = field(
        default=200_000, metadata={"help": "how many sentences of running text to add to the task text"}
    )
    max_tokens: int = field(default=128, metadata={"help": "longer sentences are cut for the teacher"})
    batch_tokens: int = field(default=4096, metadata={"help": "tokens in one forward pass"})
    block: int = field(default=16_384, metadata={"help": "rows between two checkpoints"})
    seed: int = field(default=0, metadata={"help": "seed of the sentence order"})
    device: Device = field(default="auto", metadata=DEVICE)


if __name__ == "__main__":
    start(TeacherConfig, "training.work.teacher:main")
