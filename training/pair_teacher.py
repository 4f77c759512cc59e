"""Fine-tuning of the pair teacher on labelled pairs: NLI, similarity and paraphrase together.

    python -m training.pair_teacher --data DIR [--out runs/pair_teacher] [--encoder all-MiniLM-L6-v2]

MRPC is left out, so that cross-validation on its training split stays clean for whatever learns from this teacher.
Quora's training pairs are nearly all duplicates: positives are drawn down, and questions that are close in the sentence
teacher's space without being linked by duplicates are added as negatives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedModel

from training.data.labelled import GOLD_FOLDERS, LabelledPairs, read_split
from training.data.recipe import Recipe, command_line
from training.data.sources import sources_below, teacher_source
from training.errors import one_line_errors
from training.loop.device import DEVICE, Device, mixed_precision, sent
from training.loop.losses import entailment_losses
from training.loop.parallel import one_process
from training.loop.run import Run, Schedule, train
from training.options import Natural, parse_options
from training.pairs.neighbours import Neighbours
from training.pairs.questions import balanced_questions
from training.teachers.cache import TeacherCache
from training.teachers.cross_encoder import PairLogits, PairTeacher, shuffled_length_batches
from training.teachers.pair_tokens import PairTokens


@dataclass(frozen=True)
class PairTeacherConfig:
    """One run of fine-tuning a cross-encoder."""

    data: Path = field(metadata={"help": "data folder (see training/data/files.py)"})
    teacher_cache: Path = field(default=Path("runs/teacher"), metadata={"help": "sentence embeddings, for mining"})
    out: Path = field(default=Path("runs/pair_teacher"), metadata={"help": "run folder"})
    encoder: str = field(default="all-MiniLM-L6-v2", metadata={"help": "packaged name, local folder or hub name"})
    epochs: int = field(default=1, metadata={"help": "passes over the pairs"})
    batch_tokens: int = field(default=2048, metadata={"help": "tokens a step"})
    lr: float = field(default=1e-4, metadata={"help": "peak learning rate of the encoder"})
    head_lr: float = field(default=5e-4, metadata={"help": "peak learning rate of pooling and heads"})
    weight_decay: float = field(default=0.01, metadata={"help": "decoupled weight decay"})
    similarity_repeats: Natural = field(default=2, metadata={"help": "how often an epoch holds each scored pair"})
    mined_negatives: Natural = field(default=10_000, metadata={"help": "close question pairs taken as negatives"})
    max_tokens: int = field(default=128, metadata={"help": "longer pairs are cut"})
    dev_rows: int = field(default=1000, metadata={"help": "rows of each dev split scored at a checkpoint"})
    checkpoint_steps: int = field(default=1000, metadata={"help": "steps between two checkpoints"})
    seed: int = field(default=0, metadata={"help": "seed of heads, dropout and batches"})
    device: Device = field(default="auto", metadata=DEVICE)


def training_pairs(config: PairTeacherConfig) -> LabelledPairs:
    """Everything that the teacher learns from."""
    nli, scored, paraphrase = (list(read_split(config.data, "train", task).values()) for task in GOLD_FOLDERS)
    neighbours = Neighbours.of_cache(TeacherCache.complete(config.teacher_cache))
    questions = [balanced_questions(pairs, neighbours, config.mined_negatives, config.seed) for pairs in paraphrase]
    return LabelledPairs.joined([*nli, *scored * config.similarity_repeats, *questions])


def pair_loss(logits: PairLogits, entailment: Tensor, similarity: Tensor, paraphrase: Tensor) -> Tensor:
    """Mean loss [scalar] of what is known: cross-entropy for labels, binary cross-entropy against the scaled score."""
    parts = []
    if (known := entailment.any(dim=1)).any():
        parts.append(entailment_losses(logits.entailment[known], entailment[known]).sum())
    for logit, target in ((logits.similarity, similarity), (logits.paraphrase, paraphrase)):
        if (known := ~target.isnan()).any():
            parts.append(F.binary_cross_entropy_with_logits(logit[known], target[known], reduction="sum"))
    return torch.stack(parts).sum() / len(similarity)


def first(pairs: LabelledPairs, count: int) -> LabelledPairs:
    """The first ``count`` of ``pairs``, or all where there are fewer."""
    return pairs.take(np.arange(min(count, len(pairs))))


class PairDev:
    """Scores on the dev splits of the tasks that the teacher learns."""

    def __init__(self, data: Path, rows: int) -> None:
        self.nli, self.scored, self.paraphrase = (
            {name: first(pairs, rows) for name, pairs in read_split(data, "dev", task, trained=True).items()}
            for task in GOLD_FOLDERS
        )

    def score(self, teacher: PairTeacher) -> dict[str, float]:
        """Accuracy for NLI (the most probable label is accepted) and paraphrase (at 0.5), Spearman for scores."""
        result: dict[str, float] = {}
        for name, pairs in self.nli.items():
            best = teacher.judge(pairs.texts).entailment.argmax(axis=1)
            result[f"{name}_accuracy"] = float(pairs.entailment[np.arange(len(best)), best].mean())
        for name, pairs in self.scored.items():
            result[f"{name}_spearman"] = float(
                spearmanr(teacher.judge(pairs.texts).similarity, pairs.similarity).statistic
            )
        for name, pairs in self.paraphrase.items():
            result[f"{name}_accuracy"] = float(((teacher.judge(pairs.texts).paraphrase > 0) == pairs.paraphrase).mean())
        return {name: round(value, 4) for name, value in result.items()}


class TeacherOptimiser:
    """AdamW on gradients of norm 1 at most, with a rate of its own for the new layers.

    The word embeddings stay as pretrained, which saves a tenth.
    """

    def __init__(self, teacher: PairTeacher, config: PairTeacherConfig) -> None:
        model = teacher.model
        cast(PreTrainedModel, model.encoder).get_input_embeddings().requires_grad_(False)
        encoder = [parameter for parameter in model.encoder.parameters() if parameter.requires_grad]
        new = [*model.pool.parameters(), *model.output.parameters()]
        groups = [
            {"params": encoder, "lr": config.lr, "peak": config.lr},
            {"params": new, "lr": config.head_lr, "peak": config.head_lr},
        ]
        self.trained = [*encoder, *new]
        self.adam = torch.optim.AdamW(groups, weight_decay=config.weight_decay, fused=True)

    def step(self, scale: float) -> None:
        """One update with every learning rate at ``scale`` times its peak; clears the gradients."""
        for group in self.adam.param_groups:
            group["lr"] = group["peak"] * scale
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        """As of AdamW."""
        return self.adam.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of ``state_dict``."""
        self.adam.load_state_dict(state)


def teach(config: PairTeacherConfig) -> PairTeacher:
    """Run or go on with the fine-tuning that ``config`` describes; returns the trained teacher."""
    world = one_process(config.device)
    torch.manual_seed(config.seed)
    teacher = PairTeacher.pretrained(config.encoder, config.max_tokens, world.device)
    pairs, dev = training_pairs(config), PairDev(config.data, config.dev_rows)
    tokens = teacher.tokenize(pairs.texts)
    batches = list(epochs_of_batches(tokens.lengths.tolist(), config))

    def losses(step: int, rows: list[int]) -> dict[str, Tensor]:
        return {"loss": batch_loss(teacher, tokens, pairs, rows)}

    def evaluate() -> dict[str, float]:
        save(teacher, config)
        return dev.score(teacher)

    optimiser = TeacherOptimiser(teacher, config)
    schedule = Schedule(iter(batches), len(batches), config.checkpoint_steps, warmup=0.06)
    train(Run(config.out, config), teacher.model, optimiser, schedule, losses, evaluate, world)
    return teacher


def save(teacher: PairTeacher, config: PairTeacherConfig) -> None:
    """Write the teacher and how it came to be."""
    teacher.save(config.out)
    sources = [*sources_below(config.data), teacher_source(config.encoder)]
    Recipe().then(command_line("training.pair_teacher", config), sources).write(config.out)


def batch_loss(teacher: PairTeacher, tokens: PairTokens, pairs: LabelledPairs, rows: list[int]) -> Tensor:
    """Loss [scalar] of the pairs ``rows``, which are all of one length."""
    teacher.model.train()
    with mixed_precision(teacher.device):
        logits = teacher.model(*teacher.batch(tokens, rows))
    known = (pairs.entailment, pairs.similarity, pairs.paraphrase)
    return pair_loss(logits, *(sent(values[rows], teacher.device) for values in known))


def epochs_of_batches(lengths: list[int], config: PairTeacherConfig) -> Iterator[list[int]]:
    """Row numbers of every batch of the whole run."""
    for epoch in range(config.epochs):
        yield from shuffled_length_batches(lengths, config.batch_tokens, config.seed + epoch)


if __name__ == "__main__":
    with one_line_errors():
        teach(parse_options(PairTeacherConfig))
