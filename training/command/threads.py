"""How many threads every library takes, before it is imported."""

from __future__ import annotations

import os

POOLS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")


def thread_limits(threads: int) -> dict[str, str]:
    """The environment that keeps every thread pool to ``threads``."""
    return dict.fromkeys(POOLS, str(threads)) | {"TOKENIZERS_PARALLELISM": str(threads > 1).lower()}


def limit_threads(threads: int) -> None:
    """Keep this process's pools to ``threads``, where no library has made one yet; 0 leaves them as they are."""
    if threads:
        os.environ.update(thread_limits(threads))
