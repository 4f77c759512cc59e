"""The model card's figures: how a run's scores rose, and how far the bundle's probabilities can be trusted.

python -m training.studies.figures --data DIR [--run runs/student] [--bundle service/bundle] [--out docs]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.command.start import start
from training.options import OutputFolder, Threaded


@dataclass(frozen=True)
class FiguresConfig(Threaded):
    """What to draw, and where to."""

    data: Path = field(metadata={"help": "data folder with nli/"})
    run: Path = field(default=Path("runs/student"), metadata={"help": "folder of the run whose curves are drawn"})
    bundle: Path = field(default=Path("service/bundle"), metadata={"help": "bundle folder"})
    out: OutputFolder = field(default=Path("docs"), metadata={"help": "folder of the figures"})


if __name__ == "__main__":
    start(FiguresConfig, "training.work.studies.figures:main")
