"""Runs the model: packed sentences and pairs in, scores out.

Letters: B sentences, N packed tokens, P pairs, m similarity width, D state width.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise, starmap
from typing import Literal, NamedTuple
from weakref import WeakMethod

import numpy as np
from numpy.typing import NDArray

from cmow.service.errors import BundleError, InferenceError
from cmow.service.machine.cpu import usable_cpus
from cmow.service.model.bundle import ENCODER, ENTAILMENT, PARAPHRASE, RELATEDNESS, SIMILARITY, Bundle, Manifest
from cmow.service.model.placement import place
from cmow.service.model.relatedness import relatedness
from cmow.service.model.session import ORT_ERRORS
from cmow.service.options.defaults import Provider
from cmow.service.text.pairs import SentencePairs
from cmow.service.text.tokenizer import PackedTokens, Tokenizer

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

PART_TOKENS = 1024  # a third of a millisecond; less is not worth a thread of its own
NO_PAIRS: Ints = np.empty((0, 2), np.int64)
PROBE = [("A man is playing a guitar.", "Somebody makes music.")]

TaskName = Literal["similarity", "paraphrase", "relatedness", "evidence", "entailment", "embed", "states"]


@dataclass(frozen=True)
class Budget:
    """The most that one run of the model takes."""

    tokens: int
    pairs: int


@dataclass(frozen=True)
class EngineOptions:
    """How to run."""

    threads: int = 0  # runs side by side; 0 takes what affinity mask and cgroup quota grant
    require_fused_op: bool = False  # refuse to run on the portable encoder
    # More is cut into several runs, so that memory stays the same; a longer pair runs alone. A pair takes some 20 kB
    # for each step of the entailment head.
    budget: Budget = Budget(tokens=16_384, pairs=256)
    provider: Provider = "cpu"
    gpu_min_tokens: int = 0  # a run of fewer tokens goes to the CPU


class Engine:
    """One model, on the CPU and, where there is one, a GPU. All methods may be called from many threads at once.

    Raises ``BundleError``, ``KernelError`` or ``ProviderError`` when it cannot start.
    """

    def __init__(self, bundle: Bundle, options: EngineOptions = EngineOptions()) -> None:
        self.bundle = bundle
        self.options = options
        self.threads = options.threads or usable_cpus()
        with ThreadPoolExecutor(1) as opening:  # sessions and tokenizer, side by side: a start waits for both
            placing = opening.submit(place, bundle, options.require_fused_op, options.provider, options.gpu_min_tokens)
            self.tokenizer = _tokenizer(bundle, self.threads)
            self.placement = placing.result()
        self._start_threads()
        self.kernel = self.placement.cpu.kernel
        self.provider = self.placement.provider
        _renew_after_fork(self._start_threads)
        try:
            self.check()
        except InferenceError as error:
            raise BundleError(f"{bundle.path}: the model does not work: {error}") from error

    @property
    def degraded(self) -> list[str]:
        """What is worse than it should be, in words."""
        return [reason for reason in (self.kernel.degraded, self.tokenizer.degraded) if reason is not None]

    def score(self, task: TaskName, packed: PackedTokens, pairs: Ints) -> Floats:
        """Results [P, ...] of ``task`` for ``pairs`` [P, 2], rows of ``packed``; see ``TASKS``.

        Tasks on single sentences take the left row of each pair. Raises ``InferenceError``.
        """
        run = TASKS[task].run
        slices = self._slices(packed, pairs)
        if slices == [slice(0, len(pairs))]:
            return run(self, packed, pairs)

        def run_slice(rows: slice) -> Floats:
            used, local = np.unique(pairs[rows], return_inverse=True)
            return run(self, packed.take(used), local.reshape(-1, 2))

        none = np.empty((0, *TASKS[task].shape(self.bundle.manifest)), np.float32)
        return np.concatenate([none, *self._runners.map(run_slice, slices)])

    def answer(self, task: TaskName, pairs: Sequence[tuple[str, str]]) -> Floats:
        """Results [P, ...] of ``task`` for ``pairs`` of texts; a text without a token counts as one of no words."""
        sentences = SentencePairs.of(pairs)
        return self.score(task, self.tokenizer.encode(sentences.texts), sentences.index)

    def embed(self, texts: Sequence[str]) -> Floats:
        """Unit-length similarity vectors [B, m] of ``texts``."""
        return self.score("embed", self.tokenizer.encode(texts), with_itself(len(texts)))

    def check(self) -> None:
        """Run every task on a fixed pair; raises ``InferenceError`` unless the scores are what scores must be."""
        self.placement.check()
        similarity, entailment = self.answer("similarity", PROBE), self.answer("entailment", PROBE)
        paraphrase, relatedness = self.answer("paraphrase", PROBE), self.answer("evidence", PROBE)[:, 1]
        if not (abs(similarity) <= 1 + 1e-5).all():
            raise InferenceError(f"expected a cosine from -1 to 1, got {similarity.tolist()}")
        if not ((entailment >= 0).all() and abs(entailment.sum(axis=1) - 1).max() < 1e-5):
            raise InferenceError(f"expected probabilities that sum to 1, got {entailment.tolist()}")
        for probability in (paraphrase, relatedness):
            if not ((probability >= 0) & (probability <= 1)).all():
                raise InferenceError(f"expected a probability, got {probability.tolist()}")

    def close(self) -> None:
        """End the threads once what they do is done."""
        self._runners.shutdown()

    def run(self, graph: str, output: str, packed: PackedTokens, pairs: Ints | None = None) -> Floats:
        """``output`` of ``graph`` in one run; raises ``InferenceError`` unless all its numbers are finite."""
        inputs = {"token_ids": packed.token_ids, "cu_seqlens": packed.cu_seqlens}
        if pairs is not None:
            inputs["pairs"] = pairs
        try:
            values = self.placement.sessions(len(packed.token_ids)).run(graph, output, inputs)
        except ORT_ERRORS as error:
            raise InferenceError(f"ONNX Runtime: {error}") from error
        if values.size and not np.isfinite(values).all():
            raise InferenceError(f"expected finite numbers, got {values[~np.isfinite(values)][0]} in {output}")
        return values

    def _slices(self, packed: PackedTokens, pairs: Ints) -> list[slice]:
        """Consecutive ``pairs`` for one run each: as few as the budget allows, but enough for all threads."""
        tokens, count, budget = len(packed.token_ids), len(pairs), self.options.budget
        if tokens > budget.tokens or not 0 < count <= budget.pairs:
            return list(cut(packed.lengths, pairs, budget))
        parts = 1 if self.placement.on_gpu(tokens) else max(1, min(self.threads, count, tokens // PART_TOKENS))
        bounds = [count * part // parts for part in range(parts + 1)]
        return list(starmap(slice, pairwise(bounds)))

    def _start_threads(self) -> None:
        self._runners = ThreadPoolExecutor(self.threads, "run")


Run = Callable[[Engine, PackedTokens, Ints], Floats]


class Task(NamedTuple):
    """One of the things that the model computes: the shape of a result, and how one run gives P of them."""

    shape: Callable[[Manifest], tuple[int, ...]]
    run: Run


def _of_pairs(graph: str, output: str) -> Run:
    return lambda engine, packed, pairs: engine.run(graph, output, packed, pairs)


_evidence = _of_pairs(RELATEDNESS, "evidence")


def _relatedness(engine: Engine, packed: PackedTokens, pairs: Ints) -> Floats:
    return relatedness(engine.bundle.manifest.relatedness, _evidence(engine, packed, pairs))


def _embed(engine: Engine, packed: PackedTokens, pairs: Ints) -> Floats:
    return engine.run(SIMILARITY, "embeddings", packed, NO_PAIRS)[pairs[:, 0]]


def _states(engine: Engine, packed: PackedTokens, pairs: Ints) -> Floats:
    return engine.run(ENCODER, "states", packed)[pairs[:, 0]]


# Cosines; probabilities that both say the same; relatedness from 0 to 1, and what it is made of; probabilities of the
# manifest's ``labels`` (premise first); unit-length similarity vectors; states of the encoder before any head.
TASKS: Mapping[TaskName, Task] = {
    "similarity": Task(lambda manifest: (), _of_pairs(SIMILARITY, "similarity")),
    "paraphrase": Task(lambda manifest: (), _of_pairs(PARAPHRASE, "paraphrase")),
    "relatedness": Task(lambda manifest: (), _relatedness),
    "evidence": Task(lambda manifest: (2,), _evidence),
    "entailment": Task(lambda manifest: (len(manifest.labels),), _of_pairs(ENTAILMENT, "entailment")),
    "embed": Task(lambda manifest: (manifest.dims.similarity_dim,), _embed),
    "states": Task(lambda manifest: (manifest.dims.embedding_dim,), _states),
}


def with_itself(count: int) -> Ints:
    """Each of ``count`` sentences B paired with itself, [B, 2], for tasks on single sentences."""
    return np.arange(count).repeat(2).reshape(-1, 2)


def cut(lengths: Ints, pairs: Ints, budget: Budget) -> Iterator[slice]:
    """Slices of consecutive ``pairs`` [P, 2], each within ``budget``.

    ``lengths`` [B] are the sentences' tokens; a sentence counts once in a slice. A pair that is too long on its own has
    a slice to itself.
    """
    start, tokens, seen = 0, 0, set[int]()
    for row, pair in enumerate(pairs.tolist()):
        new = sum(int(lengths[sentence]) for sentence in {*pair} - seen)
        if row > start and (tokens + new > budget.tokens or row - start == budget.pairs):
            yield slice(start, row)
            start, tokens, seen = row, 0, set()
            new = sum(int(lengths[sentence]) for sentence in {*pair})
        tokens += new
        seen.update(pair)
    if len(pairs) > start:
        yield slice(start, len(pairs))


def _renew_after_fork(start: Callable[[], None]) -> None:
    """Call the method ``start`` in every process forked from this one, which inherits no thread of a pool."""
    method = WeakMethod(start)

    def renew() -> None:
        if (alive := method()) is not None:
            alive()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)


def _tokenizer(bundle: Bundle, threads: int) -> Tokenizer:
    """The bundle's tokenizer, whose ids must all have a row in the model's tables."""
    tokenizer = Tokenizer(bundle.tokenizer_path, bundle.manifest.max_tokens, threads)
    rows = bundle.manifest.dims.vocab_size
    if tokenizer.vocab_size > rows:
        raise BundleError(f"{bundle.tokenizer_path}: expected token ids below {rows}, found {tokenizer.vocab_size - 1}")
    return tokenizer
