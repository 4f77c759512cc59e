"""The average of students that went on from one: what they agree on stays, what each happened on cancels out.

python -m training.average --runs runs/seed1 runs/seed2 --data DIR [--out runs/average]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.command.start import start
from training.options import OutputFolder, Threaded


@dataclass(frozen=True)
class AverageConfig(Threaded):
    """What to average."""

    runs: list[Path] = field(metadata={"help": "run folders of training.finetune, two or more"})
    data: Path = field(metadata={"help": "data folder, for the calibration"})
    out: OutputFolder = field(default=Path("runs/average"), metadata={"help": "folder of the average"})
    max_tokens: int = field(default=64, metadata={"help": "longer sentences are cut"})


if __name__ == "__main__":
    start(AverageConfig, "training.work.average:main")
