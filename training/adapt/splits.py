"""How somebody's pairs are held out: by folds that share no text, so that nothing scored has been read before.

Letters: P pairs, B sentences.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

FEW = 5000  # rows, below which every one of them is held out once; of more a tenth is enough
FOLDS, TENTHS = 5, 10

Rows = NDArray[np.int64]


def held_out(pairs: Rows, strata: Rows, seed: int) -> list[Rows]:
    """Rows to hold out, a model for each: five parts of few ``pairs`` [P, 2] of sentences, a tenth of many.

    Classes or levels of scores, ``strata`` [P], come in each part as in all. Pairs that share a text, over however many
    others, stay together; where that leaves fewer parts than asked for, as with one text in all of them, pairs are
    taken as they come.
    """
    parts = FOLDS if len(pairs) < FEW else TENTHS
    groups = linked(pairs)
    if len(np.unique(groups)) >= parts and np.bincount(groups).max() <= len(pairs) // parts:
        split = StratifiedGroupKFold(parts, shuffle=True, random_state=seed).split(pairs, strata, groups)
    else:
        split = StratifiedKFold(parts, shuffle=True, random_state=seed).split(pairs, strata)
    found = [rows for _, rows in split]
    return found if len(pairs) < FEW else found[:1]


def linked(pairs: Rows) -> Rows:
    """Numbers [P] that are the same for ``pairs`` [P, 2] which a chain of shared sentences links."""
    size = int(pairs.max(initial=-1)) + 1
    links = coo_matrix((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(size, size))
    _, numbers = connected_components(links, directed=False)
    return np.asarray(numbers[pairs[:, 0]], np.int64)
