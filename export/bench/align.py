"""Speed of ``AlignPairs`` compared with the machine's matrix product.

    python -m export.bench.align [--threads 1] [--pairs 256] [--first 14] [--second 10] [--q 32] [--k 64] [--h 64]

Every round times every contestant, one after the other; what is printed are medians. The share of sgemm counts the
multiplications of the comparisons alone, and attention's time all the same.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from cmow.service.machine.native import kernel_isa, library_path
from export.bench.__main__ import SGEMM_SIDE, sgemm_contestants
from export.bench.timing import interleave
from export.graphs.session import bound_run, open_session
from export.ops.align_body import align_pairs_function
from export.ops.op_model import op_model
from export.ops.signatures import ALIGN_PAIRS
from export.ops.tables import Arrays
from training.options import parse_options


@dataclass(frozen=True)
class AlignBenchConfig:
    """What to time."""

    threads: int = field(default=1, metadata={"help": "threads of every contestant"})
    pairs: int = field(default=256, metadata={"help": "pairs in the batch"})
    first: int = field(default=14, metadata={"help": "tokens of a pair's first sentence"})
    second: int = field(default=10, metadata={"help": "tokens of a pair's second sentence"})
    q: int = field(default=32, metadata={"help": "key size"})
    k: int = field(default=64, metadata={"help": "value size"})
    h: int = field(default=64, metadata={"help": "comparison size"})
    rounds: int = field(default=15, metadata={"help": "timed rounds of five calls, each after one that is not counted"})


def random_batch(config: AlignBenchConfig, seed: int = 0) -> Arrays:
    """Random inputs of the op; every sentence is in one pair."""
    rng = np.random.default_rng(seed)
    tokens = config.pairs * (config.first + config.second)
    shapes = {
        "keys": (tokens, config.q),
        "values": (tokens, config.k),
        "weight": (4 * config.k, config.h),
        "bias": (config.h,),
    }
    lengths = np.tile([config.first, config.second], config.pairs)
    return {
        **{name: rng.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()},
        "cu_seqlens": np.concatenate([[0], lengths.cumsum()]),
        "pairs": np.arange(2 * config.pairs).reshape(-1, 2),
    }


def time_contestants(config: AlignBenchConfig) -> dict[str, float]:
    """Median seconds of the sgemms, the fused op and the portable body."""
    library = library_path()
    if library is None:
        raise SystemExit("expected the native library (cmow_native/libhybrid_encode.so) to be installed, found none")
    batch = random_batch(config)
    weights = {name: batch[name] for name in ("weight", "bias")}
    feeds = {name: array for name, array in batch.items() if name not in weights}
    model = op_model(feeds, weights, align_pairs_function(), ALIGN_PAIRS)
    torch.set_num_threads(config.threads)
    with threadpool_limits(config.threads):
        op, body = (bound_run(open_session(model, path, config.threads), feeds) for path in (library, None))
        contestants = {**sgemm_contestants(), f"op {kernel_isa(library)}": op, "portable body": body}
        seconds = interleave(contestants, {}, config.rounds, 0)
    return {name: statistics.median(values) for name, values in seconds.items()}


def print_report(medians: Mapping[str, float], config: AlignBenchConfig) -> None:
    """Milliseconds, microseconds a pair, and GFLOP/s of the products compared with sgemm's."""
    flops = 2.0 * config.pairs * (config.first + config.second) * 4 * config.k * config.h
    rates = {name: (2.0 * SGEMM_SIDE**3 if name.startswith("sgemm") else flops) / medians[name] for name in medians}
    bar = max(rates.values())
    print(f"{config}\n\n{'':16}{'ms':>10}{'us / pair':>12}{'GFLOP/s':>10}{'of sgemm':>10}")
    for name, median in medians.items():
        each = "" if name.startswith("sgemm") else f"{1e6 * median / config.pairs:.2f}"
        print(f"{name:16}{1e3 * median:10.2f}{each:>12}{rates[name] / 1e9:10.1f}{rates[name] / bar:10.0%}")


def main(config: AlignBenchConfig) -> None:
    """Bench and print."""
    print_report(time_contestants(config), config)


if __name__ == "__main__":
    main(parse_options(AlignBenchConfig))
