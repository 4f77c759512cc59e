"""The work of ``training.studies.bench``.

prints the machine and, for the fused operator and its portable twin, the median tokens a second over several rounds of
forward and backward pass, and of those and an optimiser step, at 1,024 sentences of about 18 tokens.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from training.kernels import native
from training.kernels.native import Tables
from training.loop.machine import processor
from training.loop.optim import RowAdam
from training.student.product import hybrid_encode, scan_encode
from training.studies.bench import BenchConfig

Encode = Callable[[Tensor, Tensor, Tables], Tensor]


def zipf_batch(config: BenchConfig) -> tuple[Tensor, Tensor]:
    """(``token_ids`` int64 [N], ``cu_seqlens`` int64 [B+1]) with the token frequencies of Zipf's law."""
    generator = torch.Generator().manual_seed(config.seed)
    shortest, longest = config.tokens - config.tokens // 2, config.tokens + config.tokens // 2
    lengths = torch.randint(shortest, longest + 1, (config.sentences,), generator=generator)
    cu_seqlens = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    frequencies = 1 / torch.arange(1, config.vocab_size + 1)
    return torch.multinomial(frequencies, int(lengths.sum()), replacement=True, generator=generator), cu_seqlens


def time_rounds(encode: Encode, config: BenchConfig) -> tuple[float, float]:
    """Median tokens a second of forward + backward, and of these + a step of ``RowAdam``."""
    token_ids, cu_seqlens = zipf_batch(config)
    V = config.vocab_size
    tables = Tables(*(torch.nn.Parameter(0.01 * torch.randn(V, *shape)) for shape in ((400,), (20, 20), (20, 20))))
    optimiser = RowAdam(tables)
    grad = torch.randn(config.sentences, tables.embedding_dim)
    passes, steps = [], []
    for _ in range(config.rounds + 1):
        start = time.perf_counter()
        encode(token_ids, cu_seqlens, tables).backward(grad)
        passed = time.perf_counter()
        optimiser.step()
        steps.append(time.perf_counter() - start)
        passes.append(passed - start)
        optimiser.zero_grad()
    return len(token_ids) / statistics.median(passes[1:]), len(token_ids) / statistics.median(steps[1:])


def main(config: BenchConfig) -> None:
    """Measure and print."""
    isa = native.isa() if native.available() else "not installed"
    print(f"{processor()}, {platform.system()} {platform.machine()}, {torch.get_num_threads()} threads")
    print(f"Python {platform.python_version()}, torch {torch.__version__}, native library: {isa}")
    encoders: dict[str, Encode] = {}
    if native.available():
        encoders["fused"] = lambda token_ids, cu_seqlens, tables: hybrid_encode(token_ids, cu_seqlens, *tables)
    if not config.skip_scan:
        encoders["scan"] = scan_encode
    for name, encode in encoders.items():
        passes, steps = time_rounds(encode, config)
        print(f"{name}: forward + backward {passes:,.0f} tokens/s, with optimiser step {steps:,.0f} tokens/s")
