"""How well a bundle checks claims by documents: held-out NLI, some premises joined to a document.

    python -m training.verdicts.documents --data DIR [--bundle service/bundle] [--json FILE]

The shares of supported, contradicted and not-found claims that are told so, and their mean, of which a third is chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmow.service.model.model import Model, open_model
from training.command.start import start
from training.data.atomic import write_json
from training.options import OutputFile, Threaded
from training.verdicts.claims import VERDICTS, Document, check, split_documents, truth


@dataclass(frozen=True)
class DocumentsConfig(Threaded):
    """What to score."""

    data: Path = field(metadata={"help": "data folder (see training/data/files.py)"})
    bundle: Path = field(default=Path("service/bundle"), metadata={"help": "bundle folder"})
    json: OutputFile | None = field(default=None, metadata={"help": "also write the scores to this file"})


def scores(model: Model, found: Sequence[Document]) -> dict[str, float]:
    """In percent: the recall of each verdict, and their mean."""
    said, known = np.array([claim.label for claim in check(model, found)]), truth(found)
    recalls = {label: 100 * _share(said[known == label] == label) for label in VERDICTS}
    return recalls | {"mean": float(np.mean(list(recalls.values())))}


def _share(right: NDArray[np.bool_]) -> float:
    """Of what is ``right``; 0 of nothing."""
    return float(right.mean()) if right.size else 0.0


def main(config: DocumentsConfig) -> None:
    """Score, print and write."""
    table = {}
    columns = (*VERDICTS, "mean")
    print(f"{'':32} {'premises':>8} " + " ".join(f"{name:>12}" for name in columns))
    with open_model(config.bundle, "cpu", config.threads, require_fused_op=False) as model:
        for name, premises, found in split_documents(config.data, "dev"):
            row = table[f"{name}, {premises}"] = scores(model, found)
            print(f"{name:32} {premises:8} " + " ".join(f"{row[column]:12.1f}" for column in columns))
    if config.json:
        write_json(config.json, table)


if __name__ == "__main__":
    start(DocumentsConfig, "training.verdicts.documents:main")
