"""What a bundle's verdicts are decided by, fitted on its answers, into its manifest; no weight changes.

    python -m training.verdicts --data DIR [--bundle runs/bundle]

`training.calibration` does the same beside what else it fits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.command.start import start
from training.options import Threaded


@dataclass(frozen=True)
class VerdictsConfig(Threaded):
    """What to fit."""

    data: Path = field(metadata={"help": "data folder (see training/data/files.py)"})
    bundle: Path = field(default=Path("runs/bundle"), metadata={"help": "bundle folder, whose manifest is rewritten"})


if __name__ == "__main__":
    start(VerdictsConfig, "training.verdicts.fit:main")
