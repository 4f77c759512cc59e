"""Prints minimal pairs to read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from training.command.start import start
from training.options import Natural, Threaded


@dataclass(frozen=True)
class SampleConfig(Threaded):
    """What to print."""

    data: Path = field(metadata={"help": "data folder (see training/data/files.py)"})
    items: Natural = field(default=3, metadata={"help": "items of each kind"})
    split: Literal["train", "dev"] = field(default="train", metadata={"help": "which frames and words"})
    seed: int = field(default=0, metadata={"help": "seed of the choice"})


if __name__ == "__main__":
    start(SampleConfig, "training.work.minimal_pairs.sample:main")
