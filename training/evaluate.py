"""Scores of a served bundle, through the service's own engine, on every labelled split below a folder.

    python -m training.evaluate --bundle service/bundle --data DIR --json OUT

One record a ``*.jsonl.gz`` file: Spearman and Pearson, of the cosine and of the relatedness, where rows have a
``score``; accuracy, macro F1 and expected calibration error for NLI labels (two-way data by entailment against the
rest); accuracy, F1 and average precision for paraphrase, once by the bundle's paraphrase head and once by the cosine
with the manifest's threshold.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, average_precision_score, balanced_accuracy_score, f1_score
from tqdm import tqdm

from cmow.service.errors import StartError
from cmow.service.model.bundle import load_bundle
from cmow.service.model.engine import Engine, EngineOptions
from training.data.files import (
    NLI_LABELS,
    NOT_ENTAILMENT,
    PARAPHRASE_LABELS,
    DataError,
    Pair,
    files_below,
    read_pairs,
    split_files,
)
from training.options import parse_options
from training.pairs.calibrate import expected_calibration_error

Scores = dict[str, float]
FloatArray = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class EvaluateConfig:
    """What to score."""

    data: Path = field(metadata={"help": "folder searched for *.jsonl.gz"})
    bundle: Path = field(default=Path("service/bundle"), metadata={"help": "bundle folder"})
    json: Path | None = field(default=None, metadata={"help": "write the records here"})
    threads: int = field(default=0, metadata={"help": "threads; 0 takes what the machine grants"})


def correlations(predicted: FloatArray, gold: FloatArray) -> Scores:
    """Spearman and Pearson correlation of two float arrays [P]; those of equal numbers with others count as zero.

    Raises ``DataError`` unless ``gold`` has two different numbers, since nothing correlates to one.
    """
    if len(different := np.unique(gold)) < 2:
        raise DataError(f"expected at least two different scores, found {different.tolist()}")
    measures = {"spearman": spearmanr, "pearson": pearsonr}
    if len(np.unique(predicted)) < 2:
        return dict.fromkeys(measures, 0.0)
    return {name: float(measure(predicted, gold).statistic) for name, measure in measures.items()}


def nli_scores(probabilities: FloatArray, gold: list[str]) -> Scores:
    """Accuracy and macro F1 of probabilities [P, 3] in the order of ``NLI_LABELS``; two-way where ``gold`` is."""
    labels = list(NLI_LABELS)
    if NOT_ENTAILMENT in gold:
        labels = [NLI_LABELS[0], NOT_ENTAILMENT]
        probabilities = np.column_stack([probabilities[:, 0], 1 - probabilities[:, 0]])
        gold = [label if label == labels[0] else NOT_ENTAILMENT for label in gold]
    predicted = np.array(labels)[probabilities.argmax(axis=1)]
    macro = f1_score(gold, predicted, labels=labels, average="macro", zero_division=0)
    return {
        "accuracy": float(accuracy_score(gold, predicted)),
        "macro_f1": float(macro),
        "calibration_error": expected_calibration_error(probabilities.max(axis=1), predicted == np.array(gold)),
    }


def paraphrase_scores(scores: FloatArray, gold: list[str], threshold: float) -> Scores:
    """Accuracy, plain and balanced, and F1 at ``threshold``, and average precision, of cosines or probabilities [P]."""
    positive = np.array([label == PARAPHRASE_LABELS[1] for label in gold])
    predicted = scores >= threshold
    return {
        "accuracy": float(accuracy_score(positive, predicted)),
        "balanced_accuracy": float(balanced_accuracy_score(positive, predicted)),
        "f1": float(f1_score(positive, predicted, zero_division=0)),
        "average_precision": float(average_precision_score(positive, scores)),
    }


def gold_scores(pairs: list[Pair]) -> FloatArray:
    """Scores [P] of ``pairs``; [0] where they have labels instead. ``DataError`` where only some have one."""
    scores = [pair.score for pair in pairs if pair.score is not None]
    if 0 < len(scores) < len(pairs):
        raise DataError(f"expected a score in every row or in none, found it in {len(scores)} of {len(pairs)}")
    return np.array(scores)


def score_pairs(engine: Engine, pairs: list[Pair]) -> tuple[str, Scores]:
    """(task, scores) of one split; what its rows carry decides the task."""
    texts = [(pair.sentence1, pair.sentence2) for pair in pairs]
    if len(scores := gold_scores(pairs)):
        related = correlations(engine.answer("relatedness", texts), scores)
        cosine = correlations(engine.answer("similarity", texts), scores)
        return "similarity", cosine | {f"relatedness_{metric}": value for metric, value in related.items()}
    gold = [str(pair.label) for pair in pairs]
    if set(gold) <= set(PARAPHRASE_LABELS):
        cosine = paraphrase_scores(
            engine.answer("similarity", texts), gold, engine.bundle.manifest.paraphrase_threshold
        )
        head = paraphrase_scores(engine.answer("paraphrase", texts), gold, 0.5)
        return "paraphrase", head | {f"cosine_{metric}": value for metric, value in cosine.items()}
    if unknown := set(gold) - {*NLI_LABELS, NOT_ENTAILMENT}:
        raise DataError(f"expected labels of {NLI_LABELS}, {NOT_ENTAILMENT!r} or {PARAPHRASE_LABELS}, found {unknown}")
    return "nli", nli_scores(engine.answer("entailment", texts), gold)


def score_file(engine: Engine, path: Path) -> tuple[str, int, Scores]:
    """(task, rows, scores) of the split ``path``."""
    pairs = read_pairs(path)
    try:
        task, scores = score_pairs(engine, pairs)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return task, len(pairs), scores


def evaluate(engine: Engine, data: Path, say: Callable[[str], None] = tqdm.write) -> list[dict[str, object]]:
    """A record for every file of sentence pairs below ``data``; single-sentence files are passed over, and named."""
    paths = files_below(data, "*.jsonl.gz")
    if not paths:
        raise DataError(f"{data}: expected *.jsonl.gz files below this folder, found none")
    records: list[dict[str, object]] = []
    for path in tqdm(paths, unit=" files"):
        name = path.relative_to(data).as_posix()
        if path.relative_to(data).parts[0] == "single":
            say(f"{name}: single sentences, passed over")
            continue
        task, rows, scores = score_file(engine, path)
        records.append({"file": name, "task": task, "rows": rows, **scores})
        say(f"{name} ({rows} rows): " + ", ".join(f"{metric} {value:.4f}" for metric, value in scores.items()))
    return records


def dev_metrics(engine: Engine, data: Path) -> dict[str, Scores]:
    """Scores on every dev split of pairs below ``data``, by the split's path, as a manifest states them."""
    result = {}
    for path in tqdm(split_files(data, "dev", ("nli", "similarity", "paraphrase")), "scoring", unit=" splits"):
        _, _, scores = score_file(engine, path)
        result[path.relative_to(data).as_posix()] = {name: round(value, 4) for name, value in scores.items()}
    return result


def main(config: EvaluateConfig) -> None:
    """Score, print and write."""
    if config.json is not None:
        config.json.parent.mkdir(parents=True, exist_ok=True)  # now, not when all is scored
    try:
        engine = Engine(load_bundle(config.bundle), EngineOptions(threads=config.threads))
        records = evaluate(engine, config.data)
    except (DataError, StartError) as error:
        sys.exit(f"error: {error}")
    if config.json is not None:
        config.json.write_text(json.dumps(records, indent=2) + "\n")


if __name__ == "__main__":
    main(parse_options(EvaluateConfig))
