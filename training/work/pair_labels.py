"""The work of ``training.pair_labels``.

writes the distinct ``sentences.txt``, ``pairs.npy`` (int32 [P, 2], rows of them), what the data say of each pair
(``entailment.npy``, ``similarity.npy``, ``paraphrase.npy``), the teacher's ``logits.npy`` (float16 [P, 5]) and
``state.json``. Gold and mined pairs are in random order, so that any part of a run is of use; a killed run goes on
where it stopped.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from tqdm import tqdm

import cmow
from cmow.service.model.bundle import read_manifest
from training.data.inputs import made_files, text_files
from training.data.labelled import GOLD_FOLDERS, LabelledPairs, read_split
from training.data.recipe import Recipe, command_line
from training.data.sentences import distinct_sentences
from training.data.sources import sources_below
from training.loop.pace import Pace
from training.loop.parallel import one_process
from training.pair_labels import PairLabelsConfig
from training.pairs.kinds import Counts
from training.pairs.mining import Mine
from training.pairs.neighbours import Neighbours
from training.teachers.blocks import blocks_of
from training.teachers.cache import PairCache, TeacherCache, ensure_cache, read_state, write_state
from training.teachers.cross_encoder import PairTeacher
from training.teachers.pair_tokens import PairTokenizer, PairTokens

# Pairs sorted by length together. A GPU needs many, so that even rare lengths fill it.
CPU_BLOCK, GPU_BLOCK = 8192, 1 << 18


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
    with cmow.load(config.bundle, "cpu", config.threads) as model:
        yield Neighbours.of_model(model, distinct_sentences(config.data, config.plain, config.seed), device)


def mining_recipe(config: PairLabelsConfig) -> Recipe:
    """How what the pairs are mined by came to be."""
    if config.bundle is None:
        return Recipe.read(config.teacher_cache)
    training = read_manifest(config.bundle).training
    return Recipe(commands=training.recipe, sources=training.sources)


def open_for_writing(config: PairLabelsConfig, device: torch.device) -> PairCache:
    """The cache in ``config.out``, made if it is not there; ``StaleError`` where it is one of other options or data."""
    mined_by = config.bundle or config.teacher_cache
    options = {name: getattr(config, name) for name in ("teacher", "mined", "seed", *Counts.names())}
    files = [*text_files(config.data), *made_files(config.teacher), *made_files(mined_by)]
    ensure_cache(
        config.out,
        {**options, "teacher": str(config.teacher), "mined_by": str(mined_by)},
        files,
        lambda: PairCache.create(config.out, collect_pairs(config, device)),
    )
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
