"""What a served bundle makes of minimal pairs with frames and words that no training has seen, kind by kind.

python -m training.minimal_pairs.score --data DIR [--bundle service/bundle] [--json scores.json]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.command.start import start
from training.options import OutputFile, Threaded


@dataclass(frozen=True)
class ScoreConfig(Threaded):
    """What to score."""

    data: Path = field(metadata={"help": "data folder (see training/data/files.py)"})
    bundle: Path = field(default=Path("service/bundle"), metadata={"help": "bundle folder"})
    items: int = field(default=100, metadata={"help": "items of each kind"})
    seed: int = field(default=0, metadata={"help": "seed of the choice"})
    json: OutputFile | None = field(default=None, metadata={"help": "also write the scores to this file"})


if __name__ == "__main__":
    start(ScoreConfig, "training.work.minimal_pairs.score:main")
