"""General distillation: the student learns the teacher's sentence embeddings on unlabelled text.

    python -m training.distill --data DIR [--teacher-cache runs/teacher] [--out runs/distill]

The loss has two parts: one minus the cosine between a sentence's student and teacher embeddings, and the squared error
of all similarities inside the batch, which is what the service is asked for. Progress goes to ``metrics.jsonl``; a
killed run goes on from its last checkpoint.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor

from cmow.service.text.tokenizer import PackedTokens, Tokenizer
from training.data.labelled import read_split
from training.data.recipe import Recipe, command_line
from training.errors import one_line_errors
from training.loop.device import DEVICE, Device
from training.loop.losses import distill_loss
from training.loop.parallel import Processes, processes
from training.loop.run import Optimisers, Run, shuffled_epochs, train
from training.options import AtLeastTwo, parse_options
from training.student.model import Embedder, Student, StudentConfig, load_student, save_student
from training.student.packing import batch, placed, tokenize
from training.student.vocabulary import check_vocabulary, read_vocabulary
from training.teachers.cache import TeacherCache


@dataclass(frozen=True)
class DistillConfig:
    """One run of general distillation."""

    data: Path = field(metadata={"help": "data folder; its similarity dev splits are scored at every checkpoint"})
    teacher_cache: Path = field(default=Path("runs/teacher"), metadata={"help": "folder made by training.teacher"})
    start: Path | None = field(default=None, metadata={"help": "student of training.paper.pretrain to start from"})
    out: Path = field(default=Path("runs/distill"), metadata={"help": "run folder"})
    epochs: int = field(default=8, metadata={"help": "passes over the cached sentences"})
    batch: AtLeastTwo = field(default=1024, metadata={"help": "sentences a step, over all processes"})
    matrix_lr: float = field(default=3e-4, metadata={"help": "peak learning rate of the matrix tables"})
    vector_lr: float = field(default=3e-3, metadata={"help": "peak learning rate of the vector table"})
    head_lr: float = field(default=1e-3, metadata={"help": "peak learning rate of the projection"})
    pair_weight: float = field(default=20.0, metadata={"help": "weight of the in-batch similarity loss"})
    max_tokens: int = field(default=128, metadata={"help": "longer sentences are cut"})
    checkpoint_steps: int = field(default=1000, metadata={"help": "steps between two checkpoints"})
    seed: int = field(default=0, metadata={"help": "seed of weights and batches"})
    device: Device = field(default="auto", metadata=DEVICE)


class SimilarityDev:
    """Spearman correlation of the student's cosine on the similarity dev splits of a data folder."""

    def __init__(self, data: Path, tokenizer: Tokenizer) -> None:
        self.splits: dict[str, tuple[PackedTokens, NDArray[np.float64]]] = {}
        for name, pairs in read_split(data, "dev", "similarity").items():
            texts = [text for pair in pairs.texts for text in pair]
            self.splits[name] = tokenize(tokenizer, texts), pairs.similarity

    @torch.no_grad()
    def score(self, student: Embedder) -> dict[str, float]:
        """Spearman's rho by the name of the split."""
        result = {}
        for name, (sentences, gold) in self.splits.items():
            vectors = student.embed(*placed(batch(sentences, np.arange(len(sentences))), student.device))
            cosine = (vectors[0::2] * vectors[1::2]).sum(dim=1).cpu().numpy()
            result[f"{name}_spearman"] = round(float(spearmanr(cosine, gold).statistic), 4)
        return result


def start_student(config: DistillConfig, vocab_size: int, similarity_dim: int) -> Student:
    """A fresh student, with the tables of the one in ``config.start`` where there is one."""
    if config.start is None:
        return Student(StudentConfig(vocab_size=vocab_size, similarity_dim=similarity_dim))
    vocabulary = read_vocabulary(config.teacher_cache / "tokenizer.json")
    check_vocabulary(config.start / "tokenizer.json", vocabulary, str(config.teacher_cache))
    begun = load_student(config.start)
    student = Student(replace(begun.config, similarity_dim=similarity_dim))
    student.encoder.load_state_dict(begun.encoder.state_dict())
    return student


@dataclass(frozen=True)
class Distillation:
    """What a run reads: the teacher's ``cache``, its tokenised ``sentences``, and the ``dev`` splits."""

    config: DistillConfig
    cache: TeacherCache
    tokenizer: Tokenizer
    sentences: PackedTokens
    dev: SimilarityDev

    @staticmethod
    def open(config: DistillConfig) -> Distillation:
        """Read everything that ``config`` names."""
        cache = TeacherCache.complete(config.teacher_cache)
        tokenizer = Tokenizer(config.teacher_cache / "tokenizer.json", config.max_tokens)
        sentences = tokenize(tokenizer, cache.sentences[: cache.done])
        return Distillation(config, cache, tokenizer, sentences, SimilarityDev(config.data, tokenizer))

    @property
    def vocab_size(self) -> int:
        """V, of teacher and student."""
        return self.tokenizer.vocab_size

    @property
    def similarity_dim(self) -> int:
        """m, of teacher and student."""
        return int(self.cache.targets.shape[1])

    def run(self, student: Embedder, world: Processes, save: Callable[[], None]) -> None:
        """Train ``student``, or go on with it; ``save`` is called before every checkpoint."""
        config, cache = self.config, self.cache

        def losses(step: int, rows: NDArray[np.int64]) -> dict[str, Tensor]:
            target = torch.from_numpy(cache.targets[rows].astype(np.float32)).to(world.device)
            own = student.embed(*placed(batch(self.sentences, world.share(rows)), world.device))
            # Every sentence is compared with all others: each process has the whole loss, and counts for its share.
            parts = distill_loss(world.join(own), target, config.pair_weight)
            return dict(zip(("loss", "cosine_loss", "pair_loss"), (part / world.count for part in parts), strict=True))

        def evaluate() -> dict[str, float]:
            save()
            return self.dev.score(student)

        optimisers = Optimisers(student, config.matrix_lr, config.vector_lr, config.head_lr)
        schedule = shuffled_epochs(
            len(self.sentences), config.batch, config.epochs, config.seed, config.checkpoint_steps
        )
        train(Run(config.out, config, world.first), student, optimisers, schedule, losses, evaluate, world)


def distill(config: DistillConfig, world: Processes) -> Student:
    """Run or go on with the distillation that ``config`` describes; returns the trained student."""
    torch.manual_seed(config.seed)
    distillation = Distillation.open(config)
    student = start_student(config, distillation.vocab_size, distillation.similarity_dim).to(world.device)
    distillation.run(student, world, lambda: save(student, config))
    return student


def save(student: Student, config: DistillConfig) -> None:
    """Write the student, its tokeniser and how it came to be."""
    save_student(student, config.out)
    shutil.copy(config.teacher_cache / "tokenizer.json", config.out)
    before = Recipe.read(config.teacher_cache)
    if config.start is not None:
        before = before.after(Recipe.read(config.start))
    before.then(command_line("training.distill", config), []).write(config.out)


def main() -> None:
    """Entry point of ``python -m training.distill``."""
    config = parse_options(DistillConfig)
    with one_line_errors(), processes(config.device) as world:
        distill(config, world)


if __name__ == "__main__":
    main()
