"""The similarity head anew, over a student's own tables, so that its cosine sees more of the order of words.

python -m training.similarity_head --data DIR [--base runs/student] [--out runs/similarity_head]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.command.start import start
from training.options import DEVICE, AtLeastTwo, Device, Natural, OutputFolder, Threaded


@dataclass(frozen=True)
class SimilarityHeadConfig(Threaded):
    """One run."""

    data: Path = field(metadata={"help": "data folder (see training/data/files.py)"})
    base: Path = field(default=Path("runs/student"), metadata={"help": "student's run or bundle, whose head is read"})
    out: OutputFolder = field(default=Path("runs/similarity_head"), metadata={"help": "run folder"})
    triples: int = field(default=100_000, metadata={"help": "minimal pairs, as an anchor and two others"})
    sentences: int = field(default=100_000, metadata={"help": "sentences of tasks and captions, and of running text"})
    steps: int = field(default=300, metadata={"help": "steps of the run"})
    batch: int = field(default=512, metadata={"help": "triples a step"})
    distill_batch: AtLeastTwo = field(default=256, metadata={"help": "sentences a step that keep their embeddings"})
    scored_batch: AtLeastTwo = field(default=256, metadata={"help": "pairs a step of each data set with gold scores"})
    order_weight: float = field(default=8.0, metadata={"help": "weight of the loss of triples"})
    margin: float = field(default=0.2, metadata={"help": "by which the rephrased sentence is to be nearer"})
    gold_weight: float = field(default=2.0, metadata={"help": "weight of the correlation with gold scores"})
    distill_weight: float = field(default=10.0, metadata={"help": "weight of the loss of changed embeddings"})
    pair_weight: float = field(default=20.0, metadata={"help": "weight of in-batch similarities in it"})
    lr: float = field(default=1e-3, metadata={"help": "peak learning rate"})
    checkpoint_steps: int = field(default=100, metadata={"help": "steps between two checkpoints"})
    dev_items: int = field(default=100, metadata={"help": "items of each kind of minimal pairs that are scored"})
    dev_seed: Natural = field(default=1, metadata={"help": "of these; training.minimal_pairs.score takes 0"})
    max_tokens: int = field(default=64, metadata={"help": "longer sentences are cut"})
    seed: int = field(default=0, metadata={"help": "seed of triples, sentences and batches"})
    device: Device = field(default="auto", metadata=DEVICE)


if __name__ == "__main__":
    start(SimilarityHeadConfig, "training.work.similarity_head:run")
