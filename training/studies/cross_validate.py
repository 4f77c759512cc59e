"""Cross-validation of paraphrase detection where only a training split is at hand, as for MRPC.

python -m training.studies.cross_validate --data DIR [--file paraphrase/mrpc/train.jsonl.gz] [--bundle DIR]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.command.start import start
from training.options import AtLeastTwo, Threaded


@dataclass(frozen=True)
class CrossValidateConfig(Threaded):
    """What to score."""

    data: Path = field(metadata={"help": "data folder"})
    file: str = field(default="paraphrase/mrpc/train.jsonl.gz", metadata={"help": "labelled pairs below it"})
    bundle: Path = field(default=Path("service/bundle"), metadata={"help": "bundle folder"})
    folds: AtLeastTwo = field(default=5, metadata={"help": "number of folds"})
    seed: int = field(default=0, metadata={"help": "seed of the folds"})


if __name__ == "__main__":
    start(CrossValidateConfig, "training.work.studies.cross_validate:main")
