"""Cross-validation of paraphrase detection where only a training split is at hand, as for MRPC.

    python -m training.studies.cross_validate --data DIR [--file paraphrase/mrpc/train.jsonl.gz] [--bundle DIR]

The bundle's weights stay as they are (MRPC took no part in training them); what it says of a pair, its paraphrase
probability, cosine and entailment both ways, goes into a logistic regression fitted on all folds but one and scored on
that one.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cmow.service.errors import StartError
from cmow.service.model.bundle import load_bundle
from cmow.service.model.engine import Engine, EngineOptions
from training.data.files import DataError
from training.data.labelled import TextPair, read_labelled
from training.options import AtLeastTwo, parse_options


@dataclass(frozen=True)
class CrossValidateConfig:
    """What to score."""

    data: Path = field(metadata={"help": "data folder"})
    file: str = field(default="paraphrase/mrpc/train.jsonl.gz", metadata={"help": "labelled pairs below it"})
    bundle: Path = field(default=Path("service/bundle"), metadata={"help": "bundle folder"})
    folds: AtLeastTwo = field(default=5, metadata={"help": "number of folds"})
    seed: int = field(default=0, metadata={"help": "seed of the folds"})
    threads: int = field(default=0, metadata={"help": "threads; 0 takes what the machine grants"})


def features(engine: Engine, pairs: list[TextPair]) -> NDArray[Any]:
    """What ``engine`` says of P pairs, the same for both orders of a pair, float [P, 5]."""
    there, back = (engine.answer("entailment", texts) for texts in (pairs, [(right, left) for left, right in pairs]))
    entails = np.stack([there[:, 0], back[:, 0]])
    contradicts = np.maximum(there[:, 2], back[:, 2])
    paraphrase = np.clip(engine.answer("paraphrase", pairs), 1e-6, 1 - 1e-6)
    logit = np.log(paraphrase / (1 - paraphrase))
    return np.column_stack(
        [logit, engine.answer("similarity", pairs), entails.min(axis=0), entails.max(axis=0), contradicts]
    )


def cross_validate(values: NDArray[Any], positive: NDArray[np.bool_], folds: int, seed: int) -> dict[str, float]:
    """Accuracy and F1 of predictions for P pairs, each made by a model that has not seen the pair."""
    model = make_pipeline(StandardScaler(), LogisticRegression())
    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    predicted = cross_val_predict(model, values, positive, cv=split)
    return {"accuracy": float(accuracy_score(positive, predicted)), "f1": float(f1_score(positive, predicted))}


def main(config: CrossValidateConfig) -> None:
    """Score and print."""
    try:
        engine = Engine(load_bundle(config.bundle), EngineOptions(threads=config.threads))
        pairs = read_labelled(config.data / config.file, "paraphrase")
    except (DataError, StartError) as error:
        sys.exit(f"error: {error}")
    rarest = int(min((pairs.paraphrase > 0.5).sum(), (pairs.paraphrase < 0.5).sum()))
    if rarest < config.folds:
        sys.exit(f"error: {config.file}: expected {config.folds} pairs of each label, one a fold, found {rarest}")
    scores = cross_validate(features(engine, pairs.texts), pairs.paraphrase > 0.5, config.folds, config.seed)
    found = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
    print(f"{config.file} ({len(pairs)} rows), {config.folds} folds: {found}")


if __name__ == "__main__":
    main(parse_options(CrossValidateConfig))
