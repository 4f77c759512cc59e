"""What more labelled pairs would bring: how well a small head on the bundle's embeddings does, by the pairs it saw.

    python -m training.studies.data_curves --data DIR [--bundle service/bundle] [--out docs/data_curves.svg]

The encoder stays as it is, so that the number of gold pairs is all that changes from point to point. Question pairs are
drawn at the share of duplicates in Quora's whole release, of which the part at hand has few that are none; MRPC, which
has no dev split here, is scored in five folds. Every point is the mean of several draws.

Letters: P pairs, m similarity width.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from cmow.service.errors import StartError
from cmow.service.model.bundle import load_bundle
from cmow.service.model.engine import Engine
from training.data.files import DataError, split_files
from training.data.labelled import LabelledPairs, read_labelled
from training.evaluation.plots import save_figure, styled
from training.options import parse_options
from training.pairs.calibrate import DUPLICATES

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]

SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)  # of the training pairs
FOLDS = 5
FEWEST = 320  # training pairs; the smallest share of fewer is no set to learn from


@dataclass(frozen=True)
class DataCurvesConfig:
    """What to draw, and where to."""

    data: Path = field(metadata={"help": "data folder with nli/ and paraphrase/"})
    bundle: Path = field(default=Path("service/bundle"), metadata={"help": "bundle folder"})
    out: Path = field(default=Path("docs/data_curves.svg"), metadata={"help": "file of the figure"})
    draws: int = field(default=3, metadata={"help": "draws of training pairs for each point"})


class Examples(NamedTuple):
    """Features float32 [P, f] and labels [P]."""

    features: Floats
    labels: Labels

    def take(self, rows: Labels) -> Examples:
        """The examples ``rows``."""
        return Examples(self.features[rows], self.labels[rows])


class Point(NamedTuple):
    """Pairs learned from, and the accuracy of each draw."""

    pairs: int
    accuracy: list[float]


def embedded(engine: Engine, pairs: LabelledPairs) -> tuple[Floats, Floats]:
    """The embeddings [P, m] of both sides of ``pairs``."""
    left, right = (engine.embed([pair[side] for pair in pairs.texts]) for side in (0, 1))
    return left, right


def paraphrase_examples(engine: Engine, path: Path) -> Examples:
    """[|u - v| ; u * v] and whether it is a paraphrase."""
    pairs = read_labelled(path, "paraphrase")
    u, v = embedded(engine, pairs)
    return Examples(np.column_stack([abs(u - v), u * v]), (pairs.paraphrase > 0.5).astype(np.int64))


def nli_examples(engine: Engine, path: Path) -> Examples:
    """[u ; v ; |u - v| ; u * v] and the label."""
    pairs = read_labelled(path, "entailment")
    u, v = embedded(engine, pairs)
    return Examples(np.column_stack([u, v, abs(u - v), u * v]), pairs.entailment.argmax(axis=1))


def one_file(data: Path, split: str, folder: str) -> Path:
    """The only file of ``split`` in ``folder``; ``DataError`` where there is none or more."""
    paths = split_files(data, split, (folder,))
    if len(paths) != 1:
        raise DataError(f"{data / folder}: expected one file {split}*, found {len(paths)}")
    return paths[0]


def at_share(labels: Labels, share: float, random: np.random.Generator) -> Labels:
    """As many shuffled rows of binary ``labels`` [P] as there are with positives making up ``share``."""
    positive, negative = (random.permutation(np.flatnonzero(labels == value)) for value in (1, 0))
    count = int(min(len(positive) / share, len(negative) / (1 - share)))
    positives = round(count * share)
    return random.permutation(np.concatenate([positive[:positives], negative[: count - positives]]))


def accuracy(train: Examples, test: Examples, seed: int) -> float:
    """Of a head with one hidden layer, stopped by a tenth of ``train``, on ``test``."""
    head = MLPClassifier((256,), alpha=1e-2, early_stopping=True, n_iter_no_change=5, max_iter=100, random_state=seed)
    model: Any = make_pipeline(StandardScaler(), head).fit(*train)
    return float(model.score(*test))


def curve(train: Examples, test: Examples, draws: int, positives: float | None = None) -> Iterator[Point]:
    """Points for growing parts of ``train``; binary ones hold the share ``positives`` where it is given."""
    for share in SHARES:
        found = []
        for seed in range(draws):
            random = np.random.default_rng(seed)
            order = random.permutation(len(train.labels))
            if positives is not None:
                order = at_share(train.labels, positives, random)
            if len(order) < FEWEST:
                raise DataError(f"expected at least {FEWEST} training pairs for a curve, found {len(order)}")
            rows = order[: round(len(order) * share)]
            found.append(accuracy(train.take(rows), test, seed))
        yield Point(len(rows), found)


def folded_curve(examples: Examples, draws: int) -> Iterator[Point]:
    """The same where there is no dev split: every pair is scored by a head that has not seen it."""
    split = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    folds = [list(curve(examples.take(rest), examples.take(fold), draws)) for rest, fold in split.split(*examples)]
    for points in zip(*folds, strict=True):
        yield Point(points[0].pairs, np.mean([point.accuracy for point in points], axis=0).tolist())


def curves(engine: Engine, data: Path, draws: int) -> Iterator[tuple[str, list[Point]]]:
    """(name, points) of each task."""
    train, dev = (paraphrase_examples(engine, one_file(data, split, "paraphrase/qqp")) for split in ("train", "dev"))
    yield "QQP", list(curve(train, dev, draws, DUPLICATES))
    mrpc = paraphrase_examples(engine, one_file(data, "train", "paraphrase/mrpc"))
    yield "MRPC, five folds", list(folded_curve(mrpc, draws))
    train, dev = (nli_examples(engine, one_file(data, split, "nli/mnli")) for split in ("train", "dev"))
    yield "MultiNLI, matched", list(curve(train, dev, draws))


def draw(found: dict[str, list[Point]]) -> Figure:
    """Accuracy over pairs, which double from point to point."""
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, points in found.items():
        means = [np.mean(point.accuracy) for point in points]
        spread = [np.std(point.accuracy) for point in points]
        axes.errorbar([point.pairs for point in points], means, spread, marker="o", markersize=3, label=name)
    axes.set(xscale="log", xlabel="gold pairs learned from", ylabel="accuracy of a head on the bundle's embeddings")
    axes.legend(fontsize=8)
    return figure


def main(config: DataCurvesConfig) -> None:
    """Score, print a Markdown table, and draw."""
    found: dict[str, list[Point]] = {}
    try:
        engine = Engine(load_bundle(config.bundle))
        for name, points in tqdm(curves(engine, config.data, config.draws), total=3, unit=" tasks"):
            found[name] = points
    except (DataError, StartError) as error:
        sys.exit(f"error: {error}")
    for name, points in found.items():
        cells = [f"{np.mean(point.accuracy):.1%} of {point.pairs:,}" for point in points]
        print(f"| {name} | {' | '.join(cells)} |")
    config.out.parent.mkdir(parents=True, exist_ok=True)
    with styled():
        save_figure(draw(found), config.out)


if __name__ == "__main__":
    main(parse_options(DataCurvesConfig))
