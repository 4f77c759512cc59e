"""What a threshold costs and brings on pairs whose label is known: dev splits of paraphrases."""

from __future__ import annotations

import argparse
from pathlib import Path

import cmow
from cmow.service.dedupe.grouping import NEAR
from training.data.files import split_files
from training.data.labelled import read_labelled

THRESHOLDS = 0.5, 0.7, 0.8, 0.9


def main() -> None:
    """A line for each split and threshold."""
    parser = argparse.ArgumentParser("python -m loadtest.dedupe.thresholds", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of pairs, as training takes it")
    with cmow.load() as model:
        for path in split_files(parser.parse_args().data, "dev", ("paraphrase",)):
            report(model, path)


def report(model: cmow.Model, path: Path) -> None:
    """Precision and recall of what counts as a duplicate among the pairs of ``path``."""
    pairs = read_labelled(path, "paraphrase")
    gold = pairs.paraphrase == 1
    near = model.engine.answer("similarity", pairs.texts) >= NEAR
    probability = model.engine.answer("paraphrase", pairs.texts)
    for threshold in THRESHOLDS:
        found = near & (probability >= threshold)
        precision, recall = gold[found].mean(), found[gold].mean()
        print(f"{path.parent.name}, {threshold}: precision {100 * precision:.1f} %, recall {100 * recall:.1f} %")


if __name__ == "__main__":
    main()
