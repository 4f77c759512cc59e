"""Adapts to a part of a file and scores the rest."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from cmow.service.model.bundle import load_bundle
from cmow.service.model.engine import Engine, EngineOptions
from training.adapt.adaptation import Adaptation
from training.adapt.heads.fit import FitOptions
from training.adapt.stages import Stages
from training.data.files import DataError
from training.data.labelled import LabelledPairs, read_labelled, read_split
from training.data.labels import Gold
from training.evaluation.report import aligned
from training.studies.adaptation import AdaptationConfig
from training.work.evaluate import score_pairs

GENERAL: dict[str, Gold] = {"snli": "entailment", "stsb": "similarity"}
SHOWN = ("accuracy", "f1", "macro_f1", "spearman", "relatedness_spearman")

Scored = dict[str, dict[str, float]]


def main(config: AdaptationConfig) -> None:
    """Adapt, score and print."""
    pairs = read_labelled(config.data / config.file, config.task)
    order = np.random.default_rng(config.seed).permutation(len(pairs))
    count = int(config.share * len(pairs)) or config.rows
    if count >= len(pairs):
        raise DataError(f"{config.file}: expected more than {count} rows, so that some are left, found {len(pairs)}")
    sets: dict[str, tuple[Gold, LabelledPairs]] = {"unseen": (config.task, pairs.take(order[count:]))}
    for name, task in GENERAL.items():
        if (found := read_split(config.data, "dev", task).get(name)) is not None:
            sets[name] = task, found
    with TemporaryDirectory() as folder:
        before = scores(config.bundle, sets, config.threads)
        started = time.perf_counter()
        adapt(config, pairs.take(order[:count]), Path(folder))
        seconds = time.perf_counter() - started
        after = scores(Path(folder), sets, config.threads)
    print(f"{config.file}: {count} rows, {len(pairs) - count} unseen; adapted in {seconds:.0f} s")
    print(table(before, after))


def adapt(config: AdaptationConfig, own: LabelledPairs, folder: Path) -> None:
    """Write the bundle adapted to ``own`` pairs into ``folder``."""
    stages, options = Stages(folder / ".fitting", "study"), FitOptions(steps=config.steps, seed=config.seed)
    adaptation = Adaptation(load_bundle(config.bundle), config.task, options, stages, config.general, config.threads)
    adaptation.write(adaptation.fitted(own, None), folder, "python -m training.studies.adaptation")


def scores(folder: Path, sets: dict[str, tuple[Gold, LabelledPairs]], threads: int) -> Scored:
    """Of the bundle in ``folder`` on each of ``sets``."""
    engine = Engine(load_bundle(folder), EngineOptions(threads=threads))
    return {name: score_pairs(engine, task, pairs)[0] for name, (task, pairs) in sets.items()}


def table(before: Scored, after: Scored) -> str:
    """Both side by side."""
    rows = [
        [name, metric, f"{before[name][metric]:.4f}", f"{value:.4f}"]
        for name, found in after.items()
        for metric, value in found.items()
        if metric in SHOWN
    ]
    return aligned([["", "", "before", "after"], *rows])
