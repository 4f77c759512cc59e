"""Pairs with what their data files say of them: NLI labels, similarity scores, paraphrase labels.

Letter: P pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.files import NLI_LABELS, NOT_ENTAILMENT, PARAPHRASE_LABELS, DataError, read_pairs

TextPair = tuple[str, str]

SCORE_RANGES = {"stsb": (0.0, 5.0), "sick": (1.0, 5.0)}  # of the similarity data, by folder


@dataclass(frozen=True)
class LabelledPairs:
    """P pairs of texts and what is known of each.

    ``entailment`` bool [P, 3]: the accepted labels in the order of ``NLI_LABELS``, none where unknown; ``similarity``
    float64 [P] in 0..1 and ``paraphrase`` float64 [P], 0 or 1: NaN where unknown.
    """

    texts: list[TextPair]
    entailment: NDArray[np.bool_]
    similarity: NDArray[np.float64]
    paraphrase: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.texts)

    @staticmethod
    def of(
        texts: Sequence[TextPair],
        entailment: NDArray[np.bool_] | None = None,
        similarity: NDArray[np.float64] | None = None,
        paraphrase: NDArray[np.float64] | None = None,
    ) -> LabelledPairs:
        """Pairs of which only what is given is known."""
        unknown = np.full(len(texts), np.nan)
        return LabelledPairs(
            list(texts),
            np.zeros((len(texts), len(NLI_LABELS)), bool) if entailment is None else entailment,
            unknown if similarity is None else similarity,
            unknown if paraphrase is None else paraphrase,
        )

    @staticmethod
    def joined(parts: Sequence[LabelledPairs]) -> LabelledPairs:
        """All pairs of ``parts`` in their order; ``DataError`` where there is no part."""
        if not parts:
            raise DataError("expected files of labelled pairs, found none")
        return LabelledPairs(
            list(chain.from_iterable(part.texts for part in parts)),
            np.concatenate([part.entailment for part in parts]),
            np.concatenate([part.similarity for part in parts]),
            np.concatenate([part.paraphrase for part in parts]),
        )

    def take(self, rows: NDArray[np.int64]) -> LabelledPairs:
        """The pairs ``rows``, in that order."""
        return LabelledPairs(
            [self.texts[row] for row in rows], self.entailment[rows], self.similarity[rows], self.paraphrase[rows]
        )


def read_nli(path: Path) -> LabelledPairs:
    """Pairs with an NLI label; ``not_entailment`` accepts both neutral and contradiction."""
    pairs = read_pairs(path, (*NLI_LABELS, NOT_ENTAILMENT))
    accepted = {label: np.array(NLI_LABELS) == label for label in NLI_LABELS}
    accepted[NOT_ENTAILMENT] = ~accepted["entailment"]
    labels = np.stack([accepted[str(pair.label)] for pair in pairs])
    return LabelledPairs.of([(pair.sentence1, pair.sentence2) for pair in pairs], entailment=labels)


def read_scored(path: Path) -> LabelledPairs:
    """Pairs with a similarity score, scaled to 0..1 by the range of the folder's data (0 to 5 where unknown)."""
    low, high = SCORE_RANGES.get(path.parent.name, (0.0, 5.0))
    pairs = read_pairs(path)
    scores = np.array([np.nan if pair.score is None else pair.score for pair in pairs])
    if not ((scores >= low) & (scores <= high)).all():
        raise DataError(f"{path}: expected scores from {low} to {high} in every row")
    return LabelledPairs.of(
        [(pair.sentence1, pair.sentence2) for pair in pairs], similarity=(scores - low) / (high - low)
    )


def read_paraphrases(path: Path) -> LabelledPairs:
    """Pairs with a paraphrase label."""
    pairs = read_pairs(path, PARAPHRASE_LABELS)
    labels = np.array([float(pair.label == PARAPHRASE_LABELS[1]) for pair in pairs])
    return LabelledPairs.of([(pair.sentence1, pair.sentence2) for pair in pairs], paraphrase=labels)
