"""The work of ``export.bench``.

Every round times every contestant, one after the other, so that a busy moment of the machine hits all of them; what
is printed are medians. DistilBERT takes part in the first rounds only, since a pass takes seconds.

Idle thread pools sleep, so that the sessions do not take the processor from one another. What cannot be made equal: the
op reads its tables from the shared cache, where a matrix product works out of a core's own, so that busy neighbours
cost the op more than sgemm.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from cmow.service.machine.native import kernel_isa, library_path
from cmow.service.model.bundle import Bundle, load_bundle
from cmow.service.text.tokenizer import Tokenizer
from export.bench.__main__ import BenchConfig
from export.bench.corpus import read_sentences
from export.bench.timing import CALLS, Contestants, interleave
from export.distilbert import distilbert_sessions
from export.graphs.session import bound_run, open_session
from export.ops.hybrid_body import hybrid_encode_function
from export.ops.op_model import op_model
from export.ops.tables import Arrays, bundle_tables
from training.data.atomic import write_json
from training.errors import TrainingError
from training.loop.machine import machine

SGEMM_SIDE = 1536  # large enough for a BLAS to reach its peak, small enough to take a tenth of a second
PACKAGES = ("numpy", "onnxruntime", "torch", "transformers")


def about_machine(threads: int) -> dict[str, Any]:
    """The machine, and what of it takes part."""
    library = library_path()
    return machine(PACKAGES) | {"threads": threads, "kernel": kernel_isa(library) if library else None}


def read_batch(bundle: Bundle, config: BenchConfig) -> dict[str, NDArray[np.int64]]:
    """Real text, joined and cut to [sentences, tokens]; repeated where it is too short."""
    texts = read_sentences(config.text)
    ids = Tokenizer(bundle.tokenizer_path, bundle.manifest.max_tokens).encode(texts).token_ids
    count = config.sentences * config.tokens
    token_ids = np.fromiter(islice(cycle(ids.tolist()), count), np.int64, count)
    return {"token_ids": token_ids, "cu_seqlens": np.arange(config.sentences + 1) * np.int64(config.tokens)}


def op_contestants(bundle: Bundle, batch: Arrays, threads: int) -> Contestants:
    """The op with the bundle's tables in every dtype, and the portable body with the bundle's own."""
    library = library_path()
    if library is None:
        raise TrainingError("expected the native library (cmow_native/libhybrid_encode.so) to be installed, found none")
    own, variants = bundle.manifest.table_dtype, bundle_tables(bundle)
    models = {f"op {dtype}": op_model(batch, constants=variant) for dtype, variant in variants.items()}
    sessions = {name: open_session(model, library, threads) for name, model in models.items()}
    body = op_model(batch, constants=variants[own], body=hybrid_encode_function(own))
    sessions[f"portable body {own}"] = open_session(body, threads=threads)
    return {name: bound_run(session, batch) for name, session in sessions.items()}


def sgemm_contestants() -> Contestants:
    """The machine's matrix product, float32, by NumPy's BLAS and by torch."""
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((2, SGEMM_SIDE, SGEMM_SIDE), dtype=np.float32)
    out = np.empty_like(left)
    torch_left, torch_right, torch_out = (torch.from_numpy(matrix) for matrix in (left, right, np.empty_like(left)))
    return {
        "sgemm numpy": partial(np.matmul, left, right, out=out),
        "sgemm torch": partial(torch.mm, torch_left, torch_right, out=torch_out),
    }


def baseline_contestants(folder: Path, batch: Arrays, config: BenchConfig) -> Contestants:
    """DistilBERT on the same tokens, all of them attended to."""
    sentences = config.baseline_sentences or config.sentences
    ids = batch["token_ids"].reshape(config.sentences, config.tokens)[:sentences]
    feeds = {"token_ids": ids, "attention_mask": np.ones_like(ids)}
    sessions = distilbert_sessions(folder, sentences, config.tokens, config.threads)
    return {name: partial(session.run, None, feeds) for name, session in sessions.items()}


def product_flops(side: int, config: BenchConfig) -> float:
    """Floating-point operations of the products: two directions of 2 d^3 for each token after a sentence's first."""
    return 2.0 * 2.0 * side**3 * (config.tokens - 1) * config.sentences


def summarise(seconds: Mapping[str, list[float]], side: int, config: BenchConfig) -> dict[str, dict[str, float]]:
    """Milliseconds for the whole batch and, where they mean something, GFLOP/s and its share of sgemm's."""
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    sgemm = {name: 2.0 * SGEMM_SIDE**3 / medians[name] / 1e9 for name in medians if name.startswith("sgemm")}
    bar = max(sgemm.values())
    result: dict[str, dict[str, float]] = {}
    for name, median in medians.items():
        if name in sgemm:
            result[name] = {"ms": 1e3 * median, "gflops": sgemm[name], "of_sgemm": sgemm[name] / bar}
        elif name.startswith("DistilBERT"):
            scale = config.sentences / (config.baseline_sentences or config.sentences)
            result[name] = {"ms": 1e3 * median * scale}
        else:
            gflops = product_flops(side, config) / median / 1e9
            result[name] = {"ms": 1e3 * median, "gflops": gflops, "of_sgemm": gflops / bar}
    return result


def ratios(results: Mapping[str, Mapping[str, float]], op: str) -> dict[str, float]:
    """How many times longer than ``op`` the others take for the same batch."""
    others = [name for name in results if name.startswith(("portable", "DistilBERT"))]
    return {f"{name} / {op}": results[name]["ms"] / results[op]["ms"] for name in others}


def print_report(report: Mapping[str, Any], config: BenchConfig) -> None:
    """The report for reading."""
    for key, value in report["machine"].items():
        print(f"{key}: {value}")
    print(f"\n{config.sentences} x {config.tokens} tokens, {report['distinct tokens']} distinct ones, of {config.text}")
    print(f"medians of {config.rounds} interleaved rounds of {CALLS} calls")
    print(f"sgemm: {SGEMM_SIDE}^3, float32; the faster of the two is the bar")
    if config.baseline_rounds:
        print(f"DistilBERT: untrained random weights, speed only; {config.baseline_rounds} rounds")
    if config.baseline_sentences:
        print(f"DistilBERT ran {config.baseline_sentences} sentences; its time is scaled to {config.sentences}")
    print(f"\n{'':24}{'ms':>12}{'GFLOP/s':>10}{'of sgemm':>10}")
    for name, row in report["results"].items():
        rates = f"{row['gflops']:10.1f}{row['of_sgemm']:10.0%}" if "gflops" in row else ""
        print(f"{name:24}{row['ms']:12.2f}{rates}")
    for name, ratio in report["ratios"].items():
        print(f"{name}: {ratio:,.0f} times")


def bench(config: BenchConfig) -> dict[str, Any]:
    """Time everything; raises ``BundleError`` where there is no bundle."""
    bundle = load_bundle(config.bundle, verify_hashes=False)
    batch = read_batch(bundle, config)
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(config.threads):
        slow = baseline_contestants(Path(folder), batch, config) if config.baseline_rounds else {}
        quick = sgemm_contestants() | op_contestants(bundle, batch, config.threads)
        about = about_machine(config.threads)
        seconds = interleave(quick, slow, config.rounds, config.baseline_rounds)
    results = summarise(seconds, bundle.manifest.dims.matrix_dim, config)
    settings = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(config).items()}
    return {
        "machine": about,
        "settings": settings,
        "distinct tokens": len(np.unique(batch["token_ids"])),
        "results": results,
        "ratios": ratios(results, f"op {bundle.manifest.table_dtype}"),
    }


def main(config: BenchConfig) -> None:
    """Bench, print, and write JSON where asked to."""
    report = bench(config)
    print_report(report, config)
    if config.json is not None:
        write_json(config.json, report)
