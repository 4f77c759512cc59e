"""Runs the model: packed sentences and pairs in, scores out.

Letters: B sentences, N packed tokens, P pairs, m similarity width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise, starmap

import numpy as np
from numpy.typing import NDArray

from cmow.service.errors import BundleError, InferenceError
from cmow.service.machine.cpu import usable_cpus
from cmow.service.model.bundle import ENCODER, ENTAILMENT, PARAPHRASE, SIMILARITY, Bundle
from cmow.service.model.placement import Provider, place
from cmow.service.model.relatedness import Evidence, relatedness
from cmow.service.model.session import ORT_ERRORS
from cmow.service.text.pairs import SentencePairs
from cmow.service.text.tokenizer import PackedTokens, Tokenizer

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

PART_TOKENS = 1024  # a third of a millisecond; less is not worth a thread of its own
NO_PAIRS: Ints = np.empty((0, 2), np.int64)
PROBE = [("A man is playing a guitar.", "Somebody makes music.")]


@dataclass(frozen=True)
class EngineOptions:
    """How to run."""

    threads: int = 0  # runs side by side; 0 takes what affinity mask and cgroup quota grant
    require_fused_op: bool = False  # refuse to run on the portable encoder
    # A request beyond these is cut into several runs, so that memory stays the same; a longer pair runs alone.
    run_tokens: int = 16_384
    run_pairs: int = 256  # each takes some 20 kB for each step of the entailment head
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
        self.tokenizer = _tokenizer(bundle, self.threads)
        self.placement = place(bundle, options.require_fused_op, options.provider, options.gpu_min_tokens)
        self._runners = ThreadPoolExecutor(self.threads, "run")
        self.kernel = self.placement.cpu.kernel
        self.provider = self.placement.provider
        try:
            self.check()
        except InferenceError as error:
            raise BundleError(f"{bundle.path}: the model does not work: {error}") from error

    @property
    def degraded(self) -> list[str]:
        """What is worse than it should be, in words."""
        return [reason for reason in (self.kernel.degraded, self.tokenizer.degraded) if reason is not None]

    def similarity(self, pairs: Sequence[tuple[str, str]]) -> Floats:
        """Cosines [P] of ``pairs`` of texts."""
        sentences = SentencePairs.of(pairs)
        return self.score_similarity(self.tokenizer.encode(sentences.texts), sentences.index)

    def entailment(self, pairs: Sequence[tuple[str, str]]) -> Floats:
        """Probabilities [P, 3] of ``pairs`` (premise, hypothesis), columns as in the manifest's ``labels``."""
        sentences = SentencePairs.of(pairs)
        return self.score_entailment(self.tokenizer.encode(sentences.texts), sentences.index)

    def paraphrase(self, pairs: Sequence[tuple[str, str]]) -> Floats:
        """Probabilities [P] that the two texts of each of ``pairs`` say the same; the same for both orders."""
        sentences = SentencePairs.of(pairs)
        return self.score_paraphrase(self.tokenizer.encode(sentences.texts), sentences.index)

    def relatedness(self, pairs: Sequence[tuple[str, str]]) -> Floats:
        """How related [P], from 0 to 1, the two texts of each of ``pairs`` are; the same for both orders."""
        sentences = SentencePairs.of(pairs)
        return self.score_relatedness(self.tokenizer.encode(sentences.texts), sentences.index)

    def embed(self, texts: Sequence[str]) -> Floats:
        """Unit-length similarity vectors [B, m] of ``texts``."""
        packed = self.tokenizer.encode(texts)
        return self.score_embeddings(packed, np.arange(len(packed)).repeat(2).reshape(-1, 2))

    def score_embeddings(self, packed: PackedTokens, pairs: Ints) -> Floats:
        """Unit-length similarity vectors [P, m] of the left rows of ``pairs`` [P, 2], which are cut like any pairs."""
        width = self.bundle.manifest.dims.similarity_dim
        return self._in_runs(packed, pairs, np.empty((0, width), np.float32), self._embed_run)

    def score_similarity(self, packed: PackedTokens, pairs: Ints) -> Floats:
        """Cosines [P] of ``pairs`` [P, 2], rows of ``packed``."""
        return self._in_runs(packed, pairs, np.empty(0, np.float32), self._similarity_run)

    def score_entailment(self, packed: PackedTokens, pairs: Ints) -> Floats:
        """Probabilities [P, 3] of ``pairs`` [P, 2], rows of ``packed``, premise first."""
        empty = np.empty((0, len(self.bundle.manifest.labels)), np.float32)
        return self._in_runs(packed, pairs, empty, self._entailment_run)

    def score_paraphrase(self, packed: PackedTokens, pairs: Ints) -> Floats:
        """Probabilities [P] of ``pairs`` [P, 2], rows of ``packed``."""
        return self._in_runs(packed, pairs, np.empty(0, np.float32), self._paraphrase_run)

    def score_relatedness(self, packed: PackedTokens, pairs: Ints) -> Floats:
        """Relatedness [P] of ``pairs`` [P, 2], rows of ``packed``."""
        return self._in_runs(packed, pairs, np.empty(0, np.float32), self._relatedness_run)

    def states(self, packed: PackedTokens) -> Floats:
        """States [B, D] of the encoder, before any head."""
        rows = np.arange(len(packed)).repeat(2).reshape(-1, 2)
        width = self.bundle.manifest.dims.embedding_dim
        return self._in_runs(packed, rows, np.empty((0, width), np.float32), self._states_run)

    def check(self) -> None:
        """Run every task on a fixed pair; raises ``InferenceError`` unless the scores are what scores must be."""
        self.placement.check()
        similarity, entailment, paraphrase = self.similarity(PROBE), self.entailment(PROBE), self.paraphrase(PROBE)
        if not (abs(similarity) <= 1 + 1e-5).all():
            raise InferenceError(f"expected a cosine from -1 to 1, got {similarity.tolist()}")
        if not ((entailment >= 0).all() and abs(entailment.sum(axis=1) - 1).max() < 1e-5):
            raise InferenceError(f"expected probabilities that sum to 1, got {entailment.tolist()}")
        if not ((paraphrase >= 0) & (paraphrase <= 1)).all():
            raise InferenceError(f"expected a probability, got {paraphrase.tolist()}")

    def _in_runs(
        self, packed: PackedTokens, pairs: Ints, empty: Floats, run: Callable[[PackedTokens, Ints], Floats]
    ) -> Floats:
        """Results of ``run`` on slices of ``pairs`` within the budget, joined; ``empty`` is the result for no pair."""
        slices = self._slices(packed, pairs)
        if slices == [slice(0, len(pairs))]:
            return run(packed, pairs)

        def run_slice(rows: slice) -> Floats:
            used, local = np.unique(pairs[rows], return_inverse=True)
            return run(packed.take(used), local.reshape(-1, 2))

        return np.concatenate([empty, *self._runners.map(run_slice, slices)])

    def _slices(self, packed: PackedTokens, pairs: Ints) -> list[slice]:
        """Consecutive ``pairs`` for one run each: as few as the budget allows, but enough for all threads."""
        tokens, count = len(packed.token_ids), len(pairs)
        max_tokens, max_pairs = self.options.run_tokens, self.options.run_pairs
        if tokens > max_tokens or not 0 < count <= max_pairs:
            return list(cut(packed.lengths, pairs, max_tokens, max_pairs))
        parts = 1 if self.placement.on_gpu(tokens) else max(1, min(self.threads, count, tokens // PART_TOKENS))
        bounds = [count * part // parts for part in range(parts + 1)]
        return list(starmap(slice, pairwise(bounds)))

    def _similarity_run(self, packed: PackedTokens, pairs: Ints) -> Floats:
        return self._run(SIMILARITY, "similarity", packed, pairs)

    def _entailment_run(self, packed: PackedTokens, pairs: Ints) -> Floats:
        return self._run(ENTAILMENT, "entailment", packed, pairs)

    def _paraphrase_run(self, packed: PackedTokens, pairs: Ints) -> Floats:
        return self._run(PARAPHRASE, "paraphrase", packed, pairs)

    def _relatedness_run(self, packed: PackedTokens, pairs: Ints) -> Floats:
        cosine = self._similarity_run(packed, pairs)
        both_ways = self._entailment_run(packed, np.concatenate([pairs, pairs[:, ::-1]]))
        manifest = self.bundle.manifest
        return relatedness(manifest.relatedness, Evidence.of(cosine, both_ways, manifest.labels))

    def _embed_run(self, packed: PackedTokens, pairs: Ints) -> Floats:
        return self._run(SIMILARITY, "embeddings", packed, NO_PAIRS)[pairs[:, 0]]

    def _states_run(self, packed: PackedTokens, pairs: Ints) -> Floats:
        return self._run(ENCODER, "states", packed)[pairs[:, 0]]

    def _run(self, graph: str, output: str, packed: PackedTokens, pairs: Ints | None = None) -> Floats:
        """``output`` of ``graph``; raises ``InferenceError`` unless all its numbers are finite."""
        inputs = {"token_ids": packed.token_ids, "cu_seqlens": packed.cu_seqlens}
        if pairs is not None:
            inputs["pairs"] = pairs
        try:
            values = self.placement.run(graph, output, inputs)
        except ORT_ERRORS as error:
            raise InferenceError(f"ONNX Runtime: {error}") from error
        if values.size and not np.isfinite(values).all():
            raise InferenceError(f"expected finite numbers, got {values[~np.isfinite(values)][0]} in {output}")
        return values


def cut(lengths: Ints, pairs: Ints, max_tokens: int, max_pairs: int) -> Iterator[slice]:
    """Slices of consecutive ``pairs`` [P, 2], each of at most ``max_pairs`` pairs and ``max_tokens`` tokens.

    ``lengths`` [B] are the sentences' tokens; a sentence counts once in a slice. A pair that is too long on its own has
    a slice to itself.
    """
    start, tokens, seen = 0, 0, set[int]()
    for row, pair in enumerate(pairs.tolist()):
        new = sum(int(lengths[sentence]) for sentence in {*pair} - seen)
        if row > start and (tokens + new > max_tokens or row - start == max_pairs):
            yield slice(start, row)
            start, tokens, seen = row, 0, set()
            new = sum(int(lengths[sentence]) for sentence in {*pair})
        tokens += new
        seen.update(pair)
    if len(pairs) > start:
        yield slice(start, len(pairs))


def _tokenizer(bundle: Bundle, threads: int) -> Tokenizer:
    """The bundle's tokenizer, whose ids must all have a row in the model's tables."""
    tokenizer = Tokenizer(bundle.tokenizer_path, bundle.manifest.max_tokens, threads)
    rows = bundle.manifest.dims.vocab_size
    if tokenizer.vocab_size > rows:
        raise BundleError(f"{bundle.tokenizer_path}: expected token ids below {rows}, found {tokenizer.vocab_size - 1}")
    return tokenizer
