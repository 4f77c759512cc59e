"""What the shape of the encoder brings: one short distillation for each, everything else equal.

python -m training.studies.ablate_encoder --data DIR [--epochs 2] [--out runs/encoders]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.command.start import start
from training.options import DEVICE, Device, OutputFolder, Threaded


@dataclass(frozen=True)
class AblateEncoderConfig(Threaded):
    """One distillation for each shape."""

    data: Path = field(metadata={"help": "data folder; its similarity dev splits are scored"})
    teacher_cache: Path = field(default=Path("runs/teacher"), metadata={"help": "folder made by training.teacher"})
    out: OutputFolder = field(default=Path("runs/encoders"), metadata={"help": "folder of the runs"})
    epochs: int = field(default=2, metadata={"help": "passes over the cached sentences"})
    batch: int = field(default=1024, metadata={"help": "sentences a step"})
    seed: int = field(default=0, metadata={"help": "seed of each run"})
    device: Device = field(default="auto", metadata=DEVICE)


if __name__ == "__main__":
    start(AblateEncoderConfig, "training.work.studies.ablate_encoder:main")
