"""The sentences of a data folder: all of them, and each once."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from training.data.files import LABELLED_FOLDERS, plain_sentences, read_lines, split_files
from training.data.rows import read_texts


def task_sentences(data: Path) -> Iterator[str]:
    """Every sentence of the training splits and every caption: the text nearest to what pairs are made of."""
    for path in split_files(data, "train", LABELLED_FOLDERS):
        for texts in read_texts(path):
            yield from texts
    for path in sorted((data / "text").glob("*.tsv.gz")):
        for _, line in read_lines(path):
            yield from line.split("\t")


def distinct_sentences(data: Path, plain: int, seed: int) -> list[str]:
    """Task sentences, then ``plain`` ones of running text, each part in an order by ``seed``; white space is spaces."""
    shuffle = random.Random(seed).shuffle
    task = list(dict.fromkeys(" ".join(text.split()) for text in task_sentences(data)))
    known = set(task)
    spaced = (" ".join(text.split()) for text in plain_sentences(data))
    running = [text for text in dict.fromkeys(spaced) if text not in known]
    shuffle(task)
    shuffle(running)
    return [text for text in task + running[:plain] if text]
