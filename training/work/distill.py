"""The work of ``training.distill``.

The loss has two parts: one minus the cosine between a sentence's student and teacher embeddings, and the squared error
of all similarities inside the batch, which is what the service is asked for. Progress goes to ``metrics.jsonl``; a
killed run goes on from its last checkpoint.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor

from cmow.service.text.tokenizer import PackedTokens, Tokenizer
from training.data.files import split_files
from training.data.inputs import made_files
from training.data.labelled import read_split
from training.data.recipe import Recipe, command_line
from training.distill import DistillConfig
from training.loop.losses import distill_loss
from training.loop.parallel import Processes, processes
from training.loop.run import Optimisers, Run, shuffled_epochs, train
from training.student.model import Embedder, Student, StudentConfig, load_student, save_student
from training.student.packing import batch, placed, tokenize
from training.student.vocabulary import check_vocabulary, read_vocabulary
from training.teachers.cache import TeacherCache


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


def inputs(config: DistillConfig) -> list[Path]:
    """What a run reads."""
    dev = split_files(config.data, "dev", ("similarity",))
    return [*dev, *made_files(config.teacher_cache), *made_files(config.start)]


@dataclass(frozen=True)
class Distillation:
    """A run's ``folder``, and what it reads: the teacher's ``cache``, its tokenised ``sentences``, ``dev`` splits."""

    config: DistillConfig
    folder: Run
    cache: TeacherCache
    tokenizer: Tokenizer
    sentences: PackedTokens
    dev: SimilarityDev

    @staticmethod
    def open(config: DistillConfig, world: Processes) -> Distillation:
        """Read everything that ``config`` names; ``StaleError`` where its folder holds another run."""
        folder = Run(config.out, config, inputs(config), world.first)
        cache = TeacherCache.complete(config.teacher_cache)
        tokenizer = Tokenizer(config.teacher_cache / "tokenizer.json", config.max_tokens)
        sentences = tokenize(tokenizer, cache.sentences[: cache.done])
        return Distillation(config, folder, cache, tokenizer, sentences, SimilarityDev(config.data, tokenizer))

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
        train(self.folder, student, optimisers, schedule, losses, evaluate, world)


def distill(config: DistillConfig, world: Processes) -> Student:
    """Run or go on with the distillation that ``config`` describes; returns the trained student."""
    torch.manual_seed(config.seed)
    distillation = Distillation.open(config, world)
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


def main(config: DistillConfig) -> None:
    """The same in as many processes as there are."""
    with processes(config.device) as world:
        distill(config, world)
