"""The work of ``training.calibration``.

The temperature of entailment (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017) divides all logits by
one number, so that probabilities mean what they say; it changes no label. The probability of a paraphrase is a logistic
regression of its logit, and the cosine above which two sentences count as paraphrases a best cut, over training pairs
of several sources: each source weighs the same, and in it both classes. MRPC stays unseen by all that is fitted.
Relatedness is a linear regression (`cmow.service.model.relatedness`) of the scores that people gave, SICK's and those
of the STS Benchmark, each on its own scale brought to 0..1 and weighing the same. Temperature and relatedness, four
numbers, are fitted on dev splits: cosine and head have learned the training scores, the cosine more by heart. What
verdicts are decided by is fitted as `training.verdicts` says.

Letters: P pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from msgspec import structs
from sklearn.linear_model import LinearRegression

from cmow.service.model.bundle import Manifest, Relatedness, load_bundle, write_manifest
from cmow.service.model.engine import Engine, EngineOptions
from cmow.service.model.verdicts.same import logit
from training.bundle.manifest import add_command, update_training
from training.bundle.scorer import Calibration
from training.calibration import CalibrationConfig
from training.data.files import DataError, split_files, warn
from training.data.labelled import GOLD_FOLDERS, LabelledPairs, read_split
from training.data.recipe import command_line
from training.minimal_pairs.generate import pairs as minimal_pairs
from training.minimal_pairs.labels import labelled
from training.minimal_pairs.words import Lexicon
from training.pairs.calibrate import Judged, best_threshold, class_weights, platt
from training.pairs.fit import best_temperature, has_enough, three_way_dev
from training.verdicts.claims import fit_claims
from training.verdicts.same import fit_same, same_sources
from training.work.evaluate import dev_metrics

# Of scores brought to 0..1: what people call the same, and what they do not. Between them they disagree.
SAME_SCORE, OTHER_SCORE = 0.8, 0.6
MINIMAL_PAIRS = 5000


def calibrated(folder: Path, data: Path, before: Calibration, threads: int = 0) -> Calibration:
    """What the bundle in ``folder``, exported as ``before`` says, is to be exported with.

    What there are no data for stays as it was.
    """
    engine = Engine(load_bundle(folder), EngineOptions(threads=threads))
    temperature = before.entailment_temperature * _temperature(engine, data)
    if not (sources := [source for source in paraphrase_sources(data) if 0 < source.same.sum() < len(source.same)]):
        warn(f"{data}: the probability and the threshold of paraphrases stay: found no training pairs of both kinds")
        return replace(before, entailment_temperature=temperature)
    same = np.concatenate([source.same for source in sources])
    weights = np.concatenate([class_weights(source.same, 0.5) for source in sources])
    texts = [pair for source in sources for pair in source.texts]
    logits = (logit(engine.answer("paraphrase", texts)) - before.paraphrase_shift) / before.paraphrase_scale
    threshold = best_threshold(engine.answer("similarity", texts), same, weights)
    return Calibration(temperature, *platt(logits, same, weights), threshold)


def paraphrase_sources(data: Path) -> Iterator[Judged]:
    """Training pairs of paraphrases, those with scores, and beside any of these minimal pairs: one source a file."""
    paraphrase, scored = (read_split(data, "train", task) for task in ("paraphrase", "similarity"))
    if not paraphrase and not scored:
        return
    for pairs in paraphrase.values():
        yield Judged(pairs.texts, pairs.paraphrase > 0.5)
    for pairs in scored.values():
        rows = np.flatnonzero((pairs.similarity >= SAME_SCORE) | (pairs.similarity <= OTHER_SCORE))
        yield Judged([pairs.texts[row] for row in rows], pairs.similarity[rows] >= SAME_SCORE)
    pairs = labelled(minimal_pairs(Lexicon.harvest(data, "train"), 1, MINIMAL_PAIRS))
    rows = np.flatnonzero(~np.isnan(pairs.paraphrase))
    yield Judged([pairs.texts[row] for row in rows], pairs.paraphrase[rows] > 0.5)


def _temperature(engine: Engine, data: Path) -> float:
    """What to divide the logits by, from the three-way dev splits of what has been trained on; 1 without any."""
    if not (known := three_way_dev(data)):
        warn(f"{data}: the temperature of entailment stays: found no three-way nli/*/dev* with a train* beside it")
        return 1.0
    if not has_enough(pairs := LabelledPairs.joined(known)):
        return 1.0
    logits = torch.from_numpy(engine.answer("entailment", pairs.texts)).clamp_min(1e-30).log()
    return best_temperature(logits, torch.from_numpy(pairs.entailment))


def fit_relatedness(engine: Engine, data: Path) -> Relatedness:
    """Weights of the smallest squared error on the scored dev splits below ``data``, each of which weighs the same.

    Those of the bundle where there is none.
    """
    splits = list(read_split(data, "dev", "similarity").values())
    if not splits:
        warn(f"{data}: the weights of relatedness stay: found no scored pairs in similarity/*/dev*")
        return engine.bundle.manifest.relatedness
    pairs = LabelledPairs.joined(splits)
    weights = np.concatenate([np.full(len(split), 1 / len(split)) for split in splits])
    found = LinearRegression().fit(engine.answer("evidence", pairs.texts), pairs.similarity, weights)
    cosine, head = found.coef_.tolist()
    return Relatedness(cosine=cosine, head=head, intercept=float(found.intercept_))


def finish(folder: Path, data: Path, threads: int = 0) -> Manifest:
    """Fit relatedness and verdicts, score the dev splits, and write all that into the manifest in ``folder``."""
    bundle, options = load_bundle(folder), EngineOptions(threads=threads)
    engine = Engine(bundle, options)
    related, same = fit_relatedness(engine, data), fit_same(engine, list(same_sources(data)))
    fitted = structs.replace(bundle.manifest, relatedness=related, same=same, claims=fit_claims(bundle, data))
    write_manifest(folder, fitted)
    if not (metrics := dev_metrics(Engine(load_bundle(folder), options), data)):
        warn(f"{data}: nothing is scored: found no dev* in {', '.join(GOLD_FOLDERS.values())}")
    return update_training(folder, metrics=metrics)


def main(config: CalibrationConfig) -> None:
    """Fit, score and print."""
    if not split_files(config.data, "dev", tuple(GOLD_FOLDERS.values())):
        raise DataError(f"{config.data}: expected dev* in {', '.join(GOLD_FOLDERS.values())}, found none")
    manifest = finish(config.bundle, config.data, config.threads)
    add_command(config.bundle, command_line("training.calibration", config))
    print(manifest.relatedness, manifest.same, manifest.claims)
