"""What ships for adaptation: general pairs to go on answering, and marks of the pairs that the model is scored on.

    python -m training.adapt.general --data DIR    # make both anew from a data folder

General pairs are of SNLI (CC BY-SA 4.0, Bowman et al., EMNLP 2015) and MultiNLI (OANC and other terms, Williams et al.,
NAACL 2018), of their training splits; minimal pairs, which the generator makes when they are needed, join them.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import numpy as np

from training.data.files import split_files
from training.data.labelled import GOLD_FOLDERS, LabelledPairs, TextPair, label_names, read_labelled, read_split
from training.errors import one_line_errors
from training.minimal_pairs.generate import pairs as minimal_pairs
from training.minimal_pairs.labels import labelled
from training.minimal_pairs.words import Lexicon
from training.options import parse_options

HERE = Path(__file__).parent
GENERAL, SCORED = HERE / "general.jsonl.gz", HERE / "scored_pairs.bin"
SOURCES = ("snli", "mnli")
MARK_BYTES = 5  # of a pair: of 100,000 others one in ten million is taken for one of 50,000


@dataclass(frozen=True)
class GeneralConfig:
    """What to make."""

    data: Path = field(metadata={"help": "data folder (see training/data/files.py)"})
    pairs: int = field(default=2000, metadata={"help": "pairs of each source"})
    seed: int = field(default=0, metadata={"help": "seed of the choice"})


def general_pairs(count: int, seed: int) -> LabelledPairs:
    """``count`` pairs of those that ship and of a third constructed ones, or as many as there are, by chance."""
    made = labelled(minimal_pairs(Lexicon.of("train"), seed, count // 3))
    shipped = read_labelled(GENERAL, "entailment")
    some = np.random.default_rng(seed).permutation(len(shipped))[: count - len(made)]
    return LabelledPairs.joined([shipped.take(some), made])


def mark(pair: TextPair) -> bytes:
    """Of a pair, whatever its case, its spaces and the order of its sides."""
    sides = sorted(" ".join(text.casefold().split()) for text in pair)
    return blake2b("\0".join(sides).encode(), digest_size=MARK_BYTES).digest()


def marks_of_scored() -> frozenset[bytes]:
    """The marks of all pairs by which the shipped model is scored."""
    content = SCORED.read_bytes()
    return frozenset(content[at : at + MARK_BYTES] for at in range(0, len(content), MARK_BYTES))


def make(config: GeneralConfig) -> None:
    """Write both files."""
    random, splits = np.random.default_rng(config.seed), read_split(config.data, "train", "entailment")
    chosen = [splits[name].take(random.permutation(len(splits[name]))[: config.pairs]) for name in SOURCES]
    with gzip.GzipFile(GENERAL, "wb", mtime=0) as file:
        for line in _lines(LabelledPairs.joined(chosen)):
            file.write(line)
    dev = [(path, task) for task, folder in GOLD_FOLDERS.items() for path in split_files(config.data, "dev", (folder,))]
    SCORED.write_bytes(b"".join(sorted({mark(pair) for path, task in dev for pair in read_labelled(path, task).texts})))


def _lines(pairs: LabelledPairs) -> Iterable[bytes]:
    for (first, second), label in zip(pairs.texts, label_names(pairs.entailment), strict=True):
        row = {"sentence1": first, "sentence2": second, "label": label}
        yield json.dumps(row, ensure_ascii=False).encode() + b"\n"


if __name__ == "__main__":
    with one_line_errors():
        make(parse_options(GeneralConfig))
