"""Fine-tuning: entailment, similarity and paraphrase together, on gold labels and the pair teacher's judgements.

    python -m training.finetune --data DIR [--student runs/distill] [--out runs/student]

One encoder serves all heads, so every step takes a batch of pairs and a batch of sentences with the sentence teacher's
targets; without the second, the pair losses pull the sentence space apart. Where a pair has both a gold label and the
teacher's judgement, the two losses are mixed (Hinton et al., "Distilling the Knowledge in a Neural Network", 2015).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
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
from training.data.labelled import GOLD_FOLDERS, LabelledPairs, read_labelled, read_split
from training.data.recipe import Recipe, command_line
from training.data.sources import sources_below
from training.errors import one_line_errors
from training.loop.device import DEVICE, Device
from training.loop.losses import binary_losses, correlation_loss, distill_loss, entailment_losses, mixed, soft_losses
from training.loop.parallel import one_process
from training.loop.run import Optimisers, Rows, Run, Schedule, shuffled_batches, train
from training.options import AtLeastTwo, Natural, Share, Temperature, parse_options
from training.pairs.calibrate import calibrate
from training.pairs.pairset import PairBatch, PairSet, outputs
from training.student.documents import DocumentTokens, make_documents
from training.student.model import PairOutputs, Student, StudentConfig, load_student, save_student
from training.student.packing import PackedBatch, batch, drop_tokens, join, placed, tokenize
from training.teachers.cache import PairCache, TeacherCache


@dataclass(frozen=True)
class FinetuneConfig:
    """One run of fine-tuning."""

    data: Path = field(metadata={"help": "data folder with nli/, similarity/ and paraphrase/"})
    student: Path = field(default=Path("runs/distill"), metadata={"help": "folder of the distilled student"})
    teacher_cache: Path = field(default=Path("runs/teacher"), metadata={"help": "folder made by training.teacher"})
    pair_labels: Path = field(default=Path("runs/pair_labels"), metadata={"help": "made by training.pair_labels"})
    gold_only: bool = field(default=False, metadata={"help": "leave out the pair teacher and its pairs"})
    out: Path = field(default=Path("runs/student"), metadata={"help": "run folder"})
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


def finetune(config: FinetuneConfig) -> Student:
    """Run or go on with the fine-tuning that ``config`` describes; returns the trained student."""
    world = one_process(config.device)
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
    run = Run(config.out, config)
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


if __name__ == "__main__":
    with one_line_errors():
        finetune(parse_options(FinetuneConfig))
