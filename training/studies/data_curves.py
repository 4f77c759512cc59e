"""What more labelled pairs would bring: how well a small head on the bundle's embeddings does, by the pairs it saw.

python -m training.studies.data_curves --data DIR [--bundle service/bundle] [--out docs/data_curves.svg]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.command.start import start
from training.options import OutputFolder, Threaded


@dataclass(frozen=True)
class DataCurvesConfig(Threaded):
    """What to draw, and where to."""

    data: Path = field(metadata={"help": "data folder with nli/ and paraphrase/"})
    bundle: Path = field(default=Path("service/bundle"), metadata={"help": "bundle folder"})
    out: OutputFolder = field(default=Path("docs/data_curves.svg"), metadata={"help": "file of the figure"})
    draws: int = field(default=3, metadata={"help": "draws of training pairs for each point"})


if __name__ == "__main__":
    start(DataCurvesConfig, "training.work.studies.data_curves:main")
