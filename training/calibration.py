"""What is fitted on a bundle once it is exported, on its answers as it serves them. Then it is scored.

python -m training.calibration --data DIR [--bundle runs/bundle]    # relatedness and scores, in the manifest
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.command.start import start
from training.options import Threaded


@dataclass(frozen=True)
class CalibrationConfig(Threaded):
    """What to fit."""

    data: Path = field(metadata={"help": "data folder (see training/data/files.py)"})
    bundle: Path = field(default=Path("runs/bundle"), metadata={"help": "bundle folder, whose manifest is rewritten"})


if __name__ == "__main__":
    start(CalibrationConfig, "training.work.calibration:main")
