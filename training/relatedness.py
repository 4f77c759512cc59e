"""What is fitted on a bundle once it is exported: the weights of relatedness. Then it is scored.

    python -m training.relatedness --data DIR [--bundle service/bundle]

A linear regression (`cmow.service.model.relatedness` has the formula) of the scores that people gave, on the answers
of the bundle as it serves them. It reads the training splits of all scored pairs, SICK and the STS Benchmark, each on
its own scale brought to 0..1, and changes nothing but the manifest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from sklearn.linear_model import LinearRegression

from cmow.service.model.bundle import Manifest, Relatedness, load_bundle, read_manifest, write_manifest
from cmow.service.model.engine import Engine
from cmow.service.model.relatedness import Evidence
from training.data.files import DataError, split_files
from training.data.labelled import LabelledPairs, TextPair, read_scored
from training.data.recipe import command_line
from training.errors import one_line_errors
from training.evaluate import dev_metrics
from training.options import parse_options


@dataclass(frozen=True)
class RelatednessConfig:
    """What to fit."""

    data: Path = field(metadata={"help": "data folder with similarity/"})
    bundle: Path = field(
        default=Path("service/bundle"), metadata={"help": "bundle folder, whose manifest is rewritten"}
    )


def evidence(engine: Engine, pairs: list[TextPair]) -> Evidence:
    """What ``engine`` says of P pairs."""
    both_ways = engine.answer("entailment", [*pairs, *((right, left) for left, right in pairs)])
    return Evidence.of(engine.answer("similarity", pairs), both_ways, engine.bundle.manifest.labels)


def fit_relatedness(engine: Engine, data: Path) -> Relatedness:
    """Weights with the smallest squared error on all scored training pairs below ``data``."""
    paths = split_files(data, "train", ("similarity",))
    if not paths:
        raise DataError(f"{data / 'similarity'}: expected training splits of scored pairs, found none")
    pairs = LabelledPairs.joined([read_scored(path) for path in paths])
    found = LinearRegression().fit(np.column_stack(evidence(engine, pairs.texts)), pairs.similarity)
    weights = dict(zip(Evidence._fields, found.coef_.tolist(), strict=True))
    return Relatedness(**weights, intercept=float(found.intercept_))


def finish(folder: Path, data: Path) -> Manifest:
    """Fit relatedness, score the dev splits, and write both into the manifest of the bundle in ``folder``."""
    bundle = load_bundle(folder)
    related = fit_relatedness(Engine(bundle), data)
    write_manifest(folder, replace(bundle.manifest, relatedness=related))
    return update_training(folder, metrics=dev_metrics(Engine(load_bundle(folder)), data))


def update_training(folder: Path, **changes: object) -> Manifest:
    """Rewrite the manifest in ``folder`` with other fields in its record of the training."""
    manifest = read_manifest(folder)
    training = replace(manifest.training, **changes)
    manifest = replace(manifest, training=training)
    write_manifest(folder, manifest)
    return manifest


def main(config: RelatednessConfig) -> None:
    """Fit, score and print."""
    with one_line_errors():
        manifest = finish(config.bundle, config.data)
        commands = [*manifest.training.recipe, command_line("training.relatedness", config)]
        update_training(config.bundle, recipe=list(dict.fromkeys(commands)))
    print(manifest.relatedness)


if __name__ == "__main__":
    main(parse_options(RelatednessConfig))
