"""The work of ``training.paper.pretrain``.

Galke et al. (arXiv 2109.08449), section 3.3: the student predicts hidden tokens from the prefix and suffix products at
their places; its loss is ``alpha`` times the cross-entropy against the teacher's prediction and the rest against the
token that was there. Several processes share each batch (training/loop/parallel.py) and come to the same result as one.
Afterwards, ``training.distill --start runs/pretrain`` or ``training.paper.glue --student runs/pretrain`` goes on from
it.
"""

from __future__ import annotations

import shutil
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from cmow.service.model.bundle import Source
from cmow.service.text.tokenizer import PackedTokens, Tokenizer
from training.data.files import DataError
from training.data.hub import dataset_source, is_data_folder, running_text
from training.data.inputs import made_files
from training.data.recipe import Recipe, command_line
from training.data.sources import SOURCES, teacher_source
from training.loop.losses import soft_losses
from training.loop.parallel import Processes, processes
from training.loop.run import Optimisers, Run, shuffled_epochs, train
from training.paper.masked_lm import LanguageModel, MaskedBatch, MaskedTeacher, Masking
from training.paper.pretrain import PretrainConfig
from training.student.model import Student, StudentConfig, load_student, save_student
from training.student.packing import tokenize
from training.student.vocabulary import check_vocabulary
from training.teachers.sentence import save_tokenizer


def start_student(config: PretrainConfig, teacher: MaskedTeacher) -> Student:
    """A fresh student with the teacher's vocabulary, or the one in ``config.student``, which must have the same."""
    if config.student is None:
        sizes = StudentConfig(len(teacher.tokenizer), config.matrix_dim, config.vector_dim)
        return Student(sizes)
    check_vocabulary(config.student / "tokenizer.json", teacher.tokenizer.get_vocab(), config.teacher)
    return load_student(config.student)


def read_texts(config: PretrainConfig) -> list[str]:
    """The text to learn from; ``DataError`` where there is too little for one step."""
    texts = [text for text in islice(running_text(config.data, config.subset), config.sentences or None) if text]
    if len(texts) < config.batch:
        raise DataError(f"{config.data}: expected at least {config.batch} texts (one batch), found {len(texts)}")
    return texts


def inputs(config: PretrainConfig) -> list[Path]:
    """The files that a run reads; what is on the hub has none here."""
    text = (config.data / "text").glob("*.txt.gz") if is_data_folder(config.data) else made_files(config.data)
    return [*text, *made_files(config.teacher), *made_files(config.student)]


def pretrain(config: PretrainConfig, world: Processes) -> Student:
    """Run or go on with the distillation that ``config`` describes; returns the trained student."""
    run = Run(config.out, config, inputs(config), world.first)
    torch.manual_seed(config.seed)
    teacher = MaskedTeacher(config.teacher, config.max_tokens, world.device)
    student = start_student(config, teacher)
    sentences = read_sentences(config, teacher, world)
    masking = Masking(config.mask_share, teacher.tokenizer.mask_token_id, len(teacher.tokenizer))
    model = LanguageModel(student.encoder).to(world.device)

    def losses(step: int, rows: NDArray[np.int64]) -> dict[str, Tensor]:
        hidden = int(masking.counts(sentences.lengths[rows]).sum())  # in all processes
        masked = masking.apply(sentences, world.share(rows), (config.seed, step)).to(world.device)
        hard, soft = token_losses(model, teacher, masked, config) / max(1, hidden)
        return {"loss": config.alpha * soft + (1 - config.alpha) * hard, "hard_loss": hard, "soft_loss": soft}

    def evaluate() -> dict[str, float]:
        save_student(student, config.out)
        write_recipe(config)
        return {}

    optimisers = Optimisers(model, config.matrix_lr, config.vector_lr, config.head_lr)
    schedule = shuffled_epochs(len(sentences), config.batch, config.epochs, config.seed, config.checkpoint_steps)
    train(run, model, optimisers, schedule, losses, evaluate, world)
    return student


def token_losses(model: LanguageModel, teacher: MaskedTeacher, masked: MaskedBatch, config: PretrainConfig) -> Tensor:
    """Sums [2] over the hidden tokens of the losses against the token that was there and against the teacher."""
    logits = model(masked)
    hard = F.cross_entropy(logits, masked.targets, reduction="sum")
    soft = soft_losses(logits, teacher.logits(masked, config.teacher_tokens), config.temperature).sum()
    return torch.stack([hard, soft])


def read_sentences(config: PretrainConfig, teacher: MaskedTeacher, world: Processes) -> PackedTokens:
    """The text as the student's tokens; the first process leaves the tokeniser in the run's folder."""
    texts = read_texts(config)
    if world.first:
        if config.student is None:
            save_tokenizer(teacher.tokenizer, config.out / "tokenizer.json")
        else:
            shutil.copy(config.student / "tokenizer.json", config.out)
    world.wait()
    return tokenize(Tokenizer(config.out / "tokenizer.json", config.max_tokens), texts)


def write_recipe(config: PretrainConfig) -> None:
    """Record how the student came to be."""
    before = Recipe() if config.student is None else Recipe.read(config.student)
    sources = [*text_sources(config.data), teacher_source(config.teacher)]
    before.then(command_line("training.paper.pretrain", config), sources).write(config.out)


def text_sources(data: Path) -> list[Source]:
    """Where the running text comes from."""
    if not is_data_folder(data):
        return [dataset_source(data)]
    return [source for place, source in SOURCES.items() if place.endswith(".txt.gz") and (data / place).is_file()]


def main(config: PretrainConfig) -> None:
    """The same in as many processes as there are."""
    with processes(config.device) as world:
        pretrain(config, world)
