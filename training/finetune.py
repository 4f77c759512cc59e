"""Fine-tuning: entailment, similarity and paraphrase together, on gold labels and the pair teacher's judgements.

python -m training.finetune --data DIR [--student runs/distill] [--out runs/student]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.command.start import start
from training.options import (
    DEVICE,
    AtLeastTwo,
    Device,
    DocumentTokens,
    Natural,
    OutputFolder,
    Share,
    Temperature,
    Threaded,
)


@dataclass(frozen=True)
class FinetuneConfig(Threaded):
    """One run of fine-tuning."""

    data: Path = field(metadata={"help": "data folder with nli/, similarity/ and paraphrase/"})
    student: Path = field(default=Path("runs/distill"), metadata={"help": "folder of the distilled student"})
    teacher_cache: Path = field(default=Path("runs/teacher"), metadata={"help": "folder made by training.teacher"})
    pair_labels: Path = field(default=Path("runs/pair_labels"), metadata={"help": "made by training.pair_labels"})
    gold_only: bool = field(default=False, metadata={"help": "leave out the pair teacher and its pairs"})
    out: OutputFolder = field(default=Path("runs/student"), metadata={"help": "run folder"})
    hidden_dim: int = field(default=512, metadata={"help": "hidden units of the entailment head"})
    compare_dim: Natural = field(default=64, metadata={"help": "width of the alignment's comparisons; 0 leaves it out"})
    standardise: bool = field(default=True, metadata={"help": "standardise embeddings before the entailment head"})
    product: bool = field(default=True, metadata={"help": "u * v among the features of the entailment head"})
    epochs: int = field(default=3, metadata={"help": "passes over the pairs"})
    batch: int = field(default=512, metadata={"help": "pairs a step"})
    distill_batch: AtLeastTwo = field(default=256, metadata={"help": "sentences with teacher targets a step"})
    gold_repeats: int = field(default=4, metadata={"help": "how often an epoch holds a pair with a gold score"})
    scored_batch: int = field(default=0, metadata={"help": "further pairs with a gold score a step"})
    gold_batch: int = field(default=0, metadata={"help": "further gold pairs of the gold sets a step"})
    gold_sets: str = field(default="nli/mnli,nli/rte", metadata={"help": "folders of these below data, by commas"})
    documents: int = field(default=0, metadata={"help": "documents with teacher targets a step"})
    document_tokens: DocumentTokens = field(default=3000, metadata={"help": "tokens of the longest document"})
    max_steps: int = field(default=0, metadata={"help": "end after so many steps; 0 for all epochs"})
    keep_heads: bool = field(default=False, metadata={"help": "go on with the heads of the student"})
    hard_weight: Share = field(default=0.5, metadata={"help": "of the gold label against the teacher's judgement"})
    temperature: Temperature = field(default=1.0, metadata={"help": "of the teacher's entailment logits"})
    paraphrase_weight: float = field(default=0.5, metadata={"help": "weight of the paraphrase loss"})
    similarity_weight: float = field(default=1.0, metadata={"help": "weight of the similarity loss"})
    distill_weight: float = field(default=10.0, metadata={"help": "weight of the distillation loss"})
    pair_weight: float = field(default=20.0, metadata={"help": "weight of in-batch similarities in it"})
    matrix_lr: float = field(default=2e-4, metadata={"help": "peak learning rate of the matrix tables"})
    vector_lr: float = field(default=2e-3, metadata={"help": "peak learning rate of the vector table"})
    head_lr: float = field(default=1e-3, metadata={"help": "peak learning rate of the heads"})
    token_dropout: Share = field(default=0.1, metadata={"help": "share of the tokens left out of a pair"})
    max_tokens: int = field(default=64, metadata={"help": "longer sentences are cut"})
    checkpoint_steps: int = field(default=500, metadata={"help": "steps between two checkpoints"})
    seed: int = field(default=0, metadata={"help": "seed of head weights, dropout and batches"})
    device: Device = field(default="auto", metadata=DEVICE)


if __name__ == "__main__":
    start(FinetuneConfig, "training.work.finetune:finetune")
