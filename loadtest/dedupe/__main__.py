"""`cmow-dedupe` on a million rows: how long it takes, its memory, and what it finds of all that comparing all finds."""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import cmow
from cmow.service.dedupe.grouping import NEAR
from cmow.service.dedupe.options import CANDIDATES, THRESHOLD
from cmow.service.options.arguments import count
from loadtest.dedupe.rows import make_rows

BLOCK = 1 << 16  # kept rows compared with the sample at once


@dataclass(frozen=True)
class Found:
    """What a run of `cmow-dedupe` left: row numbers, from 0, of the rows kept and of those left out."""

    kept: NDArray[np.int64]
    left_out: NDArray[np.int64]


def main() -> None:
    """Run it; the lines on standard output are the figures."""
    options = _parser().parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        rows = make_rows(options.data, options.rows, options.seed)
        source = folder / "rows.jsonl"
        source.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
        found = measure(source, options.threads)
    recall, asked = recall_of(rows, found, options.sample, options.seed)
    print(f"recall against comparing all: {100 * recall:.1f} % of {asked} duplicates in a sample of {options.sample}")


def measure(source: Path, threads: int) -> Found:
    """Run the command on ``source`` and print what it takes."""
    outputs = source.with_name("kept.jsonl"), source.with_name("left_out.jsonl")
    command = [sys.executable, "-m", "cmow.service.dedupe.cli", str(source), "--threads", str(threads)]
    start = time.perf_counter()
    subprocess.run([*command, "-o", str(outputs[0]), "--duplicates", str(outputs[1])], check=True)
    seconds, used = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    kept, left_out = (np.array(_row_numbers(path)) for path in outputs)
    print(f"{len(kept) + len(left_out):,} rows, {len(left_out):,} left out")
    print(f"{seconds:.0f} s with {threads} threads, {used.ru_utime + used.ru_stime:.0f} s of CPU time")
    print(f"{used.ru_maxrss / 2**20:.2f} GiB at most", flush=True)
    return Found(kept, left_out)


def recall_of(rows: Sequence[str], found: Found, sample: int, seed: int) -> tuple[float, int]:
    """Of ``sample`` rows those that duplicate a kept row before them: the share left out, and how many there are.

    A duplicate is what `cmow-dedupe` means by it, but found by comparing with every kept row.
    """
    chosen = np.sort(np.random.default_rng(seed).choice(len(rows), min(sample, len(rows)), replace=False))
    with cmow.load() as model:
        nearest = _nearest(model, rows, chosen, found.kept)
        pairs = [(rows[row], rows[other]) for row, others in zip(chosen, nearest, strict=True) for other in others]
        same = model.engine.answer("paraphrase", pairs).reshape(len(chosen), -1) >= THRESHOLD
    duplicates = chosen[(same & (nearest >= 0)).any(axis=1)]
    return float(np.isin(duplicates, found.left_out).mean()), len(duplicates)


def _nearest(
    model: cmow.Model, rows: Sequence[str], chosen: NDArray[np.int64], kept: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The ``CANDIDATES`` nearest rows before each of ``chosen`` among ``kept``; -1 where fewer are ``NEAR``."""
    asked = model.engine.embed([rows[row] for row in chosen])
    cosines, best = np.full((len(chosen), CANDIDATES), -2.0, np.float32), np.full((len(chosen), CANDIDATES), -1)
    for start in range(0, len(kept), BLOCK):
        block = kept[start : start + BLOCK]
        found = asked @ model.engine.embed([rows[row] for row in block]).T
        found[block >= chosen[:, None]] = -2
        cosines = np.concatenate([cosines, found], axis=1)
        best = np.concatenate([best, np.broadcast_to(block, found.shape)], axis=1)
        order = np.argsort(-cosines, axis=1)[:, :CANDIDATES]
        cosines, best = np.take_along_axis(cosines, order, 1), np.take_along_axis(best, order, 1)
    return np.where(cosines >= NEAR, best, -1)


def _row_numbers(path: Path) -> list[int]:
    with path.open() as lines:
        return [json.loads(line)["cmow_row"] - 1 for line in lines]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m loadtest.dedupe", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of sentences, as training takes it")
    parser.add_argument("--rows", type=count, default=1_000_000, help="default: 1000000")
    parser.add_argument("--sample", type=count, default=1000, help="rows that are compared with all; default: 1000")
    parser.add_argument("--threads", type=count, default=2, help="default: 2")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("--folder", type=Path, help="where the files lie meanwhile; default: the system's")
    return parser


if __name__ == "__main__":
    main()
