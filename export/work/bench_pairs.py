"""The work of ``export.bench.pairs``.

Every round times every contestant, one after the other; what is printed are medians. The rate counts the
multiplications of the integer products alone, and all else's time all the same; sgemm's are of float32.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping

import numpy as np
from threadpoolctl import threadpool_limits

from cmow.service.machine.native import kernel_isa, library_path
from export.bench.pairs import PairsBenchConfig
from export.bench.timing import interleave
from export.graphs.session import bound_run, open_session
from export.ops.op_model import op_model
from export.ops.pairs_body import encode_pairs_function
from export.ops.signatures import ENCODE_PAIRS
from export.ops.tables import Arrays
from export.work.bench import SGEMM_SIDE, sgemm_contestants
from training.errors import TrainingError

TOKEN_INPUTS = ("token_ids", "cu_seqlens", "pairs")


def random_batch(config: PairsBenchConfig, seed: int = 0) -> Arrays:
    """Random inputs of the op; every sentence is in one pair."""
    rng = np.random.default_rng(seed)
    w, q, blocks = config.width, config.keys, config.blocks
    columns = {"mix": (blocks, 3 * w), "key": (blocks, q), "fuse": (blocks, 4, w)}
    weights = {"mix": (blocks, w, 3 * w), "key": (blocks, w, q), "fuse": (blocks, 4, w, w)}
    lengths = np.tile([config.first, config.second], config.pairs)
    return {
        "token_ids": rng.integers(0, config.vocabulary, config.tokens),
        "cu_seqlens": np.concatenate([[0], lengths.cumsum()]),
        "pairs": np.arange(2 * config.pairs).reshape(-1, 2),
        "rows": rng.integers(-127, 128, (config.vocabulary, w), np.int8),
        "scales": np.full(config.vocabulary, 1 / 64, np.float32),
        "places": 0.3 * rng.standard_normal((64, w), np.float32),
        **{name: rng.integers(-63, 64, shape, np.int8) for name, shape in weights.items()},
        **{f"{name}_scales": np.full(shape, 1 / (40 * w), np.float32) for name, shape in columns.items()},
        **{f"{name}_bias": np.zeros((blocks, q if name == "key" else w), np.float32) for name in columns},
    }


def time_contestants(config: PairsBenchConfig) -> dict[str, float]:
    """Median seconds of the sgemms, the fused op and the portable body."""
    library = library_path()
    if library is None:
        raise TrainingError("expected the native library (cmow_native/libhybrid_encode.so) to be installed, found none")
    batch = random_batch(config)
    feeds = {name: batch[name] for name in TOKEN_INPUTS}
    constants = {name: array for name, array in batch.items() if name not in feeds}
    model = op_model(feeds, constants, encode_pairs_function(), ENCODE_PAIRS)
    with threadpool_limits(config.threads):
        op, body = (bound_run(open_session(model, path, config.threads), feeds) for path in (library, None))
        contestants = {**sgemm_contestants(), f"op {kernel_isa(library)}": op, "portable body": body}
        seconds = interleave(contestants, {}, config.rounds, 0)
    return {name: statistics.median(values) for name, values in seconds.items()}


def print_report(medians: Mapping[str, float], config: PairsBenchConfig) -> None:
    """Milliseconds, microseconds a pair, and thousand million multiplications a second."""
    print(f"{config}\n\n{'':16}{'ms':>10}{'us / pair':>12}{'GMAC/s':>10}")
    for name, median in medians.items():
        is_sgemm = name.startswith("sgemm")
        each = "" if is_sgemm else f"{1e6 * median / config.pairs:.2f}"
        rate = (SGEMM_SIDE**3 if is_sgemm else config.multiplications) / median / 1e9
        print(f"{name:16}{1e3 * median:10.2f}{each:>12}{rate:10.1f}")


def main(config: PairsBenchConfig) -> None:
    """Bench and print."""
    print_report(time_contestants(config), config)
