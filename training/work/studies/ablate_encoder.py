"""The work of ``training.studies.ablate_encoder``.

Sizes of vectors and matrices, several smaller matrices instead of one, and other ways to pool the vectors than their
mean. Prints a Markdown table of dev scores and costs; what has run already is not run again.

Letters: B sentences, N packed tokens, V vocabulary, K heads, e vector size, d matrix side, D embedding size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from training.data.identity import recorded
from training.distill import DistillConfig
from training.loop.parallel import one_process
from training.loop.run import once
from training.student.heads import SimilarityHead
from training.student.model import Embedder, HybridEncoder, StudentConfig
from training.studies.ablate_encoder import AblateEncoderConfig
from training.work.distill import Distillation, inputs
from training.work.studies.figures import read_curves

Pooling = Literal["mean", "weighted", "attention", "maximum"]


@dataclass(frozen=True)
class Shape:
    """An encoder: ``heads`` times vectors [e] and matrices [d, d] of each token, and how its vectors are pooled.

    ``weighted``: a mean with a learned weight for each token of the vocabulary. ``attention``: one with weights by the
    product of vector and a learned query. ``maximum``: the maximum beside the mean.
    """

    vector_dim: int = 400
    matrix_dim: int = 20
    heads: int = 1
    pooling: Pooling = "mean"

    @property
    def embedding_dim(self) -> int:
        """D."""
        pooled = self.vector_dim * (2 if self.pooling == "maximum" else 1)
        return self.heads * (pooled + 2 * self.matrix_dim**2)

    @property
    def token_flops(self) -> int:
        """Floating-point operations for a token: two matrix products and a sum for each head, and the pooling."""
        pooling = {"mean": 0, "weighted": 1, "attention": 3, "maximum": 1}[self.pooling]
        return self.heads * (2 * 2 * self.matrix_dim**3 + (1 + pooling) * self.vector_dim)

    @property
    def row_numbers(self) -> int:
        """Numbers that the tables hold of a token."""
        return self.heads * (self.vector_dim + 2 * self.matrix_dim**2)


SHAPES = {
    "vectors of 400, matrices of 20 x 20: the model": Shape(),
    "vectors of 1198 alone": Shape(1198, 1),  # matrices of 1 x 1 scale to a sign
    "vectors of 48, matrices of 24 x 24": Shape(48, 24),
    "vectors of 800, matrices of 14 x 14": Shape(800, 14),
    "vectors of 400, matrices of 10 x 10": Shape(400, 10),
    "four heads: vectors of 100, matrices of 10 x 10": Shape(100, 10, heads=4),
    "words weighed in the mean": Shape(pooling="weighted"),
    "attention instead of the mean": Shape(pooling="attention"),
    "maximum beside the mean": Shape(pooling="maximum"),
    "vectors of 400, matrices of 28 x 28": Shape(400, 28),
}
SCORES = {"stsb_spearman": "STS-B", "sick_spearman": "SICK-R"}


class ShapedStudent(Embedder):
    """A student of one ``shape`` with the similarity head alone."""

    def __init__(self, shape: Shape, vocab_size: int, similarity_dim: int) -> None:
        super().__init__()
        self.shape, self.vocab_size = shape, vocab_size
        # Heads are further rows of the tables, so that one pass computes them all.
        rows = StudentConfig(shape.heads * vocab_size, matrix_dim=shape.matrix_dim, vector_dim=shape.vector_dim)
        self.encoder = HybridEncoder(rows)
        self.weights = nn.Embedding(rows.vocab_size, 1) if shape.pooling == "weighted" else None
        self.query = nn.Linear(shape.vector_dim, 1, bias=False) if shape.pooling == "attention" else None
        for learned in (self.weights, self.query):
            if learned is not None:
                nn.init.zeros_(learned.weight)  # at first the mean
        self.similarity_head = SimilarityHead(shape.embedding_dim, similarity_dim)

    def embed(self, token_ids: Tensor, cu_seqlens: Tensor) -> Tensor:
        """Unit-length similarity vectors [B, m]."""
        B, N = len(cu_seqlens) - 1, len(token_ids)
        heads = torch.arange(self.shape.heads, device=self.device)[:, None]
        ids = (token_ids + heads * self.vocab_size).flatten()  # [K N]
        ends = (cu_seqlens[1:] + heads * N).flatten()
        pooled = self.pooled(ids, torch.cat([cu_seqlens[:1], ends]))  # [K B, D / K]
        vectors: Tensor = self.similarity_head(pooled.view(self.shape.heads, B, -1).transpose(0, 1).flatten(1))
        return vectors

    def pooled(self, token_ids: Tensor, cu_seqlens: Tensor) -> Tensor:
        """Embeddings [B, D] of packed sentences."""
        encoded: Tensor = self.encoder(token_ids, cu_seqlens)
        if self.shape.pooling == "mean":
            return encoded
        vectors = self.encoder.token_vectors(token_ids)
        sentences = torch.repeat_interleave(cu_seqlens.diff())  # [N]
        if self.shape.pooling == "maximum":
            return torch.cat([encoded, segment_maximum(vectors, sentences, len(encoded))], dim=1)
        scores = self.weights(token_ids) if self.weights is not None else None
        scores = self.query(vectors) if self.query is not None else scores
        assert scores is not None
        mean = segment_mean(vectors, scores.exp(), sentences, len(encoded))
        return torch.cat([mean, encoded[:, self.shape.vector_dim :]], dim=1)


def segment_maximum(rows: Tensor, segments: Tensor, count: int) -> Tensor:
    """Maxima [count, e] of the ``rows`` [N, e] of each of ``segments`` [N]; zeros for one without rows."""
    places = segments[:, None].expand_as(rows)
    return rows.new_zeros(count, rows.shape[1]).scatter_reduce(0, places, rows, "amax", include_self=False)


def segment_mean(rows: Tensor, weights: Tensor, segments: Tensor, count: int) -> Tensor:
    """Means [count, e] of the ``rows`` [N, e] of each of ``segments`` [N] by positive ``weights`` [N, 1]."""
    totals = rows.new_zeros(count, rows.shape[1]).index_add(0, segments, weights * rows)
    return totals / weights.new_zeros(count, 1).index_add(0, segments, weights).clamp_min(torch.finfo(rows.dtype).tiny)


def distill_options(out: Path, config: AblateEncoderConfig) -> DistillConfig:
    """Those of one run, into the folder ``out``."""
    return DistillConfig(
        config.data,
        config.teacher_cache,
        out=out,
        epochs=config.epochs,
        batch=config.batch,
        checkpoint_steps=10**9,  # the end alone
        seed=config.seed,
        device=config.device,
    )


def run_shape(shape: Shape, options: DistillConfig) -> None:
    """Distil a student of ``shape``."""
    world = one_process(options.device)
    torch.manual_seed(options.seed)
    distillation = Distillation.open(options, world)
    student = ShapedStudent(shape, distillation.vocab_size, distillation.similarity_dim).to(world.device)
    distillation.run(student, world, lambda: None)
    (options.out / "resume.pt").unlink()  # half a gigabyte


def row(name: str, shape: Shape, out: Path) -> str:
    """The table's line for a run that has ended."""
    curves = read_curves(out / "metrics.jsonl")
    scores = [f"{100 * curves[measure][-1][1]:.1f}" if measure in curves else "" for measure in SCORES]
    costs = [f"{shape.row_numbers:,}", f"{shape.token_flops / 1000:,.0f} k"]
    loss = f"{curves['loss'][-1][1]:.3f}"
    return f"| {' | '.join([name, loss, *scores, *costs])} |"


def table(config: AblateEncoderConfig, shapes: dict[str, Shape]) -> Iterator[str]:
    """Lines of a Markdown table with a row for each of ``shapes``, which are run first where they have not ended."""
    for place, shape in enumerate(shapes.values()):
        options = distill_options(config.out / str(place), config)
        once(options.out, recorded(options) | asdict(shape), inputs(options), partial(run_shape, shape, options))
    header = ["encoder", "mean loss", *SCORES.values(), "numbers a token", "FLOPs a token"]
    yield "| " + " | ".join(header) + " |"
    yield "|" + " --- |" * len(header)
    for place, (name, shape) in enumerate(shapes.items()):
        yield row(name, shape, config.out / str(place))


def main(config: AblateEncoderConfig) -> None:
    """Run what has not run, and print the table."""
    for line in table(config, SHAPES):
        print(line)
