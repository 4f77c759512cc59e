"""Minimal pairs as labelled pairs: what training and evaluation read."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from training.data.files import NLI_LABELS
from training.data.labelled import ACCEPTED, LabelledPairs
from training.minimal_pairs.relations import Pair


def labelled(pairs: Iterable[Pair]) -> LabelledPairs:
    """``pairs`` with their labels; NaN and no accepted label where construction does not say."""
    known = list(pairs)
    return LabelledPairs.of(
        [(pair.first, pair.second) for pair in known],
        np.array([ACCEPTED[pair.entailment] for pair in known], bool).reshape(-1, len(NLI_LABELS)),
        np.array([np.nan if pair.relatedness is None else pair.relatedness for pair in known]),
        np.array([np.nan if pair.paraphrase is None else float(pair.paraphrase) for pair in known]),
    )
