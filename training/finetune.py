"""Fine-tuning: the DiffCat entailment head on labelled pairs, while the encoder keeps the teacher's similarity space.

    python -m training.finetune --data DIR [--student runs/distill] [--teacher-cache runs/teacher] [--out runs/student]

One encoder serves both heads, so every step takes a batch of labelled pairs and a batch of sentences with teacher
targets; without the second, the entailment loss pulls the sentence space apart and similarity is lost.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, count, islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from service.tokenizer import PackedTokens, Tokenizer
from training.data import NLI_LABELS, NOT_ENTAILMENT, read_pairs, split_files
from training.distill import SimilarityDev, distill_loss
from training.options import parse_options
from training.packing import PackedBatch, batch, drop_tokens, join, tokenize
from training.recipe import Recipe, command_line
from training.run import Clock, Optimisers, Run, shuffled_batches, warmup_cosine
from training.sources import sources_below
from training.student import Student, load_student, save_student
from training.teacher import TeacherCache
from training.threshold import fit_threshold


@dataclass(frozen=True)
class FinetuneConfig:
    """One run of fine-tuning."""

    data: Path = field(metadata={"help": "data folder with nli/*/train*.jsonl.gz"})
    student: Path = field(default=Path("runs/distill"), metadata={"help": "folder of the distilled student"})
    teacher_cache: Path = field(default=Path("runs/teacher"), metadata={"help": "folder made by training.teacher"})
    out: Path = field(default=Path("runs/student"), metadata={"help": "run folder"})
    epochs: int = field(default=2, metadata={"help": "passes over the labelled pairs"})
    batch: int = field(default=512, metadata={"help": "labelled pairs a step"})
    distill_batch: int = field(default=512, metadata={"help": "teacher sentences a step"})
    distill_weight: float = field(default=10.0, metadata={"help": "weight of the distillation loss"})
    pair_weight: float = field(default=20.0, metadata={"help": "weight of in-batch similarities in it"})
    matrix_lr: float = field(default=2e-4, metadata={"help": "peak learning rate of the matrix tables"})
    vector_lr: float = field(default=2e-3, metadata={"help": "peak learning rate of the vector table"})
    head_lr: float = field(default=1e-3, metadata={"help": "peak learning rate of the heads"})
    token_dropout: float = field(default=0.1, metadata={"help": "share of the tokens left out of a labelled pair"})
    max_tokens: int = field(default=128, metadata={"help": "longer sentences are cut"})
    checkpoint_steps: int = field(default=200, metadata={"help": "steps between two checkpoints"})
    seed: int = field(default=0, metadata={"help": "seed of head weights, dropout and batches"})


@dataclass(frozen=True)
class LabelledPairs:
    """Packed sentences (2 p premise, 2 p + 1 hypothesis) and the labels that count as right, bool [P, 3]."""

    sentences: PackedTokens
    targets: NDArray[np.bool_]

    @staticmethod
    def read(paths: list[Path], tokenizer: Tokenizer) -> LabelledPairs:
        """All pairs of ``paths``; two-way data accepts both neutral and contradiction for ``not_entailment``."""
        pairs = [pair for path in paths for pair in read_pairs(path, (*NLI_LABELS, NOT_ENTAILMENT))]
        right = {label: np.array(NLI_LABELS) == label for label in NLI_LABELS}
        right[NOT_ENTAILMENT] = np.array(NLI_LABELS) != "entailment"
        texts = [text for pair in pairs for text in (pair.sentence1, pair.sentence2)]
        return LabelledPairs(tokenize(tokenizer, texts), np.stack([right[str(pair.label)] for pair in pairs]))

    def batch(self, pairs: NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor]:
        """(``token_ids`` [N], ``cu_seqlens`` [2 P + 1], ``targets`` [P, 3]) of the pairs with these numbers."""
        rows = np.stack([2 * pairs, 2 * pairs + 1], axis=1).ravel()
        return *batch(self.sentences, rows), torch.from_numpy(self.targets[pairs])


def entailment_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean negative log probability [scalar] of the accepted labels, ``targets`` bool [P, 3]."""
    log_probabilities = logits.log_softmax(dim=1)
    return -log_probabilities.masked_fill(~targets, -torch.inf).logsumexp(dim=1).mean()


class EntailmentDev:
    """Accuracy on the NLI dev splits that have a training split beside them."""

    def __init__(self, data: Path, tokenizer: Tokenizer) -> None:
        paths = [path for path in split_files(data, "dev", ("nli",)) if any(path.parent.glob("train*"))]
        self.splits = {path.parent.name: LabelledPairs.read([path], tokenizer) for path in paths}

    @torch.no_grad()
    def score(self, student: Student, block: int = 2048) -> dict[str, float]:
        """Share of pairs whose most probable label is accepted, by the name of the split."""
        result = {}
        for name, pairs in self.splits.items():
            right = 0
            for start in range(0, len(pairs.targets), block):
                token_ids, cu_seqlens, targets = pairs.batch(np.arange(start, min(start + block, len(pairs.targets))))
                predicted = two_way(student.entail(token_ids, cu_seqlens), targets)
                right += int(targets.gather(1, predicted[:, None]).sum())
            result[f"{name}_accuracy"] = round(right / len(pairs.targets), 4)
        return result


def two_way(logits: Tensor, targets: Tensor) -> Tensor:
    """Predicted class [P]; where the data are two-way, entailment against the sum of the other two."""
    probabilities = logits.softmax(dim=1)
    if not bool((targets.sum(dim=1) == 2).any()):
        return probabilities.argmax(dim=1)
    entailed = probabilities[:, 0] > 0.5
    return torch.where(entailed, 0, 1)


def endless_batches(rows: int, batch: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Shuffled batches, epoch after epoch."""
    return chain.from_iterable(shuffled_batches(rows, batch, seed, epoch) for epoch in count())


def joint_losses(
    student: Student,
    pairs: tuple[Tensor, Tensor, Tensor],
    sentences: PackedBatch,
    teacher: Tensor,
    config: FinetuneConfig,
) -> tuple[Tensor, Tensor]:
    """(entailment loss, distillation loss) of labelled ``pairs``, and ``sentences`` with ``teacher`` targets [B, m]."""
    token_ids, cu_seqlens, targets = pairs
    shortened = drop_tokens(token_ids, cu_seqlens, config.token_dropout)
    embeddings = student.encoder(*join(shortened, sentences))  # one pass over the tables for both losses
    of_pairs, of_sentences = embeddings.split([2 * len(targets), len(teacher)])
    logits = student.entailment_head(of_pairs[0::2], of_pairs[1::2])
    distilled, _, _ = distill_loss(student.similarity_head(of_sentences), teacher, config.pair_weight)
    return entailment_loss(logits, targets), distilled


def finetune(config: FinetuneConfig) -> Student:
    """Run or go on with the fine-tuning that ``config`` describes; returns the trained student."""
    torch.manual_seed(config.seed)
    student, cache = load_student(config.student), TeacherCache.open(config.teacher_cache)
    tokenizer = Tokenizer(config.student / "tokenizer.json", config.max_tokens)
    pairs = LabelledPairs.read(split_files(config.data, "train", ("nli",)), tokenizer)
    sentences = tokenize(tokenizer, cache.sentences[: cache.done])
    devs = SimilarityDev(config.data, tokenizer), EntailmentDev(config.data, tokenizer)
    optimisers = Optimisers(student, config.matrix_lr, config.vector_lr, config.head_lr)
    run, clock = Run(config.out, config), Clock()
    steps = config.epochs * (len(pairs.targets) // config.batch)
    start = run.resume(student, optimisers)
    shutil.copy(config.student / "tokenizer.json", config.out)
    sources = sources_below(config.data)
    Recipe.read(config.student).then(command_line("training.finetune", config), sources).write(config.out)
    pair_batches = endless_batches(len(pairs.targets), config.batch, config.seed)
    sentence_batches = endless_batches(len(sentences), config.distill_batch, config.seed)
    batches = islice(zip(range(steps), pair_batches, sentence_batches, strict=False), start, None)
    for step, pair_rows, rows in tqdm(batches, total=steps, initial=start, unit=" steps"):
        teacher = torch.from_numpy(cache.targets[rows].astype(np.float32))
        losses = joint_losses(student, pairs.batch(pair_rows), batch(sentences, rows), teacher, config)
        (losses[0] + config.distill_weight * losses[1]).backward()
        optimisers.step(warmup_cosine(step, steps))
        clock.add(2 * len(pair_rows) + len(rows), entailment_loss=losses[0].item(), distill_loss=losses[1].item())
        if (step + 1) % config.checkpoint_steps == 0 or step + 1 == steps:
            student.eval()
            run.log(step=step + 1, **clock.read(), **devs[0].score(student), **devs[1].score(student))
            student.train()
            run.save(student, optimisers, step + 1)
    student.paraphrase_threshold.fill_(fit_threshold(student.eval(), config.data, tokenizer))
    run.log(event="done", paraphrase_threshold=float(student.paraphrase_threshold))
    save_student(student, config.out)
    return student


if __name__ == "__main__":
    finetune(parse_options(FinetuneConfig))
