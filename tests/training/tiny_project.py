"""A data folder and a teacher cache small enough to train on in a second."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import numpy as np

from service.bundle import Source
from tests.tiny_bundle import WORDS, make_tokenizer
from training.data import NLI_LABELS, NOT_ENTAILMENT, PARAPHRASE_LABELS
from training.recipe import Recipe

TARGET_DIM = 16


def sentences(count: int, seed: int) -> list[str]:
    """Sequences of 1 to 9 known words."""
    choose = random.Random(seed)
    return [" ".join(choose.choices(WORDS, k=choose.randint(1, 9))) for _ in range(count)]


def write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    """Write one data file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def labelled(labels: tuple[str, ...], count: int, seed: int) -> list[dict[str, object]]:
    """Pairs with every label in turn."""
    texts = sentences(2 * count, seed)
    return [
        {"sentence1": texts[row], "sentence2": texts[row + count], "label": labels[row % len(labels)]}
        for row in range(count)
    ]


def scored(count: int, seed: int) -> list[dict[str, object]]:
    """Pairs with a score."""
    return [{**row, "score": number % 6} for number, row in enumerate(labelled(("",), count, seed))]


def write_data(folder: Path) -> Path:
    """One data set of each kind, two-way NLI included."""
    write_rows(folder / "nli/snli/train.jsonl.gz", labelled(NLI_LABELS, 30, 1))
    write_rows(folder / "nli/snli/dev.jsonl.gz", labelled(NLI_LABELS, 12, 2))
    write_rows(folder / "nli/rte/train.jsonl.gz", labelled((NLI_LABELS[0], NOT_ENTAILMENT), 8, 3))
    write_rows(folder / "nli/rte/dev.jsonl.gz", labelled((NLI_LABELS[0], NOT_ENTAILMENT), 8, 4))
    write_rows(folder / "similarity/stsb/dev.jsonl.gz", scored(12, 5))
    write_rows(folder / "paraphrase/mrpc/train.jsonl.gz", labelled(PARAPHRASE_LABELS, 10, 6))
    write_rows(folder / "paraphrase/mrpc/dev.jsonl.gz", labelled(PARAPHRASE_LABELS, 10, 7))
    write_rows(folder / "single/cola/dev.jsonl.gz", [{"sentence1": "alone", "label": "acceptable"}])
    return folder


def write_teacher_cache(folder: Path, rows: int = 64) -> Path:
    """What training.teacher leaves, with random unit targets."""
    folder.mkdir(parents=True)
    texts = sentences(rows, 8)
    targets = np.random.default_rng(9).standard_normal((rows, TARGET_DIM))
    targets /= np.linalg.norm(targets, axis=1, keepdims=True)
    (folder / "sentences.txt").write_text("".join(text + "\n" for text in texts))
    np.save(folder / "targets.npy", targets.astype(np.float16))
    (folder / "state.json").write_text(json.dumps({"identity": {}, "done": rows}))
    make_tokenizer().save(str(folder / "tokenizer.json"))
    Recipe().then("teach", [Source(name="text", licence="none", reference="made up")]).write(folder)
    return folder
