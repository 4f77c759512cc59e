"""The pair encoder and its heads, on the pair teacher's judgements and on minimal pairs, over a student's own tables.

python -m training.pair_heads --data DIR [--base runs/student] [--pair_labels runs/pair_labels] [--start RUN]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.command.start import start
from training.options import DEVICE, Device, Natural, OutputFolder, Share, Threaded


@dataclass(frozen=True)
class PairHeadsConfig(Threaded):
    """One run."""

    data: Path = field(metadata={"help": "data folder (see training/data/files.py)"})
    base: Path = field(default=Path("runs/student"), metadata={"help": "student's run or bundle whose tables are read"})
    pair_labels: Path = field(default=Path("runs/pair_labels"), metadata={"help": "made by training.pair_labels"})
    out: OutputFolder = field(default=Path("runs/pair_heads"), metadata={"help": "run folder"})
    start: Path | None = field(default=None, metadata={"help": "run or bundle, no wider, to go on from"})
    width: int = field(default=128, metadata={"help": "width of the pair encoder"})
    blocks: int = field(default=2, metadata={"help": "blocks of the pair encoder"})
    places: int = field(default=64, metadata={"help": "places of a token that are told apart"})
    hidden_dim: int = field(default=320, metadata={"help": "hidden units of the entailment head"})
    constructed: Natural = field(default=600_000, metadata={"help": "minimal pairs among the judged ones"})
    judged: Natural = field(default=0, metadata={"help": "judged pairs at most, at random; 0 for all"})
    epochs: int = field(default=3, metadata={"help": "passes over the pairs"})
    minutes: float = field(default=0.0, metadata={"help": "end after about so many minutes instead; 0 for all epochs"})
    max_steps: Natural = field(default=0, metadata={"help": "end after so many steps; 0 for all epochs"})
    batch: int = field(default=256, metadata={"help": "pairs a step"})
    hard_weight: Share = field(default=0.5, metadata={"help": "of the gold label against the teacher's judgement"})
    lr: float = field(default=1e-3, metadata={"help": "peak learning rate"})
    cooldown: Share = field(default=0.3, metadata={"help": "share of the steps, at the end, in which it falls to zero"})
    dropout: Share = field(default=0.1, metadata={"help": "of the heads' hidden units"})
    checkpoint_steps: int = field(default=1000, metadata={"help": "steps between two checkpoints"})
    dev_rows: int = field(default=2000, metadata={"help": "rows of a dev split scored at a checkpoint, at most"})
    max_tokens: int = field(default=64, metadata={"help": "longer sentences are cut"})
    seed: int = field(default=0, metadata={"help": "seed of weights, minimal pairs and batches"})
    device: Device = field(default="auto", metadata=DEVICE)


if __name__ == "__main__":
    start(PairHeadsConfig, "training.work.pair_heads:run")
