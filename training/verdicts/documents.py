"""How well a bundle checks claims by documents: held-out NLI, some premises joined to a document.

    python -m training.verdicts.documents --data DIR [--bundle service/bundle] [--json FILE]

The shares of supported, contradicted and not-found claims that are told so, and their mean, of which a third is chance.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cmow.service.model.model import Model, open_model
from training.errors import one_line_errors
from training.options import Natural, parse_options
from training.verdicts.claims import VERDICTS, Document, check, split_documents, truth


@dataclass(frozen=True)
class DocumentsConfig:
    """What to score."""

    data: Path = field(metadata={"help": "data folder (see training/data/files.py)"})
    bundle: Path = field(default=Path("service/bundle"), metadata={"help": "bundle folder"})
    threads: Natural = field(default=0, metadata={"help": "threads of the model; 0 takes what this machine grants"})
    json: Path | None = field(default=None, metadata={"help": "also write the scores to this file"})


def scores(model: Model, found: Sequence[Document]) -> dict[str, float]:
    """In percent: the recall of each verdict, and their mean."""
    said, known = np.array([claim.label for claim in check(model, found)]), truth(found)
    recalls = {label: 100 * float(np.mean(said[known == label] == label)) for label in VERDICTS}
    return recalls | {"mean": float(np.mean(list(recalls.values())))}


def main(config: DocumentsConfig) -> None:
    """Score, print and write."""
    table = {}
    columns = (*VERDICTS, "mean")
    print(f"{'':32} {'premises':>8} " + " ".join(f"{name:>12}" for name in columns))
    with one_line_errors(), open_model(config.bundle, "cpu", config.threads, require_fused_op=False) as model:
        for name, premises, found in split_documents(config.data, "dev"):
            row = table[f"{name}, {premises}"] = scores(model, found)
            print(f"{name:32} {premises:8} " + " ".join(f"{row[column]:12.1f}" for column in columns))
    if config.json:
        config.json.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main(parse_options(DocumentsConfig))
