"""The pair encoder and its heads, on the pair teacher's judgements and on minimal pairs, over a student's own tables.

    python -m training.pair_heads --data DIR [--base runs/student] [--pair_labels runs/pair_labels] [--start RUN]

The encoder's tables stay as they are in ``--base``, a student's run or a bundle, so that a step moves only the pair
encoder (its table of first token features included) and the heads; sentences are encoded once, before the first step.
Where construction labels a minimal pair, the teacher is not asked. ``--minutes`` ends the run, annealed, after about
that time: its steps follow from the time that the first ones take. A killed run goes on from its last checkpoint, and
``--start`` from the weights of another run, which for that may end without a ``--cooldown``, or of a bundle.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from torch import Tensor, nn
from tqdm import tqdm

from cmow.service.text.tokenizer import Tokenizer
from training.bundle.base import load_base
from training.bundle.pairs import load_pairs
from training.data.labelled import GOLD_FOLDERS, LabelledPairs, read_split
from training.data.recipe import Recipe, command_line
from training.data.sources import sources_below
from training.errors import one_line_errors
from training.evaluation.metrics import correlations
from training.loop.device import DEVICE, Device, mixed_precision
from training.loop.losses import binary_losses, entailment_losses, mixed, soft_losses
from training.loop.optim import RowAdam
from training.loop.parallel import one_process
from training.loop.run import Run, Schedule, train
from training.minimal_pairs.generate import dev_items
from training.minimal_pairs.generate import pairs as minimal_pairs
from training.minimal_pairs.labels import labelled
from training.minimal_pairs.words import Lexicon
from training.options import Natural, Share, parse_options
from training.pairs.encoded import Encoded, encoded
from training.pairs.pairset import PairBatch, PairSet
from training.student.heads import Standardise
from training.student.model import CheckpointError, HybridEncoder
from training.student.pair_model import PairConfig, PairModel, save_pair_model
from training.student.widen import widen
from training.teachers.cache import PairCache


@dataclass(frozen=True)
class PairHeadsConfig:
    """One run."""

    data: Path = field(metadata={"help": "data folder (see training/data/files.py)"})
    base: Path = field(default=Path("runs/student"), metadata={"help": "student's run or bundle whose tables are read"})
    pair_labels: Path = field(default=Path("runs/pair_labels"), metadata={"help": "made by training.pair_labels"})
    out: Path = field(default=Path("runs/pair_heads"), metadata={"help": "run folder"})
    start: Path | None = field(default=None, metadata={"help": "run or bundle, no wider, to go on from"})
    width: int = field(default=128, metadata={"help": "width of the pair encoder"})
    blocks: int = field(default=2, metadata={"help": "blocks of the pair encoder"})
    places: int = field(default=64, metadata={"help": "places of a token that are told apart"})
    hidden_dim: int = field(default=320, metadata={"help": "hidden units of the entailment head"})
    constructed: Natural = field(default=600_000, metadata={"help": "minimal pairs among the judged ones"})
    judged: Natural = field(default=0, metadata={"help": "judged pairs at most, at random; 0 for all"})
    epochs: int = field(default=3, metadata={"help": "passes over the pairs"})
    minutes: float = field(default=0.0, metadata={"help": "end after about so many minutes instead; 0 for all epochs"})
    max_steps: Natural = field(default=0, metadata={"help": "end after so many steps; 0 for all epochs"})
    batch: int = field(default=256, metadata={"help": "pairs a step"})
    hard_weight: Share = field(default=0.5, metadata={"help": "of the gold label against the teacher's judgement"})
    lr: float = field(default=1e-3, metadata={"help": "peak learning rate"})
    cooldown: Share = field(default=0.3, metadata={"help": "share of the steps, at the end, in which it falls to zero"})
    dropout: Share = field(default=0.1, metadata={"help": "of the heads' hidden units"})
    checkpoint_steps: int = field(default=1000, metadata={"help": "steps between two checkpoints"})
    dev_rows: int = field(default=2000, metadata={"help": "rows of a dev split scored at a checkpoint, at most"})
    max_tokens: int = field(default=64, metadata={"help": "longer sentences are cut"})
    seed: int = field(default=0, metadata={"help": "seed of weights, minimal pairs and batches"})
    threads: Natural = field(default=0, metadata={"help": "threads of PyTorch; 0 for its own choice"})
    device: Device = field(default="auto", metadata=DEVICE)


class Optimiser:
    """Adam; lazy for the table of tokens, of which a batch reads few rows."""

    def __init__(self, model: PairModel, lr: float) -> None:
        dense = [weight for name, weight in model.named_parameters() if name != "encoder.tokens"]
        self._parts = RowAdam([model.encoder.tokens], lr=lr), torch.optim.Adam(dense, lr=lr)
        self._dense, self._peak = dense, lr

    def step(self, scale: float) -> None:
        """One update with the learning rate at ``scale`` times its peak; clears the gradients."""
        nn.utils.clip_grad_norm_(self._dense, 5.0)
        for part in self._parts:
            for group in part.param_groups:
                group["lr"] = self._peak * scale
            part.step()
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        """State of both parts."""
        return {name: part.state_dict() for name, part in zip(("tokens", "dense"), self._parts, strict=True)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of ``state_dict``."""
        for name, part in zip(("tokens", "dense"), self._parts, strict=True):
            part.load_state_dict(state[name])


def first_features(vectors: Tensor, width: int) -> Tensor:
    """Features [V, w] to begin with: the first principal components of the vectors [V, e], each of unit variance."""
    centred = vectors - vectors.mean(dim=0)
    _, _, components = torch.linalg.svd(centred.T @ centred)
    projected: Tensor = centred @ components[:width].T
    return projected / projected.std(dim=0).clamp_min(1e-6)


def training_pairs(config: PairHeadsConfig, tokenizer: Tokenizer) -> PairSet:
    """Judged pairs, and minimal pairs of training's frames and words."""
    judged = PairSet.judged_by_teacher(PairCache.open(config.pair_labels), tokenizer).merged()
    if config.judged:
        judged = judged.take(np.random.default_rng(config.seed).permutation(len(judged))[: config.judged])
    if not config.constructed:
        return judged
    lexicon = Lexicon.harvest(config.data, "train")
    return judged.with_more(PairSet.of(labelled(minimal_pairs(lexicon, config.seed, config.constructed)), tokenizer))


def losses(found: tuple[Tensor, Tensor, Tensor], known: PairBatch, hard_weight: float) -> dict[str, Tensor]:
    """Losses [scalars] of entailment, paraphrase and relatedness, and their sum."""
    logits, paraphrase, related = found
    judged = ~known.judged[:, 0].isnan()
    parts = {
        "entailment_loss": mixed(
            entailment_losses(logits, known.accepted),
            soft_losses(logits, known.judged[:, :3], 1.0),
            known.accepted.any(dim=1),
            judged,
            hard_weight,
        ),
        "paraphrase_loss": mixed(
            binary_losses(paraphrase, known.paraphrase),
            binary_losses(paraphrase, known.judged[:, 4].sigmoid()),
            ~known.paraphrase.isnan(),
            judged,
            hard_weight,
        ),
        "related_loss": mixed(
            binary_losses(related, known.similarity),
            binary_losses(related, known.judged[:, 3].sigmoid()),
            ~known.similarity.isnan(),
            judged,
            hard_weight,
        ),
    }
    return {"loss": torch.stack(list(parts.values())).sum(), **parts}


def judge(model: PairModel, known: PairBatch, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What ``model`` says of the pairs of ``known``, whose sentences have ``states`` [2 P, D]."""
    logits: tuple[Tensor, Tensor, Tensor] = model(states, known.token_ids, known.cu_seqlens, known.pairs)
    return logits


def pair_losses(model: PairModel, known: PairBatch, states: Tensor, hard_weight: float) -> dict[str, Tensor]:
    """``losses`` of the pairs of ``known``, whose sentences have ``states`` [2 P, D], in mixed precision."""
    with mixed_precision(states.device):
        logits, paraphrase, related = judge(model, known, states)
    return losses((logits.float(), paraphrase.float(), related.float()), known, hard_weight)


class Dev:
    """Dev splits, at most ``rows`` rows of each, and minimal pairs of frames and words that training has not seen."""

    def __init__(
        self, config: PairHeadsConfig, encoder: HybridEncoder, tokenizer: Tokenizer, device: torch.device
    ) -> None:
        def read(name: str, pairs: LabelledPairs) -> tuple[str, Encoded]:
            some = pairs.take(np.arange(min(len(pairs), config.dev_rows)))
            return name, encoded(PairSet.of(some, tokenizer), encoder, device)

        self._splits = {
            task: dict(read(name, pairs) for name, pairs in read_split(config.data, "dev", task).items())
            for task in GOLD_FOLDERS
        }
        items = dev_items(Lexicon.harvest(config.data, "dev"), config.seed, 25)
        made = ((name, labelled(pair for item in found for pair in item.pairs())) for name, found in items.items())
        self._constructed = dict(read(name, pairs) for name, pairs in made)
        self._device = device

    @torch.no_grad()
    def score(self, model: PairModel) -> dict[str, float]:
        """Accuracy of NLI, Spearman's rho, average precision; of minimal pairs the share told right by kind."""
        result: dict[str, float] = {}
        for name, split in self._splits["entailment"].items():
            logits, _, _ = self._outputs(model, split)
            result[f"{name}_accuracy"] = _told_right(logits, split.pairs.accepted)
        for name, split in self._splits["similarity"].items():
            related = self._outputs(model, split)[2].numpy()
            result[f"{name}_spearman"] = correlations(related, split.pairs.similarity)["spearman"]
        for name, split in self._splits["paraphrase"].items():
            scores = self._outputs(model, split)[1]
            result[f"{name}_average_precision"] = float(average_precision_score(split.pairs.paraphrase > 0.5, scores))
        result |= {f"minimal {name}": self._minimal(model, split) for name, split in self._constructed.items()}
        return {name: round(value, 4) for name, value in result.items()}

    def _minimal(self, model: PairModel, split: Encoded) -> float:
        """Of statements by entailment, two-way, each way weighing the same; of the others by paraphrase."""
        logits, paraphrase, _ = self._outputs(model, split)
        accepted = split.pairs.accepted
        says, known = logits.softmax(dim=1)[:, 0].numpy() > 0.5, accepted.any(axis=1)
        truth = np.where(known, accepted[:, 0], split.pairs.paraphrase > 0.5)
        says = np.where(known, says, paraphrase.numpy() > 0)
        return float(np.mean([np.mean(says[truth == each] == each) for each in (True, False) if (truth == each).any()]))

    def _outputs(self, model: PairModel, split: Encoded, block: int = 512) -> tuple[Tensor, Tensor, Tensor]:
        rows = range(0, len(split.pairs), block)
        parts = [
            judge(model, *split.batch(np.arange(start, min(start + block, len(split.pairs))), self._device))
            for start in rows
        ]
        logits, paraphrase, related = (torch.cat(values).cpu() for values in zip(*parts, strict=True))
        return logits, paraphrase, related


def _told_right(logits: Tensor, accepted: NDArray[np.bool_]) -> float:
    """Share of accepted labels; two-way, where all rows are, by entailment against the sum of the other two."""
    probabilities = logits.softmax(dim=1).numpy()
    predicted = probabilities.argmax(axis=1)
    if (accepted.sum(axis=1) == 2).any():
        predicted = np.where(probabilities[:, 0] > 0.5, 0, 1)
    return float(accepted[np.arange(len(accepted)), predicted].mean())


def run(config: PairHeadsConfig) -> PairModel:
    """Run or go on with the training that ``config`` describes; returns the trained model."""
    if config.threads:
        torch.set_num_threads(config.threads)
    world, base = one_process(config.device), load_base(config.base)
    torch.manual_seed(config.seed)
    tokenizer = Tokenizer(base.tokenizer, config.max_tokens)
    pairs = encoded(training_pairs(config, tokenizer), base.encoder, world.device)
    dev = Dev(config, base.encoder, tokenizer, world.device)
    model = new_model(config, base.encoder, pairs.embeddings)
    if config.start:
        go_on_from(model, config.start)
    model.to(world.device)
    optimiser = Optimiser(model, config.lr)

    def step_losses(step: int, rows: NDArray[np.int64]) -> dict[str, Tensor]:
        known, embeddings = pairs.batch(rows, world.device)
        return pair_losses(model, known, embeddings, config.hard_weight)

    def evaluate() -> dict[str, float]:
        found = dev.score(model.eval())
        save(model.train(), config)
        return found

    steps = config.epochs * (len(pairs.pairs) // config.batch)
    steps = min(steps, config.max_steps or steps)
    if config.minutes:
        steps = min(steps, _steps_in(config, pairs, model, world.device))
    epochs = (pairs.pairs.batches(config.batch, config.seed, epoch) for epoch in count())
    schedule = Schedule(chain.from_iterable(epochs), steps, config.checkpoint_steps, cooldown=config.cooldown)
    train(Run(config.out, config), model.train(), optimiser, schedule, step_losses, evaluate, world)
    return model


def new_model(config: PairHeadsConfig, encoder: HybridEncoder, states: Tensor) -> PairModel:
    """A model before its training: token features from the vectors of ``encoder``, and how ``states`` [B, D] vary."""
    vectors = encoder.vectors.detach().cpu()
    sizes = {name: getattr(config, name) for name in ("width", "blocks", "places", "hidden_dim", "dropout")}
    model = PairModel(PairConfig(len(vectors), states.shape[1], **sizes))
    model.encoder.tokens.data.copy_(first_features(vectors, config.width))
    model.standardise = _standards(states)
    return model


def _standards(states: Tensor, rows: int = 100_000) -> Standardise:
    """By mean and standard deviation of a sample of ``states`` [B, D]."""
    some = states[:: max(1, len(states) // rows)].float()
    return Standardise(some.mean(dim=0), 1 / some.std(dim=0).clamp_min(1e-6))


def _steps_in(config: PairHeadsConfig, pairs: Encoded, model: PairModel, device: torch.device, tries: int = 12) -> int:
    """How many steps ``config.minutes`` hold, from the time of some; the model stays as it is."""
    times = []
    for rows in islice(pairs.pairs.batches(config.batch, config.seed, 0), tries):
        started = time.perf_counter()
        known, embeddings = pairs.batch(rows, device)
        pair_losses(model, known, embeddings, config.hard_weight)["loss"].backward()
        times.append(time.perf_counter() - started)
    model.zero_grad(set_to_none=True)
    # The optimiser takes about a tenth of a step; the first steps allocate, and tell little.
    seconds = 1.1 * float(np.mean(times[2:] or times))
    steps = max(1, int(60 * config.minutes / seconds))
    tqdm.write(f"{seconds:.3f} s a step: {steps} steps in {config.minutes} minutes, dev scores not counted")
    return steps


def go_on_from(model: PairModel, folder: Path) -> None:
    """Give ``model`` the weights of the run or the bundle in ``folder``; heads of other sizes begin anew.

    One that is narrower than ``model`` is widened. Raises ``CheckpointError`` where there is none, or its pair encoder
    has other sizes.
    """
    found = load_pairs(folder)
    if found.config.width < model.config.width:
        found = _widened(found, model)
    try:
        model.encoder.load_state_dict(found.encoder.state_dict())
    except RuntimeError as error:
        message = " ".join(str(error).split())  # a line for each weight otherwise
        raise CheckpointError(f"{folder}: expected a pair encoder of the same sizes: {message}") from error
    model.standardise.load_state_dict(found.standardise.state_dict())
    if found.config.hidden_dim == model.config.hidden_dim:
        model.heads.load_state_dict(found.heads.state_dict())
    else:
        tqdm.write(f"{folder}: heads with {found.config.hidden_dim} hidden units: here they begin anew")


def _widened(narrow: PairModel, model: PairModel) -> PairModel:
    """``narrow`` as wide as ``model``, whose first features its new channels begin with."""
    wide = PairModel(replace(narrow.config, width=model.config.width))
    wide.encoder.tokens.data.copy_(model.encoder.tokens)
    widen(narrow, wide)
    return wide


def save(model: PairModel, config: PairHeadsConfig) -> None:
    """Write what was trained, and how."""
    save_pair_model(model, config.out)
    before = Recipe.read(config.pair_labels)
    if config.start:
        before = before.after(Recipe.read(config.start))
    before.then(command_line("training.pair_heads", config), sources_below(config.data)).write(config.out)


if __name__ == "__main__":
    with one_line_errors():
        run(parse_options(PairHeadsConfig))
