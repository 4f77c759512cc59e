"""Libraries that find nearest vectors: what building and asking takes on one thread, and what is found.

faiss is there as `cmow-dedupe` uses it; usearch and hnswlib, as graphs (HNSW), where they are installed.
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import cmow
from cmow.service.dedupe.index import CosineIndex
from cmow.service.model.engine import Floats, Ints
from cmow.service.options.arguments import count
from training.data.sentences import distinct_sentences

QUERIES = 500
COUNT = 11  # the nearest ten, and the query itself
DUPLICATE = 0.7  # cosine from which a neighbour counts as one that should be found
LINKS, BUILT_WITH, ASKED_WITH = 16, 64, 64  # of a graph: to each vector, and how many are looked at

Ask = Callable[[Floats], Ints]


def main() -> None:
    """A line for each library; one that is missing says so."""
    options = _parser().parse_args()
    with cmow.load(threads=1) as model:
        vectors = model.engine.embed(distinct_sentences(options.data, options.rows, 0)[: options.rows])
    rows = np.random.default_rng(0).choice(len(vectors), min(QUERIES, len(vectors)), replace=False)
    cosines = vectors[rows] @ vectors.T
    nearest = np.argsort(-cosines, axis=1)[:, :COUNT]
    due = np.take_along_axis(cosines, nearest, 1) >= DUPLICATE
    for name, build in LIBRARIES.items():
        if find_spec(name) is None:
            print(f"{name}: not installed")
            continue
        start = time.process_time()
        ask = build(vectors)
        built = time.process_time()
        found = ask(vectors[rows])
        seconds = time.process_time() - built
        recall = np.array([np.isin(row, other) for row, other in zip(nearest, found, strict=True)])[due].mean()
        line = f"built in {built - start:.1f} s, {1e6 * seconds / len(rows):.0f} microseconds a query"
        print(f"{name}: {line}, finds {100 * recall:.1f} % of what has a cosine from {DUPLICATE} on", flush=True)


def _faiss(vectors: Floats) -> Ask:
    index = CosineIndex(vectors.shape[1], len(vectors), lambda size: vectors[:size], threads=1)
    index.add(np.arange(len(vectors)), vectors)
    return lambda queries: index.search(queries, COUNT)[1]


def _usearch(vectors: Floats) -> Ask:
    index = _module("usearch.index").Index(
        ndim=vectors.shape[1],
        metric="cos",
        dtype="i8",
        connectivity=LINKS,
        expansion_add=BUILT_WITH,
        expansion_search=ASKED_WITH,
    )
    index.add(np.arange(len(vectors)), vectors, threads=1)
    return lambda queries: np.asarray(index.search(queries, COUNT, threads=1).keys, np.int64)


def _hnswlib(vectors: Floats) -> Ask:
    index = _module("hnswlib").Index("ip", vectors.shape[1])
    index.init_index(len(vectors), M=LINKS, ef_construction=BUILT_WITH)
    index.add_items(vectors, num_threads=1)
    index.set_ef(ASKED_WITH)

    def ask(queries: Floats) -> NDArray[np.int64]:
        return np.asarray(index.knn_query(queries, COUNT, num_threads=1)[0], np.int64)

    return ask


def _module(name: str) -> Any:
    """A library that nothing else here needs."""
    return importlib.import_module(name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m loadtest.dedupe.libraries", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of sentences, as training takes it")
    parser.add_argument("--rows", type=count, default=100_000, help="default: 100000")
    return parser


LIBRARIES: dict[str, Callable[[Floats], Ask]] = {"faiss": _faiss, "usearch": _usearch, "hnswlib": _hnswlib}


if __name__ == "__main__":
    main()
