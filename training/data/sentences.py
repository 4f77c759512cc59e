"""The sentences of a data folder, each once."""

from __future__ import annotations

import random
from pathlib import Path

from training.data.files import plain_sentences, task_sentences


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
