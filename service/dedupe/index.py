"""Nearest vectors by cosine, of a set that grows. It needs faiss, the extra ``dedupe``.

Letters: m width of a vector, Q queries, k neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt
from typing import Any

import numpy as np

from cmow.service.model.engine import Floats, Ints

EXACT = 1 << 15  # vectors up to which all are compared; from here on there are 45 to a list, and k-means needs 39
LISTS = 4  # for each root of the number of vectors, as faiss recommends for up to a million
PROBES = 32  # lists that a query looks into


class CosineIndex:
    """Unit vectors float32 [m], kept as float16, in lists around centroids; a query looks into the nearest lists.

    ``size`` vectors at most are expected; up to ``EXACT`` of them all are compared. ``sample`` gives float32 [S, m] of
    about so many vectors as it is asked for, typical of all, to find the centroids.
    """

    def __init__(self, width: int, size: int, sample: Callable[[int], Floats], threads: int) -> None:
        import faiss  # here, so that whoever lacks it is told which extra has it

        faiss.omp_set_num_threads(threads)
        if size <= EXACT:
            self._index: Any = faiss.index_factory(width, "IDMap,SQfp16", faiss.METRIC_INNER_PRODUCT)
        else:
            lists = LISTS * isqrt(size)
            self._index = faiss.index_factory(width, f"IVF{lists},SQfp16", faiss.METRIC_INNER_PRODUCT)
            self._index.nprobe = PROBES
            self._index.train(sample(40 * lists))

    def add(self, ids: Ints, vectors: Floats) -> None:
        """``vectors`` [Q, m] under ``ids`` [Q]."""
        self._index.add_with_ids(vectors, ids)

    def search(self, vectors: Floats, count: int) -> tuple[Floats, Ints]:
        """Cosines float32 [Q, k] and ids int64 [Q, k] of the ``count`` nearest, best first; -1 where none is left."""
        cosines, ids = self._index.search(vectors, count)
        return np.asarray(cosines, np.float32), np.asarray(ids, np.int64)
