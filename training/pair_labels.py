"""The pair teacher's judgements of gold and mined pairs, cached on disk.

python -m training.pair_labels --data DIR [--teacher runs/pair_teacher] [--out runs/pair_labels]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.command.start import start
from training.options import DEVICE, Device, Natural, OutputFolder, Threaded
from training.pairs.kinds import Counts


@dataclass(frozen=True)
class PairLabelsConfig(Counts, Threaded):
    """Which pairs to judge, with which teacher."""

    data: Path = field(metadata={"help": "data folder (see training/data/files.py)"})
    teacher: Path = field(default=Path("runs/pair_teacher"), metadata={"help": "folder made by training.pair_teacher"})
    teacher_cache: Path = field(default=Path("runs/teacher"), metadata={"help": "sentence embeddings, for mining"})
    bundle: Path | None = field(
        default=None, metadata={"help": "mine by the embeddings of this bundle, and not by those of the teacher cache"}
    )
    out: OutputFolder = field(default=Path("runs/pair_labels"), metadata={"help": "cache folder"})
    mined: Natural = field(default=500_000, metadata={"help": "mined pairs at most, besides those of scored sentences"})
    judged: Natural = field(default=1_000_000, metadata={"help": "pairs judged at most; gold labels need no judgement"})
    batch_tokens: Natural = field(default=0, metadata={"help": "tokens in one forward pass; 0: what suits the device"})
    block: Natural = field(default=0, metadata={"help": "pairs between two checkpoints; 0: what suits the device"})
    seed: int = field(default=0, metadata={"help": "seed of the mining"})
    device: Device = field(default="auto", metadata=DEVICE)


if __name__ == "__main__":
    start(PairLabelsConfig, "training.work.pair_labels:label")
