"""Pairs a second, texts to scores, in one process: the student beside DistilBERT in ONNX Runtime.

    python -m export.baseline                                # once: DistilBERT's shape, for its speed
    python -m loadtest.pairs [--threads 1] [--pairs 256] [--rounds 5]

Every side tokenises and scores the same pairs of real sentences with the same threads. Sides take turns in every round;
what is printed are medians over the rounds.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from time import perf_counter

from loadtest.processes import machine
from service.baseline import Baseline, read_manifest
from service.bundle import load_bundle
from service.engine import Engine, EngineOptions

Pairs = list[tuple[str, str]]
BASELINES = ("DistilBERT int8", "DistilBERT fp32")
FAST_CALLS = 5  # of the student in a round, the median of which counts: one takes milliseconds


def read_pairs(path: Path, count: int) -> Pairs:
    """``count`` pairs of neighbouring lines of ``path``; repeated where it is too short."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return list(islice(cycle(zip(lines, lines[1:] + lines[:1], strict=True)), count))


def seconds(call: Callable[[], object], calls: int) -> float:
    """Median time of ``calls`` calls."""
    taken = []
    for _ in range(calls):
        start = perf_counter()
        call()
        taken.append(perf_counter() - start)
    return median(taken)


def main() -> None:
    """Print pairs a second of every side, and how many times DistilBERT's they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=Path("service/bundle"))
    parser.add_argument("--baseline", type=Path, default=Path("runs/baselines/distilbert-untrained"))
    parser.add_argument("--text", type=Path, default=Path("tests/data/sentences.txt"), help="a sentence a line")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    engine = Engine(load_bundle(options.bundle), EngineOptions(threads=options.threads))
    baseline = Baseline(options.baseline, read_manifest(options.baseline), options.threads)
    pairs = read_pairs(options.text, options.pairs)
    sides: dict[str, tuple[Callable[[], object], int]] = {
        "similarity": (lambda: engine.similarity(pairs), FAST_CALLS),
        "paraphrase": (lambda: engine.paraphrase(pairs), FAST_CALLS),
        "entailment": (lambda: engine.entailment(pairs), FAST_CALLS),
        "DistilBERT int8": (lambda: baseline.logits(baseline.encode(pairs), "int8"), 1),
        "DistilBERT fp32": (lambda: baseline.logits(baseline.encode(pairs), "fp32"), 1),
    }
    print(f"{machine()}; {options.threads} threads, {engine.kernel.name}, {baseline.manifest.name}")
    found: dict[str, list[float]] = {name: [] for name in sides}
    for call, _ in sides.values():
        call()
    for _ in range(options.rounds):
        for name, (call, calls) in sides.items():
            found[name].append(len(pairs) / seconds(call, calls))
    rates = {name: median(values) for name, values in found.items()}
    for name, rate in rates.items():
        against = [f"{rate / rates[side]:,.0f} times {side}" for side in BASELINES if name not in BASELINES]
        print(f"{name:16} {rate:12,.0f} pairs/s   {', '.join(against)}")


if __name__ == "__main__":
    main()
