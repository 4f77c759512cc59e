"""Speed of the encoder in training.

python -m training.studies.bench [--rounds 9] [--threads 2] [--skip-scan]
"""

from __future__ import annotations

from dataclasses import dataclass, field

from training.command.start import start
from training.options import Threaded


@dataclass(frozen=True)
class BenchConfig(Threaded):
    """What to time."""

    rounds: int = field(default=9, metadata={"help": "timed rounds, after one that is not counted"})
    sentences: int = field(default=1024, metadata={"help": "sentences in the batch"})
    tokens: int = field(default=18, metadata={"help": "mean tokens of a sentence; lengths vary by half of it"})
    vocab_size: int = field(default=30_522, metadata={"help": "rows of the tables"})
    skip_scan: bool = field(
        default=False, metadata={"help": "leave out the portable twin, which takes seconds a round"}
    )
    seed: int = field(default=0, metadata={"help": "seed of the batch"})


if __name__ == "__main__":
    start(BenchConfig, "training.work.studies.bench:main")
