"""Scores labelled files with a bundle, prints and writes them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure
from tqdm import tqdm

from cmow.service.model.bundle import load_bundle
from cmow.service.model.engine import Engine, EngineOptions
from training.data.atomic import make_folder, write_json
from training.data.files import FORMATS, DataError, files_below, split_files
from training.data.labelled import GOLD_FOLDERS, LabelledPairs, read_labelled
from training.data.labels import Gold
from training.data.reading import Reading
from training.evaluate import KINDS, EvaluateConfig
from training.evaluation.metrics import (
    Classified,
    FloatArray,
    Scores,
    correlations,
    nli_scores,
    paraphrase_scores,
)
from training.evaluation.plots import draw_reliability, draw_scatter, save_figure, styled
from training.evaluation.report import class_tables, score_line


class Related(NamedTuple):
    """Relatedness [P] as the bundle gives it, and gold scores [P], both 0 to 1."""

    predicted: FloatArray
    gold: FloatArray


class Evaluated(NamedTuple):
    """What a bundle made of the P ``rows`` of a file."""

    name: str
    task: Gold
    rows: int
    scores: Scores
    answers: Classified | Related

    def record(self) -> dict[str, object]:
        """As ``--json`` writes it."""
        known: dict[str, object] = {"file": self.name, "task": self.task, "rows": self.rows, **self.scores}
        if isinstance(self.answers, Classified):
            known |= {"classes": self.answers.by_class(), "confusion": self.answers.confusion()}
        return known

    def text(self) -> str:
        """To be read in a terminal."""
        line = f"{self.name} ({self.task}, {self.rows} rows): {score_line(self.scores)}"
        return f"{line}\n{class_tables(self.answers)}" if isinstance(self.answers, Classified) else line


def score_pairs(engine: Engine, task: Gold, pairs: LabelledPairs) -> tuple[Scores, Classified | Related]:
    """Scores and answers of ``pairs``, which are for ``task``; raises ``DataError`` where all gold scores are one."""
    if task == "entailment":
        labels = Classified.of_entailment(engine.answer("entailment", pairs.texts), pairs.entailment)
        return nli_scores(labels), labels
    cosine = engine.answer("similarity", pairs.texts)
    if task == "similarity":
        related = Related(engine.answer("relatedness", pairs.texts), pairs.similarity)
        return correlations(cosine, pairs.similarity) | _prefixed("relatedness", correlations(*related)), related
    same = pairs.paraphrase > 0.5
    probabilities = engine.answer("paraphrase", pairs.texts)
    labels = Classified.of_paraphrase(probabilities, same)
    head = paraphrase_scores(probabilities, same, 0.5) | {"calibration_error": labels.calibration_error}
    by_cosine = paraphrase_scores(cosine, same, engine.bundle.manifest.paraphrase_threshold)
    return head | _prefixed("cosine", by_cosine), labels


def _prefixed(prefix: str, scores: Scores) -> Scores:
    return {f"{prefix}_{metric}": value for metric, value in scores.items()}


def scored(engine: Engine, name: str, path: Path, task: Gold, pairs: LabelledPairs) -> Evaluated:
    """Scores of the ``pairs`` of the file ``path``; raises ``DataError``."""
    try:
        return Evaluated(name, task, len(pairs), *score_pairs(engine, task, pairs))
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def evaluate(
    engine: Engine, files: Mapping[str, Path], reading: Reading, say: Callable[[str], None] = tqdm.write
) -> tuple[list[Evaluated], list[DataError]]:
    """What becomes of every file, by its name, and the errors of those that cannot be scored."""
    found, errors = list[Evaluated](), list[DataError]()
    for name, path in tqdm(files.items(), unit=" files"):
        try:
            found.append(scored(engine, name, path, *reading.read(path)))
            say(found[-1].text())
        except DataError as error:
            errors.append(error)
            tqdm.write(f"error: {error}", file=sys.stderr)
    return found, errors


def pair_files(data: Path, say: Callable[[str], None] = tqdm.write) -> dict[str, Path]:
    """Every file of pairs below ``data`` by its path there; those of single sentences are passed over, and named."""
    files = {path.relative_to(data).as_posix(): path for path in files_below(data)}
    if not files:
        raise DataError(f"{data}: expected files named {FORMATS} below this folder, found none")
    for name in [name for name in files if name.startswith(("single/", "text/"))]:
        say(f"{name}: single sentences, passed over")
        del files[name]
    return files


def dev_metrics(engine: Engine, data: Path) -> dict[str, Scores]:
    """Scores on every dev split of pairs below ``data``, by the split's path, as a manifest states them."""
    splits = [(path, task) for task, folder in GOLD_FOLDERS.items() for path in split_files(data, "dev", (folder,))]
    result = {}
    for path, task in tqdm(sorted(splits), "scoring", unit=" splits"):
        found = scored(engine, path.relative_to(data).as_posix(), path, task, read_labelled(path, task))
        result[found.name] = {metric: round(value, 4) for metric, value in found.scores.items()}
    return result


def draw(found: list[Evaluated]) -> Figure:
    """Accuracy by confidence of all labels, and given scores over those of people, as far as there are such files."""
    labels = {each.name: each.answers.reliability() for each in found if isinstance(each.answers, Classified)}
    scores = {each.name: each.answers for each in found if isinstance(each.answers, Related)}
    figure = Figure(figsize=(5.5 * (bool(labels) + bool(scores)), 5), layout="constrained")
    axes = iter(figure.subplots(1, bool(labels) + bool(scores), squeeze=False).flat)
    if labels:
        draw_reliability(next(axes), labels)
    if scores:
        draw_scatter(next(axes), scores)
    return figure


def write(found: list[Evaluated], config: EvaluateConfig) -> None:
    """The records, and the plot where there is something to draw."""
    if config.json is not None:
        write_json(config.json, [each.record() for each in found])
    if config.plot is not None and found:
        make_folder(config.plot.parent)
        with styled():
            save_figure(draw(found), config.plot)


def main(config: EvaluateConfig) -> None:
    """Score, print and write; exit status 2 where a file could not be scored."""
    if config.plot is not None and config.plot.suffix not in KINDS:
        raise DataError(f"--plot: expected a name that ends in {', '.join(KINDS)}, found {config.plot}")
    named = {str(path): path for path in config.files} | (pair_files(config.data) if config.data else {})
    if not named:
        raise DataError("expected labelled files or --data, found neither")
    engine = Engine(load_bundle(config.bundle), EngineOptions(threads=config.threads))
    found, errors = evaluate(engine, named, config)
    write(found, config)
    if errors:
        sys.exit(2)
