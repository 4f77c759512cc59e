"""What each change brings: one short fine-tuning after the other, each with one change more than the one before.

python -m training.studies.ablate --data DIR [--steps 600] [--out runs/ablations]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.command.start import start
from training.options import OutputFolder, Threaded


@dataclass(frozen=True)
class AblateConfig(Threaded):
    """One ladder of ablations."""

    data: Path = field(metadata={"help": "data folder with nli/, similarity/ and paraphrase/"})
    student: Path = field(default=Path("runs/distill"), metadata={"help": "folder of the distilled student"})
    teacher_cache: Path = field(default=Path("runs/teacher"), metadata={"help": "folder made by training.teacher"})
    pair_labels: Path = field(default=Path("runs/pair_labels"), metadata={"help": "made by training.pair_labels"})
    out: OutputFolder = field(default=Path("runs/ablations"), metadata={"help": "folder of the runs"})
    steps: int = field(default=600, metadata={"help": "steps of each run"})
    seed: int = field(default=0, metadata={"help": "seed of each run"})


if __name__ == "__main__":
    start(AblateConfig, "training.work.studies.ablate:main")
