"""General distillation: the student learns the teacher's sentence embeddings on unlabelled text.

    python -m training.distill --data DIR [--teacher-cache runs/teacher] [--out runs/distill]

The loss has two parts: one minus the cosine between a sentence's student and teacher embeddings, and the squared error
of all similarities inside the batch, which is what the service is asked for. Progress goes to ``metrics.jsonl``; a
killed run goes on from its last checkpoint.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from tqdm import tqdm

from service.tokenizer import PackedTokens, Tokenizer
from training.data import Pair, read_pairs, split_files
from training.losses import distill_loss
from training.options import parse_options
from training.packing import batch, tokenize
from training.recipe import Recipe, command_line
from training.run import Clock, Optimisers, Run, shuffled_batches, warmup_cosine
from training.student import Student, StudentConfig, save_student
from training.teacher import TeacherCache


@dataclass(frozen=True)
class DistillConfig:
    """One run of general distillation."""

    data: Path = field(metadata={"help": "data folder; its similarity dev splits are scored at every checkpoint"})
    teacher_cache: Path = field(default=Path("runs/teacher"), metadata={"help": "folder made by training.teacher"})
    out: Path = field(default=Path("runs/distill"), metadata={"help": "run folder"})
    epochs: int = field(default=8, metadata={"help": "passes over the cached sentences"})
    batch: int = field(default=1024, metadata={"help": "sentences a step"})
    matrix_lr: float = field(default=3e-4, metadata={"help": "peak learning rate of the matrix tables"})
    vector_lr: float = field(default=3e-3, metadata={"help": "peak learning rate of the vector table"})
    head_lr: float = field(default=1e-3, metadata={"help": "peak learning rate of the projection"})
    pair_weight: float = field(default=20.0, metadata={"help": "weight of the in-batch similarity loss"})
    max_tokens: int = field(default=128, metadata={"help": "longer sentences are cut"})
    checkpoint_steps: int = field(default=1000, metadata={"help": "steps between two checkpoints"})
    seed: int = field(default=0, metadata={"help": "seed of weights and batches"})


class SimilarityDev:
    """Spearman correlation of the student's cosine on the similarity dev splits of a data folder."""

    def __init__(self, data: Path, tokenizer: Tokenizer) -> None:
        self.splits: dict[str, tuple[PackedTokens, NDArray[np.float64]]] = {}
        for path in split_files(data, "dev", ("similarity",)):
            pairs: list[Pair] = read_pairs(path)
            texts = [text for pair in pairs for text in (pair.sentence1, pair.sentence2)]
            self.splits[path.parent.name] = tokenize(tokenizer, texts), np.array([pair.score for pair in pairs])

    @torch.no_grad()
    def score(self, student: Student) -> dict[str, float]:
        """Spearman's rho by the name of the split."""
        result = {}
        for name, (sentences, gold) in self.splits.items():
            vectors = student.embed(*batch(sentences, np.arange(len(sentences))))
            cosine = (vectors[0::2] * vectors[1::2]).sum(dim=1).numpy()
            result[f"{name}_spearman"] = round(float(spearmanr(cosine, gold).statistic), 4)
        return result


def training_batches(config: DistillConfig, rows: int, start: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """(step, rows) of the whole run, from step ``start`` on."""
    step = 0
    for epoch in range(config.epochs):
        for chosen in shuffled_batches(rows, config.batch, config.seed, epoch):
            if step >= start:
                yield step, chosen
            step += 1


def distill(config: DistillConfig) -> Student:
    """Run or go on with the distillation that ``config`` describes; returns the trained student."""
    torch.manual_seed(config.seed)
    cache = TeacherCache.open(config.teacher_cache)
    tokenizer = Tokenizer(config.teacher_cache / "tokenizer.json", config.max_tokens)
    dev, sentences = SimilarityDev(config.data, tokenizer), tokenize(tokenizer, cache.sentences[: cache.done])
    student = Student(StudentConfig(vocab_size=tokenizer.vocab_size, similarity_dim=cache.targets.shape[1]))
    optimisers = Optimisers(student, config.matrix_lr, config.vector_lr, config.head_lr)
    run, clock = Run(config.out, config), Clock()
    steps = config.epochs * (len(sentences) // config.batch)
    start = run.resume(student, optimisers)
    shutil.copy(config.teacher_cache / "tokenizer.json", config.out)
    Recipe.read(config.teacher_cache).then(command_line("training.distill", config), []).write(config.out)
    for step, rows in tqdm(training_batches(config, len(sentences), start), total=steps, initial=start, unit=" steps"):
        token_ids, cu_seqlens = batch(sentences, rows)
        target = torch.from_numpy(cache.targets[rows].astype(np.float32))
        loss, cosine, pairs = distill_loss(student.embed(token_ids, cu_seqlens), target, config.pair_weight)
        loss.backward()
        optimisers.step(warmup_cosine(step, steps))
        clock.add(len(rows), cosine_loss=cosine.item(), pair_loss=pairs.item())
        if (step + 1) % config.checkpoint_steps == 0 or step + 1 == steps:
            run.log(step=step + 1, **clock.read(), **dev.score(student))
            run.save(student, optimisers, step + 1)
            save_student(student, config.out)
    return student


if __name__ == "__main__":
    distill(parse_options(DistillConfig))
