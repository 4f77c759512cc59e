"""A million pairs by ``cmow-score --engine ray``, with a worker killed midway, against the local engine's output.

    python -m loadtest.endurance.ray_bulk       # a million pairs; 1 worker, 2, then 2 of which one is killed
    python -m loadtest.endurance.ray_bulk --workers 1 2 4 8

Prints of every run: the rate from its first block to its last, without what comes before (Ray's start, the workers'
imports and model); the processors that it kept busy meanwhile, its own process, which writes, and the workers; and what
it found in the output. Exits with 1 where a row is missing, repeated, out of order or scored otherwise, or no worker
was killed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cmow.service.options.arguments import count
from loadtest.harness.processes import cpu_seconds, machine
from loadtest.harness.traffic import WORDS

POLL_SECONDS = 0.05
BATCH_ROWS = 65_536
RAY = ("--engine", "ray", "--overwrite")


@dataclass(frozen=True)
class Sample:
    """How far a run is at a time (seconds), and the CPU seconds so far of its own process and of its workers."""

    time: float
    records: int
    driver: float
    workers: float


@dataclass(frozen=True)
class Outcome:
    """One run from its first block to its last: pairs a second, processors kept busy; and what was before, killed."""

    output: Path
    startup: float  # seconds to the first block
    rate: float
    driver: float
    workers: float
    killed: list[int]

    def __str__(self) -> str:
        busy = f"own process on {self.driver:.2f} processors, workers on {self.workers:.2f}"
        if self.killed:  # the time of its second life is not comparable
            busy = f"process {self.killed[0]} killed midway"
        return f"{self.rate:,.0f} pairs/second ({busy}; first block after {self.startup:.0f} s)"


def make_pairs(path: Path, pairs: int) -> None:
    """A Parquet file of ``pairs`` rows ``id``, ``sentence1``, ``sentence2``: 4 to 12 words each."""
    draw = random.Random(pairs)
    schema = pa.schema({"id": pa.int64(), "sentence1": pa.string(), "sentence2": pa.string()})
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, pairs, BATCH_ROWS):
            ids = range(start, min(start + BATCH_ROWS, pairs))
            texts = [[" ".join(draw.choices(WORDS, k=draw.randint(4, 12))) for _ in ids] for _ in range(2)]
            writer.write_table(pa.table([ids, *texts], schema=schema))


def score(source: Path, output: Path, flags: Sequence[str], kill_at: int | None = None) -> Outcome:
    """Run ``cmow-score``; one worker is killed once ``kill_at`` rows are written."""
    command = [sys.executable, "-m", "cmow.service.bulk.cli", str(source), "--task", "similarity"]
    command += ["-o", str(output), *flags]
    killed, start = list[int](), time.perf_counter()
    with subprocess.Popen(command) as process:
        samples = [Sample(start, 0, 0, 0)]
        while process.poll() is None:
            time.sleep(POLL_SECONDS)
            records = _records(output)
            if records > samples[-1].records:
                samples.append(_sample(process.pid, records))
            if kill_at is not None and records >= kill_at and not killed:
                killed = _kill_worker(process.pid)
    if process.returncode != 0:
        raise SystemExit(f"cmow-score ended with {process.returncode}")
    return _outcome(output, samples, killed)


def _sample(parent: int, records: int) -> Sample:
    workers = 0.0
    for pid in _workers(parent):
        with suppress(FileNotFoundError, ProcessLookupError):  # killed just now
            workers += cpu_seconds(pid)
    return Sample(time.perf_counter(), records, cpu_seconds(parent), workers)


def _outcome(output: Path, samples: Sequence[Sample], killed: list[int]) -> Outcome:
    start, first, last = samples[0], samples[1], samples[-1]
    seconds = last.time - first.time
    return Outcome(
        output=output,
        startup=first.time - start.time,
        rate=(last.records - first.records) / seconds,
        driver=(last.driver - first.driver) / seconds,
        workers=(last.workers - first.workers) / seconds,
        killed=killed,
    )


def findings(expected: Path, found: Path) -> list[str]:
    """What is wrong with the rows of ``found``, which should be those of ``expected`` one by one."""
    wrong = []
    ids = pq.read_table(found, columns=["id"]).column("id").to_pylist()
    rows = pq.ParquetFile(expected).metadata.num_rows
    if missing := len(set(range(rows)) - set(ids)):
        wrong.append(f"{missing:,} rows are missing")
    if repeated := len(ids) - len(set(ids)):
        wrong.append(f"{repeated:,} rows are repeated")
    if ids != sorted(ids):
        wrong.append("the rows are not in the order of the input")
    if not wrong and not all(
        left.equals(right) for left, right in zip(_batches(expected), _batches(found), strict=True)
    ):
        wrong.append("some scores are not those of the local engine")
    return wrong


def main() -> None:
    """Run the local engine, then Ray with each number of workers, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=count, default=1_000_000)
    more = "each scores once; the last scores again, with one of them killed"
    parser.add_argument("--workers", type=count, nargs="+", default=[1, 2], help=more)
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="cmow-ray-") as folder:
        sys.exit(_compare(Path(folder), options.pairs, options.workers))


def _compare(folder: Path, pairs: int, counts: Sequence[int]) -> int:
    source = folder / "pairs.parquet"
    make_pairs(source, pairs)
    local = score(source, folder / "local.parquet", ["--threads", "1"])
    print(f"local engine, 1 thread: {local}", flush=True)
    failed = False
    for kill_at in (None, pairs // 2):
        for workers in counts if kill_at is None else counts[-1:]:
            ray = score(source, folder / "ray.parquet", [*RAY, "--workers", str(workers)], kill_at)
            wrong = findings(local.output, ray.output) + ["no worker was killed"] * bool(kill_at and not ray.killed)
            verdict = "; ".join(wrong) or f"all {pairs:,} rows once, in order, equal to the local engine's"
            print(f"ray, {workers} workers: {ray}; {verdict}", flush=True)
            failed |= bool(wrong)
    return int(failed)


def _records(output: Path) -> int:
    """How far a run is; 0 before its first block and after its last."""
    try:
        return int(json.loads(output.with_name(f"{output.name}.partial.json").read_text())["position"]["records"])
    except FileNotFoundError:
        return 0


def _kill_worker(parent: int) -> list[int]:
    """SIGKILL to one of the Ray workers that score below the process ``parent``."""
    workers = _workers(parent)[:1]
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    return workers


def _workers(parent: int) -> list[int]:
    return [pid for pid in _descendants(parent) if _command(pid).startswith(b"ray::MapWorker")]


def _descendants(parent: int) -> Iterator[int]:
    try:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    except FileNotFoundError:
        return
    for child in map(int, children):
        yield child
        yield from _descendants(child)


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    yield from pq.ParquetFile(path).iter_batches(BATCH_ROWS)


if __name__ == "__main__":
    main()
