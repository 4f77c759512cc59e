"""On a GPU: are the kernels right, how fast are they, and how fast is DistilBERT there?

    python -m loadtest.gpu.__main__ [--json gpu.json]

First the kernels on their own, against the float64 reference; nothing is timed unless they are right. Then medians
after a warm-up: the kernels and DistilBERT as float16 in PyTorch by the device's clock; the student's whole model and
DistilBERT as float16 in ONNX Runtime by the host's, synchronised; each at 256, 32 and 1 sentences of 64 tokens, and the
kernel of pairs at as many pairs. At last CPU and GPU at growing runs, which gives the setting ``gpu_min_tokens``. Needs
PyTorch with CUDA. What needs onnxruntime-gpu is left out, and said to be, where that is missing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import onnxruntime as ort
import torch

from cmow.service.errors import ProviderError
from cmow.service.machine.native import cuda_library_path
from cmow.service.model.bundle import SIMILARITY, Bundle, load_bundle
from cmow.service.model.engine import NO_PAIRS, Engine, EngineOptions
from cmow.service.model.placement import Gpu, open_gpu
from cmow.service.model.session import CUDA, PROVIDER_OPTIONS, open_bundle, session_options
from cmow.service.options.arguments import count
from cmow.service.text.tokenizer import PackedTokens, Tokenizer
from export.bench.pairs import PairsBenchConfig
from export.distilbert import INPUTS, FirstTokenState, save_model
from export.ops.tables import bundle_tables
from export.work.bench_pairs import random_batch
from loadtest.gpu.kernel import (
    Kernels,
    Tensors,
    check,
    empty_pooled,
    empty_rows,
    kernel_seconds,
    limits,
    on_device,
    seconds,
    shares,
)
from training.loop.machine import machine

BATCHES, TOKENS = (256, 32, 1), 64
PAIR_TOKENS = ((17, 17), (64, 64), (200, 200))  # of a pair's sentences: in shared memory, in all of it, in a workspace
RUN_TOKENS = tuple(2**n for n in range(4, 15))  # where CPU and GPU are compared
PACKAGES = ("torch", "transformers", "onnxruntime", "onnxruntime-gpu", "numpy")
Report = dict[str, Any]


def about_machine() -> Report:
    """The machine, and its GPU."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version,clocks.max.sm,memory.total", "--format=csv,noheader"]
    return machine(PACKAGES) | {
        "gpu": subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip(),
        "compute capability": ".".join(map(str, torch.cuda.get_device_capability())),
        "cuda of torch": torch.version.cuda,
    }


def read_tokens(bundle: Bundle, text: Path, count: int) -> np.ndarray:
    """``count`` tokens of real text, repeated where it is too short."""
    texts = [line for line in text.read_text(encoding="utf-8").splitlines() if line.strip()]
    ids = Tokenizer(bundle.tokenizer_path, bundle.manifest.max_tokens).encode(texts).token_ids
    return np.resize(ids, count)


def batch_of(ids: np.ndarray, sentences: int) -> dict[str, np.ndarray]:
    """The first ``sentences`` * TOKENS tokens as packed sentences of TOKENS each."""
    return {"token_ids": ids[: sentences * TOKENS], "cu_seqlens": np.arange(sentences + 1, dtype=np.int64) * TOKENS}


def time_kernels(kernels: Kernels, bundle: Bundle, ids: np.ndarray, device: dict[str, float]) -> Report:
    """Of every table dtype and batch: microseconds, sentences a second, shares of the device's limits."""
    results: Report = {}
    for dtype, tables in bundle_tables(bundle).items():
        on_gpu = on_device(tables)
        for sentences in BATCHES:
            inputs: Tensors = {**on_gpu, **on_device(batch_of(ids, sentences))}
            taken = kernel_seconds(partial(kernels.encode, inputs, empty_rows(inputs)))
            results[f"kernel {dtype}, {sentences} x {TOKENS}"] = rate(sentences, taken) | shares(inputs, taken, device)
    return results


def time_pairs(kernels: Kernels) -> Report:
    """Of batches of pairs of short and of long sentences: microseconds, pairs a second, int8 multiply-adds a second."""
    results: Report = {}
    for first, second in PAIR_TOKENS:
        for pairs in BATCHES:
            config = PairsBenchConfig(pairs=pairs, first=first, second=second)
            inputs = on_device(random_batch(config))
            taken = kernel_seconds(partial(kernels.encode_pairs, inputs, empty_pooled(inputs)))
            speed = {"us": 1e6 * taken, "pairs/s": pairs / taken, "int8 MAC/s": config.multiplications / taken}
            results[f"pairs, {pairs} x ({first} + {second})"] = speed
    return results


def rate(sentences: int, taken: float) -> dict[str, float]:
    """Time and speed."""
    return {"us": 1e6 * taken, "sentences/s": sentences / taken}


def time_torch(ids: np.ndarray) -> Report:
    """DistilBERT as float16 in PyTorch; its weights are random, which does not change its speed."""
    model, results = FirstTokenState().half().cuda().eval(), {}
    for sentences in BATCHES:
        token_ids = torch.from_numpy(ids[: sentences * TOKENS].reshape(sentences, TOKENS)).cuda()
        with torch.inference_mode():
            taken = seconds(partial(model, token_ids, torch.ones_like(token_ids)))
        results[f"DistilBERT PyTorch fp16, {sentences} x {TOKENS}"] = rate(sentences, taken)
    return results


def time_ort_distilbert(ids: np.ndarray, folder: Path) -> Report:
    """DistilBERT as float16 in ONNX Runtime, inputs and output on the device."""
    results = {}
    for sentences in BATCHES:
        token_ids = np.ascontiguousarray(ids[: sentences * TOKENS].reshape(sentences, TOKENS))
        sample = torch.from_numpy(token_ids)
        path = folder / f"distilbert-{sentences}.onnx"
        save_model(FirstTokenState().half(), path, (sample, torch.ones_like(sample)), ("state",), dynamic=False)
        providers = [(CUDA, PROVIDER_OPTIONS[CUDA]), "CPUExecutionProvider"]
        session = ort.InferenceSession(str(path), session_options(1), providers=providers)
        call = bound(session, dict(zip(INPUTS, (token_ids, np.ones_like(token_ids)), strict=True)), "state")
        results[f"DistilBERT ONNX Runtime fp16, {sentences} x {TOKENS}"] = rate(sentences, wall_seconds(call))
    return results


def bound(session: ort.InferenceSession, inputs: dict[str, np.ndarray], output: str) -> Callable[[], object]:
    """A run with inputs that lie on the device and an output that stays there."""
    binding = session.io_binding()
    for name, array in inputs.items():
        binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array, "cuda", 0))
    binding.bind_output(output, "cuda", 0)

    def run() -> None:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return run


def wall_seconds(call: Callable[[], object], repeats: int = 50) -> float:
    """Median time of a call that ends when its work is done, after a warm-up."""
    for _ in range(5):
        call()
    taken = []
    for _ in range(repeats):
        start = perf_counter()
        call()
        taken.append(perf_counter() - start)
    return median(taken)


def model_inputs(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Inputs of the similarity's graph that ask for the embedding of every sentence alone."""
    return {**batch, "pairs": NO_PAIRS}


def time_student(gpu: Gpu, ids: np.ndarray) -> Report:
    """The student's whole model to embeddings, from and to NumPy as it serves, and with everything on the device."""
    results = {}
    for sentences in BATCHES:
        inputs = model_inputs(batch_of(ids, sentences))
        ways: dict[str, Callable[[], object]] = {
            "as served": partial(gpu.run, SIMILARITY, "embeddings", inputs),
            "on the device": bound(gpu.model.sessions[SIMILARITY], inputs, "embeddings"),
        }
        for name, call in ways.items():
            results[f"student {name}, {sentences} x {TOKENS}"] = rate(sentences, wall_seconds(call))
    return results


def find_threshold(gpu: Gpu, bundle: Bundle, ids: np.ndarray, threads: int) -> Report:
    """Microseconds of runs on the CPU and on the GPU, and the least tokens from which on the GPU is always faster."""
    cpu = Engine(bundle, EngineOptions(threads=threads, require_fused_op=True))
    rows, least = [], RUN_TOKENS[-1] * 2
    for tokens in RUN_TOKENS:
        cu_seqlens = np.arange(0, tokens + 1, 16)
        sentences = np.arange(len(cu_seqlens) - 1)
        packed = PackedTokens(ids[:tokens], cu_seqlens, np.zeros(len(sentences), bool))
        pairs = np.stack([sentences, sentences[::-1]], axis=1)
        inputs = {"token_ids": packed.token_ids, "cu_seqlens": cu_seqlens, "pairs": pairs}
        on_cpu = wall_seconds(partial(cpu.score, "similarity", packed, pairs))
        on_gpu = wall_seconds(partial(gpu.run, SIMILARITY, "similarity", inputs))
        rows.append({"tokens": tokens, "cpu us": 1e6 * on_cpu, "gpu us": 1e6 * on_gpu})
    for row in reversed(rows):
        if row["gpu us"] > row["cpu us"]:
            break
        least = int(row["tokens"])
    return {"cpu threads": threads, "runs": rows, "gpu_min_tokens": least}


def check_model(gpu: Gpu, bundle: Bundle, ids: np.ndarray) -> float:
    """Largest difference of an embedding between the CPU and the GPU."""
    inputs = model_inputs(batch_of(ids, BATCHES[0]))
    expected = open_bundle(bundle, require_fused_op=True).run(SIMILARITY, "embeddings", inputs)
    return float(np.abs(gpu.run(SIMILARITY, "embeddings", inputs) - expected).max())


def measure_sessions(bundle: Bundle, ids: np.ndarray, threads: int) -> Report:
    """What needs onnxruntime-gpu; raises ``ProviderError`` where that is unavailable."""
    gpu = open_gpu(bundle)
    report: Report = {"largest difference from the CPU": check_model(gpu, bundle, ids)}
    report["times"] = time_student(gpu, ids)
    report["routing"] = find_threshold(gpu, bundle, ids, threads)
    with tempfile.TemporaryDirectory() as folder:
        report["times"] |= time_ort_distilbert(ids, Path(folder))
    return report


def ratios(times: Report) -> dict[str, float]:
    """How many times longer DistilBERT takes than the student's kernel on int8 tables, as bundled."""
    own = {sentences: times[f"kernel int8, {sentences} x {TOKENS}"]["us"] for sentences in BATCHES}
    return {
        name: row["us"] / own[int(name.split(", ")[1].split()[0])]
        for name, row in times.items()
        if name.startswith("DistilBERT")
    }


def measure(options: argparse.Namespace) -> Report:
    """Check and time everything."""
    library = cuda_library_path()
    if not torch.cuda.is_available():
        raise SystemExit("expected a GPU that PyTorch can use, found none: nothing is measured")
    if library is None:
        raise SystemExit("expected libhybrid_encode_cuda.so to be installed, found none: install cmow where nvcc is")
    bundle, kernels = load_bundle(options.bundle), Kernels(library)
    report: Report = {"machine": about_machine(), "checks": check(kernels), "limits": limits()}
    ids = read_tokens(bundle, options.text, RUN_TOKENS[-1])
    report["times"] = time_kernels(kernels, bundle, ids, report["limits"]) | time_pairs(kernels) | time_torch(ids)
    try:
        sessions = measure_sessions(bundle, ids, options.threads)
        report["times"] |= sessions.pop("times")
        report["onnxruntime"] = sessions
    except ProviderError as error:
        report["onnxruntime"] = {"left out": str(error)}
    return report | {"DistilBERT / kernel int8": ratios(report["times"])}


def main() -> None:
    """Print the report, and write it as JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=Path("service/bundle"))
    parser.add_argument("--text", type=Path, default=Path("tests/data/sentences.txt"), help="a sentence a line")
    parser.add_argument("--threads", type=count, default=2, help="threads of the CPU that the GPU is compared with")
    parser.add_argument("--json", type=Path, help="also write the report to this file")
    options = parser.parse_args()
    report = measure(options)
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    for name, row in report["times"].items():
        print(f"{name:44}" + "".join(f"  {key} {value:,.3g}" for key, value in row.items()))
    print(json.dumps({key: value for key, value in report.items() if key != "times"}, indent=2))


if __name__ == "__main__":
    main()
