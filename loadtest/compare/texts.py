"""Real text in pieces of an exact length, no two the same: a side that keeps what it has seen gains nothing by it."""

from __future__ import annotations

from itertools import accumulate, cycle, islice
from pathlib import Path

from export.bench.corpus import read_sentences

Pair = tuple[str, str]


class Corpus:
    """The running text of a file; pieces begin where its sentences do, and go round at its end."""

    def __init__(self, path: Path) -> None:
        sentences = [sentence.split() for sentence in read_sentences(path)]
        self._words = [word for sentence in sentences for word in sentence]
        self._starts = [0, *accumulate(map(len, sentences))][:-1]

    def texts(self, count: int, words: int) -> list[str]:
        """``count`` texts of ``words`` words, different ones as long as the file has as many sentences."""
        return [self._piece(start, words) for start in islice(cycle(self._starts), count)]

    def pairs(self, count: int, words: int) -> list[Pair]:
        """``count`` pairs of texts of ``words`` words, the second of which goes on where the first ends."""
        starts = islice(cycle(self._starts), count)
        return [(self._piece(start, words), self._piece(start + words, words)) for start in starts]

    def one_to_many(self, count: int, words: int) -> list[Pair]:
        """``count`` pairs that share their first text."""
        first, *others = self.texts(count + 1, words)
        return [(first, other) for other in others]

    def _piece(self, start: int, words: int) -> str:
        return " ".join(islice(cycle(self._words), start % len(self._words), start % len(self._words) + words))
