"""The pair teacher's judgements of gold and mined pairs, cached on disk.

    python -m training.pair_labels --data DIR [--teacher runs/pair_teacher] [--out runs/pair_labels]

writes the distinct ``sentences.txt``, ``pairs.npy`` (int32 [P, 2], rows of them), what the data say of each pair
(``entailment.npy``, ``similarity.npy``, ``paraphrase.npy``), the teacher's ``logits.npy`` (float16 [P, 5]) and
``state.json``. Gold and mined pairs are in random order, so that any part of a run is of use; a killed run goes on
where it stopped.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

import cmow
from cmow.service.model.bundle import read_manifest
from training.data.labelled import GOLD_FOLDERS, LabelledPairs, read_split
from training.data.recipe import Recipe, command_line
from training.data.sentences import distinct_sentences
from training.data.sources import sources_below
from training.errors import TeacherError, one_line_errors
from training.loop.device import DEVICE, Device
from training.loop.pace import Pace
from training.loop.parallel import one_process
from training.options import Natural, parse_options
from training.pairs.kinds import Counts
from training.pairs.mining import Mine
from training.pairs.neighbours import Neighbours
from training.teachers.blocks import blocks_of
from training.teachers.cache import PairCache, TeacherCache, read_state, write_state
from training.teachers.cross_encoder import PairTeacher
from training.teachers.pair_tokens import PairTokenizer, PairTokens

# Pairs sorted by length together. A GPU needs many, so that even rare lengths fill it.
CPU_BLOCK, GPU_BLOCK = 8192, 1 << 18


@dataclass(frozen=True)
class PairLabelsConfig(Counts):
    """Which pairs to judge, with which teacher."""

    data: Path = field(metadata={"help": "data folder (see training/data/files.py)"})
    teacher: Path = field(default=Path("runs/pair_teacher"), metadata={"help": "folder made by training.pair_teacher"})
    teacher_cache: Path = field(default=Path("runs/teacher"), metadata={"help": "sentence embeddings, for mining"})
    bundle: Path | None = field(
        default=None, metadata={"help": "mine by the embeddings of this bundle, and not by those of the teacher cache"}
    )
    out: Path = field(default=Path("runs/pair_labels"), metadata={"help": "cache folder"})
    mined: Natural = field(default=500_000, metadata={"help": "mined pairs at most, besides those of scored sentences"})
    judged: Natural = field(default=1_000_000, metadata={"help": "pairs judged at most; gold labels need no judgement"})
    batch_tokens: Natural = field(default=0, metadata={"help": "tokens in one forward pass; 0: what suits the device"})
    block: Natural = field(default=0, metadata={"help": "pairs between two checkpoints; 0: what suits the device"})
    seed: int = field(default=0, metadata={"help": "seed of the mining"})
    device: Device = field(default="auto", metadata=DEVICE)


def collect_pairs(config: PairLabelsConfig, device: torch.device) -> LabelledPairs:
    """Gold pairs of every task but MRPC and ``config.mined`` mined ones, mixed."""
    gold = [pairs for task in GOLD_FOLDERS for pairs in read_split(config.data, "train", task).values()]
    with searched(config, device) as neighbours:
        mined = Mine(config.data, neighbours, random.Random(config.seed), config).all(config.mined)
    pairs = LabelledPairs.joined([*gold, LabelledPairs.of(mined)])
    return pairs.take(np.random.default_rng(config.seed).permutation(len(pairs)))


@contextmanager
def searched(config: PairLabelsConfig, device: torch.device) -> Iterator[Neighbours]:
    """The sentences to mine among, with their neighbours as the teacher or a bundle sees them."""
    if config.bundle is None:
        yield Neighbours.of_cache(TeacherCache.complete(config.teacher_cache), device)
        return
    with cmow.load(config.bundle, "cpu") as model:
        yield Neighbours.of_model(model, distinct_sentences(config.data, config.plain, config.seed), device)


def mining_recipe(config: PairLabelsConfig) -> Recipe:
    """How what the pairs are mined by came to be."""
    if config.bundle is None:
        return Recipe.read(config.teacher_cache)
    training = read_manifest(config.bundle).training
    return Recipe(commands=training.recipe, sources=training.sources)


def open_for_writing(config: PairLabelsConfig, device: torch.device) -> PairCache:
    """The cache in ``config.out``, made if it is not there; ``TeacherError`` where it holds other pairs."""
    identity: dict[str, object] = {"teacher": str(config.teacher), "mined": config.mined, "seed": config.seed}
    identity |= config.unusual() | ({"bundle": str(config.bundle)} if config.bundle else {})
    state = config.out / "state.json"
    if not state.exists():
        return PairCache.create(config.out, collect_pairs(config, device), identity)
    if (found := read_state(config.out)["identity"]) != identity:
        raise TeacherError(f"{config.out}: made with {found}, asked for {identity}")
    return PairCache.open(config.out, "r+")


def label(config: PairLabelsConfig) -> None:
    """Judge the first ``config.judged`` pairs, where they are not judged yet."""
    device = one_process(config.device).device
    teacher, cache = PairTeacher.load(config.teacher, device), open_for_writing(config, device)
    state = read_state(config.out)
    before = Recipe.read(config.teacher).after(mining_recipe(config))
    before.then(command_line("training.pair_labels", config), sources_below(config.data)).write(config.out)
    end = min(config.judged, len(cache.pairs))
    tokens = tokenised(teacher.pair_tokenizer, cache, slice(cache.done, end))
    blocks = list(blocks_of(len(tokens), config.block or (CPU_BLOCK if device.type == "cpu" else GPU_BLOCK)))
    judged = teacher.judged(tokens, blocks, config.batch_tokens or teacher.batch_tokens())
    pace = Pace(len(tokens), "pairs")
    with tqdm(total=end, initial=cache.done, unit=" pairs", smoothing=0.05) as progress:
        for rows, logits in zip(blocks, judged, strict=True):
            cache.logits[cache.done + rows] = logits
            cache.logits.flush()
            write_state(config.out, state | {"done": cache.done + int(rows[-1]) + 1})
            progress.update(len(rows))
            pace.add(len(rows))


def tokenised(tokenizer: PairTokenizer, cache: PairCache, rows: slice) -> PairTokens:
    """The pairs ``rows`` of ``cache``, of whose sentences each is tokenised once."""
    used, pairs = np.unique(cache.pairs[rows], return_inverse=True)
    return PairTokens.of(tokenizer, tokenizer.texts([cache.sentences[row] for row in used]), pairs.reshape(-1, 2))


if __name__ == "__main__":
    with one_line_errors():
        label(parse_options(PairLabelsConfig))
