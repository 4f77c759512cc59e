"""The similarity head anew, over a student's own tables, so that its cosine sees more of the order of words.

    python -m training.similarity_head --data DIR [--base runs/student] [--out runs/similarity_head]

Only the projection is trained; the tables stay as they are. Three losses hold each other: of minimal pairs the
rephrased sentence is to be nearer than the exchanged one by a margin (a triplet loss on cosines; Schroff et al.,
"FaceNet", CVPR 2015), pairs with gold scores are to correlate with them, and captions and running text keep their
embeddings. Sentences are encoded once, and rounded as the served head rounds them, so that a step takes milliseconds.

Letters: B sentences, T triples, P pairs, D state size, m similarity width.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from cmow.service.text.tokenizer import Tokenizer
from training.bundle.base import Base, load_base, load_base_projection
from training.bundle.projection import Projection, RoundedStates, save_projection
from training.data.files import DataError, plain_sentences
from training.data.labelled import read_split
from training.data.recipe import Recipe, command_line
from training.data.sentences import task_sentences
from training.data.sources import sources_below
from training.errors import one_line_errors
from training.loop.device import DEVICE, Device
from training.loop.losses import correlation_loss, distill_loss
from training.loop.parallel import one_process
from training.loop.run import Run, Schedule, train
from training.minimal_pairs.generate import HELD_OUT_NAMES, dev_items, triples
from training.minimal_pairs.relations import Triple
from training.minimal_pairs.words import Lexicon
from training.options import AtLeastTwo, Natural, parse_options
from training.student.heads import SimilarityHead


@dataclass(frozen=True)
class SimilarityHeadConfig:
    """One run."""

    data: Path = field(metadata={"help": "data folder (see training/data/files.py)"})
    base: Path = field(default=Path("runs/student"), metadata={"help": "student's run or bundle, whose head is read"})
    out: Path = field(default=Path("runs/similarity_head"), metadata={"help": "run folder"})
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
    threads: Natural = field(default=0, metadata={"help": "threads of PyTorch; 0 for its own choice"})
    device: Device = field(default="auto", metadata=DEVICE)


class Texts:
    """Texts, each with one number however often it comes."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def numbers(self, rows: Iterable[tuple[str, ...]]) -> Tensor:
        """The numbers int64 [R, K] of R rows of K texts."""
        return torch.tensor([[self._numbers.setdefault(text, len(self._numbers)) for text in row] for row in rows])

    @torch.no_grad()
    def encoded(
        self, base: Base, projection: Projection, max_tokens: int, device: torch.device, block: int = 4096
    ) -> RoundedStates:
        """What the head of ``base`` takes of all texts, in the order of their numbers."""
        tokenizer, encoder = Tokenizer(base.tokenizer, max_tokens), base.encoder.to(device)
        texts, parts = list(self._numbers), []
        starts = range(0, len(texts), block)
        for start in tqdm(starts, "encoding", unit=" blocks", disable=len(starts) < 2):
            packed = tokenizer.encode(texts[start : start + block])
            ids, offsets = torch.from_numpy(packed.token_ids), torch.from_numpy(packed.cu_seqlens)
            states = encoder(ids.to(device), offsets.to(device)).cpu()
            parts.append(RoundedStates.of(projection.standardise(states)))
        return RoundedStates.joined(parts)


@dataclass(frozen=True)
class Scored:
    """Numbers of the texts of ``pairs`` int64 [P, 2] with gold ``scores`` float32 [P]."""

    pairs: Tensor
    scores: Tensor

    @staticmethod
    def below(data: Path, split: str, texts: Texts) -> dict[str, Scored]:
        """Every ``split`` of scored pairs below ``data``, by name; ``DataError`` where there is none."""
        found = read_split(data, split, "similarity")
        if not found:
            raise DataError(f"{data / 'similarity'}: expected scored pairs in files named {split}*, found none")
        return {
            name: Scored(texts.numbers(pairs.texts), torch.from_numpy(pairs.similarity).float())
            for name, pairs in found.items()
        }


@dataclass(frozen=True)
class StepRows:
    """What one step takes: rows of the triples, of the sentences, and of each set of scored pairs."""

    triples: NDArray[np.int64]
    sentences: NDArray[np.int64]
    scored: list[NDArray[np.int64]]

    def __len__(self) -> int:
        return len(self.triples) + len(self.sentences) + sum(map(len, self.scored))


@dataclass(frozen=True)
class Material:
    """What is trained on: ``states`` of all texts, and numbers of ``triples`` [T, 3], ``sentences`` [B], ``scored``."""

    states: RoundedStates
    triples: Tensor
    sentences: Tensor
    scored: list[Scored]
    device: torch.device

    @staticmethod
    def of(config: SimilarityHeadConfig, base: Base, projection: Projection, device: torch.device) -> Material:
        """Everything that ``config`` names, encoded by ``base``."""
        texts, lexicon = Texts(), Lexicon.harvest(config.data, "train")
        made = texts.numbers(
            as_row(triple)
            for triple in tqdm(triples(lexicon, config.seed, config.triples), "minimal pairs", total=config.triples)
        )
        running = texts.numbers((text,) for text in some_sentences(config)).flatten()
        scored = list(Scored.below(config.data, "train", texts).values())
        return Material(texts.encoded(base, projection, config.max_tokens, device), made, running, scored, device)

    def batches(self, config: SimilarityHeadConfig) -> Iterator[StepRows]:
        """Rows of every step, at random, without end."""
        chance = np.random.default_rng(config.seed)
        while True:
            yield StepRows(
                chance.integers(len(self.triples), size=config.batch),
                chance.integers(len(self.sentences), size=config.distill_batch),
                [chance.integers(len(scored.pairs), size=config.scored_batch) for scored in self.scored],
            )

    def losses(
        self, head: SimilarityHead, before: SimilarityHead, rows: StepRows, config: SimilarityHeadConfig
    ) -> dict[str, Tensor]:
        """Weighted losses [scalars] of ``head``, which was ``before``, and their sum."""

        def states(numbers: Tensor) -> Tensor:
            return self.states.take(numbers).to(self.device)

        anchors, rephrased, exchanged = (head(states(numbers)) for numbers in self.triples[rows.triples].T)
        gap = (anchors * (rephrased - exchanged)).sum(dim=1)
        correlations = []
        for scored, picked in zip(self.scored, rows.scored, strict=True):
            left, right = (head(states(numbers)) for numbers in scored.pairs[picked].T)
            correlations.append(correlation_loss((left * right).sum(dim=1), scored.scores[picked].to(self.device)))
        kept = states(self.sentences[rows.sentences])
        distilled, _, _ = distill_loss(head(kept), before(kept).detach(), config.pair_weight)
        parts = {
            "order_loss": config.order_weight * F.relu(config.margin - gap).mean(),
            "gold_loss": config.gold_weight * torch.stack(correlations).mean(),
            "distill_loss": config.distill_weight * distilled,
        }
        return {"loss": torch.stack(list(parts.values())).sum(), **parts}


def as_row(triple: Triple) -> tuple[str, str, str]:
    """Anchor, rephrased and exchanged sentence."""
    return triple.anchor, triple.rephrased, triple.exchanged


def some_sentences(config: SimilarityHeadConfig) -> list[str]:
    """Half of ``config.sentences`` from tasks and captions, at random, and half from running text, where there are."""
    of_tasks, half = sorted(set(task_sentences(config.data))), (config.sentences + 1) // 2
    found = random.Random(config.seed).sample(of_tasks, min(half, len(of_tasks)))
    found += islice(plain_sentences(config.data), config.sentences - half)
    if not found:
        raise DataError(f"{config.data}: expected sentences whose embeddings are kept, found none")
    return found


class Dev:
    """Scored dev splits, and minimal pairs of frames and words that training has not seen."""

    def __init__(self, config: SimilarityHeadConfig, base: Base, projection: Projection, device: torch.device) -> None:
        texts, lexicon = Texts(), Lexicon.harvest(config.data, "dev")
        self._scored = Scored.below(config.data, "dev", texts)
        items = dev_items(lexicon, config.dev_seed, config.dev_items)
        made = {kind: [as_row(triple) for item in found for triple in item.triples()] for kind, found in items.items()}
        self._triples = {kind: texts.numbers(rows) for kind, rows in made.items() if rows}
        self._states, self._device = texts.encoded(base, projection, config.max_tokens, device), device

    @torch.no_grad()
    def score(self, head: SimilarityHead) -> dict[str, float]:
        """In percent: Spearman's rho of cosines, share of triples in order by kind and its means; means of cosines."""
        blocks = torch.arange(len(self._states)).split(8192)
        vectors = torch.cat([head(self._states.take(rows).to(self._device)).cpu() for rows in blocks])
        result: dict[str, float] = {}
        for name, scored in self._scored.items():
            left, right = vectors[scored.pairs.T]
            result[f"{name}_spearman"] = 100 * float(spearmanr((left * right).sum(dim=1), scored.scores).statistic)
        cosines = {kind: _cosines(vectors, rows) for kind, rows in self._triples.items()}
        shares = {kind: 100 * float((same > other).float().mean()) for kind, (same, other) in cosines.items()}
        held_out = shares.keys() & set(HELD_OUT_NAMES)
        for name, kinds in (("order", shares.keys() - held_out), ("order held out", held_out)):
            result[name] = float(np.mean([shares[kind] for kind in sorted(kinds)]))
        for name, place in (("cosine rephrased", 0), ("cosine exchanged", 1)):
            result[name] = float(np.mean([pair[place].mean() for pair in cosines.values()]))
        result |= {f"order {kind}": share for kind, share in shares.items()}
        return {name: round(value, 3) for name, value in result.items()}


def _cosines(vectors: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines [T] of the anchors of ``rows`` [T, 3] with the rephrased and with the exchanged sentences."""
    anchors, rephrased, exchanged = vectors[rows.T]
    return (anchors * rephrased).sum(dim=1), (anchors * exchanged).sum(dim=1)


class Optimiser:
    """Adam."""

    def __init__(self, head: SimilarityHead, lr: float) -> None:
        self._adam, self._peak = torch.optim.Adam(head.parameters(), lr=lr), lr

    def step(self, scale: float) -> None:
        """One update with the learning rate at ``scale`` times its peak; clears the gradients."""
        for group in self._adam.param_groups:
            group["lr"] = self._peak * scale
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        """Adam's state."""
        return self._adam.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Inverse of ``state_dict``."""
        self._adam.load_state_dict(state_dict)


def run(config: SimilarityHeadConfig) -> Projection:
    """Run or go on with the training that ``config`` describes; returns the trained projection."""
    if config.threads:
        torch.set_num_threads(config.threads)
    world, base = one_process(config.device), load_base(config.base)
    begun = load_base_projection(config.base)
    material, dev = Material.of(config, base, begun, world.device), Dev(config, base, begun, world.device)
    head, before = begun.head().to(world.device), begun.head().to(world.device)
    folder = Run(config.out, config)
    folder.log(event="before", **dev.score(before))

    def evaluate() -> dict[str, float]:
        save(trained(head, begun), config, base.recipe)
        return dev.score(head)

    schedule = Schedule(material.batches(config), config.steps, config.checkpoint_steps)
    train(
        folder,
        head,
        Optimiser(head, config.lr),
        schedule,
        lambda step, rows: material.losses(head, before, rows, config),
        evaluate,
        world,
    )
    return trained(head, begun)


def trained(head: SimilarityHead, begun: Projection) -> Projection:
    """What ``head`` has become, on states standardised as they were."""
    weights = {name: values.detach().cpu().clone() for name, values in head.projection.state_dict().items()}
    return begun._replace(**weights)


def save(projection: Projection, config: SimilarityHeadConfig, before: Recipe) -> None:
    """Write the projection, and how it and what is below it came to be."""
    save_projection(projection, config.out)
    before.then(command_line("training.similarity_head", config), sources_below(config.data)).write(config.out)


if __name__ == "__main__":
    with one_line_errors():
        run(parse_options(SimilarityHeadConfig))
