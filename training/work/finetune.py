"""The work of ``training.finetune``.

One encoder serves all heads, so every step takes a batch of pairs and a batch of sentences with the sentence teacher's
targets; without the second, the pair losses pull the sentence space apart. Where a pair has both a gold label and the
teacher's judgement, the two losses are mixed (Hinton et al., "Distilling the Knowledge in a Neural Network", 2015).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, count, repeat
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score
from torch import Tensor

from cmow.service.text.tokenizer import PackedTokens, Tokenizer
from training.data.files import DataError, split_files
from training.data.inputs import PAIRS, labelled_files, made_files
from training.data.labelled import GOLD_FOLDERS, LabelledPairs, read_labelled, read_split
from training.data.recipe import Recipe, command_line
from training.data.sources import sources_below
from training.finetune import FinetuneConfig
from training.loop.losses import binary_losses, correlation_loss, distill_loss, entailment_losses, mixed, soft_losses
from training.loop.parallel import one_process
from training.loop.run import Optimisers, Rows, Run, Schedule, shuffled_batches, train
from training.pairs.fit import calibrate
from training.pairs.pairset import PairBatch, PairSet, outputs
from training.student.documents import make_documents
from training.student.model import PairOutputs, Student, StudentConfig, load_student, save_student
from training.student.packing import PackedBatch, batch, drop_tokens, join, placed, tokenize
from training.teachers.cache import PairCache, TeacherCache


class PairDev:
    """Scores of a student on the dev splits of pairs that have a training split beside them."""

    def __init__(self, data: Path, tokenizer: Tokenizer) -> None:
        self.nli, self.scored, self.paraphrase = (
            {name: PairSet.of(pairs, tokenizer) for name, pairs in read_split(data, "dev", task, trained=True).items()}
            for task in GOLD_FOLDERS
        )

    def score(self, student: Student) -> dict[str, float]:
        """Accuracy for NLI, Spearman's rho of the cosine, average precision of the paraphrase head."""
        result: dict[str, float] = {}
        for name, pairs in self.nli.items():
            predicted = two_way(outputs(student, pairs).entailment, pairs.accepted)
            result[f"{name}_accuracy"] = float(pairs.accepted[np.arange(len(pairs)), predicted].mean())
        for name, pairs in self.scored.items():
            cosine = outputs(student, pairs).cosine.numpy()
            result[f"{name}_spearman"] = float(spearmanr(cosine, pairs.similarity).statistic)
        for name, pairs in self.paraphrase.items():
            logits = outputs(student, pairs).paraphrase.numpy()
            result[f"{name}_average_precision"] = float(average_precision_score(pairs.paraphrase > 0.5, logits))
        return {name: round(value, 4) for name, value in result.items()}


def two_way(logits: Tensor, accepted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Predicted class [P]; where the data are two-way, entailment against the sum of the other two."""
    probabilities: NDArray[np.float32] = logits.softmax(dim=1).numpy()
    if not (accepted.sum(axis=1) == 2).any():
        return np.asarray(probabilities.argmax(axis=1), np.int64)
    return np.where(probabilities[:, 0] > 0.5, 0, 1).astype(np.int64)


def pair_losses(found: PairOutputs, known: PairBatch, config: FinetuneConfig) -> tuple[Tensor, Tensor, Tensor]:
    """Losses [scalars] of entailment, similarity and paraphrase."""
    judged = ~known.judged[:, 0].isnan()
    entailment = mixed(
        entailment_losses(found.entailment, known.accepted),
        soft_losses(found.entailment, known.judged[:, :3], config.temperature),
        known.accepted.any(dim=1),
        judged,
        config.hard_weight,
    )
    similarity = torch.where(known.similarity.isnan(), known.judged[:, 3].sigmoid(), known.similarity)
    paraphrase = mixed(
        binary_losses(found.paraphrase, known.paraphrase),
        binary_losses(found.paraphrase, known.judged[:, 4].sigmoid()),
        ~known.paraphrase.isnan(),
        judged,
        config.hard_weight,
    )
    # Once among all, once among those with a gold score, whose scale is finer than the difference between tasks.
    correlation = correlation_loss(found.cosine, similarity) + correlation_loss(found.cosine, known.similarity)
    return entailment, correlation, paraphrase


def joint_losses(
    student: Student, known: PairBatch, sentences: PackedBatch, teacher: Tensor, config: FinetuneConfig
) -> dict[str, Tensor]:
    """Weighted losses of labelled pairs, and of ``sentences`` with ``teacher`` targets [B, m]."""
    device = student.device
    shortened = drop_tokens(known.token_ids, known.cu_seqlens, config.token_dropout)  # the same for every device
    encoded = student.encoder(*placed(join(shortened, sentences), device))  # one pass over the tables for all losses
    shortened, known, teacher = placed(shortened, device), known.to(device), teacher.to(device)
    of_pairs, of_sentences = encoded.split([2 * len(known.accepted), len(teacher)])
    found = student.judge(of_pairs, *shortened, known.pairs)
    entailment, similarity, paraphrase = pair_losses(found, known, config)
    distilled, _, _ = distill_loss(student.similarity_head(of_sentences), teacher, config.pair_weight)
    return {
        "entailment_loss": entailment,
        "similarity_loss": config.similarity_weight * similarity,
        "paraphrase_loss": config.paraphrase_weight * paraphrase,
        "distill_loss": config.distill_weight * distilled,
    }


def read_training_pairs(config: FinetuneConfig, tokenizer: Tokenizer) -> PairSet:
    """Gold pairs alone, or those of the pair teacher's cache; pairs with a gold score count ``gold_repeats`` times."""
    if config.gold_only:
        parts = [pairs for task in GOLD_FOLDERS for pairs in read_split(config.data, "train", task).values()]
        pairs = PairSet.of(LabelledPairs.joined(parts), tokenizer)
    else:
        pairs = PairSet.judged_by_teacher(PairCache.open(config.pair_labels), tokenizer)
    pairs = pairs.merged()
    times = np.where(np.isnan(pairs.similarity), 1, config.gold_repeats)
    return pairs.take(np.repeat(np.arange(len(pairs)), times))


def read_gold_sets(config: FinetuneConfig, tokenizer: Tokenizer) -> PairSet:
    """The training pairs of ``config.gold_sets``, which are read even where no step takes any."""
    parts = []
    for folder in config.gold_sets.split(","):
        paths = split_files(config.data, "train", (folder,))
        if config.gold_batch and not paths:
            raise DataError(f"{config.data / folder}: expected a training split for gold_sets, found none")
        parts += [read_labelled(path, "entailment") for path in paths]
    return PairSet.of(LabelledPairs.joined([LabelledPairs.of([]), *parts]), tokenizer)


def start_student(config: FinetuneConfig) -> Student:
    """The student with fresh heads for pairs, of the sizes that ``config`` asks for, unless its own are kept."""
    distilled = load_student(config.student)
    if config.keep_heads:
        return distilled
    sizes: StudentConfig = replace(
        distilled.config,
        hidden_dim=config.hidden_dim,
        compare_dim=config.compare_dim,
        standardise=config.standardise,
        product=config.product,
    )
    student = Student(sizes)
    student.encoder.load_state_dict(distilled.encoder.state_dict())
    student.similarity_head.load_state_dict(distilled.similarity_head.state_dict())
    return student


def inputs(config: FinetuneConfig) -> list[Path]:
    """What a run reads."""
    judged = None if config.gold_only else config.pair_labels
    folders = (config.student, config.teacher_cache, judged)
    return [*labelled_files(config.data, *PAIRS), *(path for folder in folders for path in made_files(folder))]


def finetune(config: FinetuneConfig) -> Student:
    """Run or go on with the fine-tuning that ``config`` describes; returns the trained student."""
    world, run = one_process(config.device), Run(config.out, config, inputs(config))
    torch.manual_seed(config.seed)
    student, cache = start_student(config).to(world.device), TeacherCache.complete(config.teacher_cache)
    tokenizer = Tokenizer(config.student / "tokenizer.json", config.max_tokens)
    pairs, gold = read_training_pairs(config, tokenizer), read_gold_sets(config, tokenizer)
    dev = PairDev(config.data, tokenizer)
    sentences = tokenize(tokenizer, cache.sentences[: cache.done])

    def losses(step: int, rows: StepRows) -> dict[str, Tensor]:
        known = PairBatch.joined(pairs.batch(rows.pairs), gold.batch(rows.gold))
        parts = joint_losses(student, known, *with_targets(sentences, cache, rows.sentences, step, config), config)
        return {"loss": torch.stack(list(parts.values())).sum(), **parts}

    def evaluate() -> dict[str, float]:
        found = dev.score(student.eval())
        save(student.train(), config)
        return found

    optimisers = Optimisers(student, config.matrix_lr, config.vector_lr, config.head_lr)
    steps = config.epochs * (len(pairs) // config.batch)
    batches = training_batches(pairs, len(gold), len(sentences), config)
    schedule = Schedule(batches, min(steps, config.max_steps or steps), config.checkpoint_steps)
    train(run, student.train(), optimisers, schedule, losses, evaluate, world)
    run.log(event="done", **calibrate(student.eval(), config.data, tokenizer))
    save(student, config)
    return student


def with_targets(
    sentences: PackedTokens, cache: TeacherCache, rows: NDArray[np.int64], step: int, config: FinetuneConfig
) -> tuple[PackedBatch, Tensor]:
    """The sentences ``rows`` of the cache and ``config.documents`` documents, with their targets [B, m]."""
    packed, targets = batch(sentences, rows), torch.from_numpy(cache.targets[rows].astype(np.float32))
    if config.documents == 0:
        return packed, targets
    random = np.random.default_rng([config.seed, step])
    documents, document_targets = make_documents(
        sentences, cache.targets, config.documents, config.document_tokens, random
    )
    return join(packed, documents), torch.cat([targets, document_targets])


def save(student: Student, config: FinetuneConfig) -> None:
    """Write the student, its tokeniser and how it came to be."""
    save_student(student, config.out)
    shutil.copy(config.student / "tokenizer.json", config.out)
    before = Recipe.read(config.student)
    if not config.gold_only:
        before = Recipe.read(config.pair_labels).after(before)
    before.then(command_line("training.finetune", config), sources_below(config.data)).write(config.out)


@dataclass(frozen=True)
class StepRows:
    """Which rows one step takes of the pairs, of the gold pairs and of the sentences."""

    pairs: Rows
    gold: Rows
    sentences: Rows

    def __len__(self) -> int:
        return len(self.pairs) + len(self.gold) + len(self.sentences)


def training_batches(pairs: PairSet, gold: int, sentences: int, config: FinetuneConfig) -> Iterator[StepRows]:
    """The rows of ``pairs``, of ``gold`` pairs and of ``sentences`` of every step of the whole run."""
    epochs = (pairs.batches(config.batch, config.seed, epoch) for epoch in range(config.epochs))
    scored_pairs = np.flatnonzero(~np.isnan(pairs.similarity))
    # Each stream has a seed of its own: rows that two of them share must not come in the same order.
    pair_batches = chain.from_iterable(epochs)
    scored_batches = endless_batches(len(scored_pairs), config.scored_batch, config.seed + 1)
    gold_batches = endless_batches(gold, config.gold_batch, config.seed + 2)
    sentence_batches = endless_batches(sentences, config.distill_batch, config.seed)
    streams = zip(pair_batches, scored_batches, gold_batches, sentence_batches, strict=False)
    for pair_rows, scored_rows, gold_rows, sentence_rows in streams:
        yield StepRows(np.concatenate([pair_rows, scored_pairs[scored_rows]]), gold_rows, sentence_rows)


def endless_batches(rows: int, batch: int, seed: int) -> Iterator[Rows]:
    """Shuffled batches, epoch after epoch; empty ones for ``batch`` 0."""
    if batch == 0:
        return repeat(np.zeros(0, np.int64))
    if batch > rows:
        raise DataError(f"expected at least {batch} rows for a batch, found {rows}")
    return chain.from_iterable(shuffled_batches(rows, batch, seed, epoch) for epoch in count())
