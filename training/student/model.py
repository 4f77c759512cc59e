"""The student: bidirectional CMOW/CBOW-Hybrid encoder with heads for similarity, entailment and paraphrase.

Galke et al., "General Cross-Architecture Distillation of Pretrained Language Models into Matrix Embeddings" (IJCNN
2022, arXiv 2109.08449), section 3; the encoder goes back to Mai et al., "CBOW Is Not All You Need" (ICLR 2019).

Letters: B sentences, N packed tokens, V vocabulary, d matrix side, e vector size, D = e + 2 d^2 embedding size,
P pairs.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional as F

from training.data.atomic import make_folder, replace_bytes
from training.errors import TrainingError
from training.student.heads import Alignment, EntailmentHead, ParaphraseHead, SimilarityHead
from training.student.product import hybrid_encode, hybrid_states


class CheckpointError(TrainingError, RuntimeError):
    """A checkpoint is missing, damaged or of another shape."""


@dataclass(frozen=True)
class StudentConfig:
    """Sizes of the student; the defaults are the paper's (its section 4)."""

    vocab_size: int = 30_522  # bert-base-uncased WordPiece, so that teacher and student read the same tokens
    matrix_dim: int = 20  # d
    vector_dim: int = 400  # e = d^2, the paper's even split between order-aware and bag-of-words parts
    similarity_dim: int = 384  # m, the width of all-MiniLM-L6-v2's embeddings
    hidden_dim: int = 512  # of the DiffCat MLP; the paper has 1000
    paraphrase_dim: int = 256  # hidden units of the paraphrase head
    key_dim: int = 32  # q, what tokens are aligned by
    value_dim: int = 64  # k, what of a token is compared
    compare_dim: int = 64  # h, width of a comparison; 0 leaves out the alignment
    standardise: bool = True  # embeddings before the DiffCat MLP
    product: bool = True  # u * v among its features
    dropout: float = 0.1  # of the inputs and hidden units of the heads
    init_noise: float = 0.01  # standard deviation of the noise around the identity, and of the vectors

    @property
    def embedding_dim(self) -> int:
        """D, the length of one sentence's embedding."""
        return self.vector_dim + 2 * self.matrix_dim**2


# The paper's DiffCat head (its section 3.4 and 4): no standardisation, no product, no alignment.
PAPER = StudentConfig(hidden_dim=1000, compare_dim=0, standardise=False, product=False)


class PairOutputs(NamedTuple):
    """Logits of entailment [P, 3], cosine [P] and logit of paraphrase [P]."""

    entailment: Tensor
    cosine: Tensor
    paraphrase: Tensor


class HybridEncoder(nn.Module):
    """CMOW in both directions beside CBOW.

    The matrix tables hold the difference to the identity: noise around zero is the paper's noisy identity, weight decay
    pulls a matrix to "leaves the product as it is", and the difference survives rounding to int8.
    """

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        V, d, e = config.vocab_size, config.matrix_dim, config.vector_dim
        self.vectors = nn.Parameter(torch.randn(V, e) * config.init_noise)
        self.forward_deltas = nn.Parameter(torch.randn(V, d, d) * config.init_noise)
        self.backward_deltas = nn.Parameter(torch.randn(V, d, d) * config.init_noise)

    def tables(self) -> tuple[nn.Parameter, nn.Parameter, nn.Parameter]:
        """Vectors [V, e], forward and backward deltas [V, d, d]."""
        return self.vectors, self.forward_deltas, self.backward_deltas

    def forward(self, token_ids: Tensor, cu_seqlens: Tensor) -> Tensor:
        """Embeddings float32 [B, D] of packed sentences: int64 ``token_ids`` [N], ``cu_seqlens`` [B+1]."""
        return hybrid_encode(token_ids, cu_seqlens, *self.tables())

    def token_vectors(self, token_ids: Tensor) -> Tensor:
        """The vectors float32 [N, e] of ``token_ids`` [N]; their gradient is sparse."""
        return F.embedding(token_ids, self.vectors, sparse=True)

    def states(self, token_ids: Tensor, cu_seqlens: Tensor) -> Tensor:
        """Per-token states float32 [N, D]: the token's vector, the prefix product and the suffix product at it."""
        return hybrid_states(token_ids, cu_seqlens, *self.tables())


class Embedder(nn.Module):
    """A model around the encoder that gives similarity vectors; sentence teachers teach it."""

    encoder: HybridEncoder

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.encoder.vectors.device

    def embed(self, token_ids: Tensor, cu_seqlens: Tensor) -> Tensor:
        """Unit-length similarity vectors [B, m] of packed sentences: int64 ``token_ids`` [N], ``cu_seqlens`` [B+1]."""
        raise NotImplementedError


class Student(Embedder):
    """Encoder and heads."""

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.config = config
        D, dropout = config.embedding_dim, config.dropout
        self.encoder = HybridEncoder(config)
        self.similarity_head = SimilarityHead(D, config.similarity_dim)
        self.alignment = (
            Alignment(config.vector_dim, config.key_dim, config.value_dim, config.compare_dim)
            if config.compare_dim
            else None
        )
        self.entailment_head = EntailmentHead(
            D, config.hidden_dim, dropout, config.standardise, config.product, 2 * config.compare_dim
        )
        self.paraphrase_head = ParaphraseHead(D, config.paraphrase_dim, dropout, 2 * config.compare_dim)
        # Fitted after training: the cosine that separates paraphrases, what divides the logits of entailment, and what
        # is added to the logit of a paraphrase.
        self.paraphrase_threshold = nn.Buffer(torch.tensor(0.5))
        self.entailment_temperature = nn.Buffer(torch.tensor(1.0))
        self.paraphrase_shift = nn.Buffer(torch.tensor(0.0))

    def embed(self, token_ids: Tensor, cu_seqlens: Tensor) -> Tensor:
        """Unit-length similarity vectors [B, m]."""
        vectors: Tensor = self.similarity_head(self.encoder(token_ids, cu_seqlens))
        return vectors

    def forward(self, token_ids: Tensor, cu_seqlens: Tensor, pairs: Tensor) -> PairOutputs:
        """Everything about ``pairs`` int64 [P, 2], rows of the B packed sentences."""
        encoded = self.encoder(token_ids, cu_seqlens)
        return self.judge(encoded, token_ids, cu_seqlens, pairs)

    def judge(self, encoded: Tensor, token_ids: Tensor, cu_seqlens: Tensor, pairs: Tensor) -> PairOutputs:
        """Everything about ``pairs`` of sentences that are already encoded, [B, D]."""
        aligned = None
        if self.alignment is not None:
            aligned = self.alignment(self.encoder.token_vectors(token_ids), cu_seqlens, pairs)
        left, right = encoded[pairs[:, 0]], encoded[pairs[:, 1]]
        similar = (self.similarity_head(left) * self.similarity_head(right)).sum(dim=1)
        return PairOutputs(
            self.entailment_head(left, right, aligned), similar, self.paraphrase_head(left, right, aligned)
        )


def save_student(student: Student, folder: Path) -> None:
    """Write ``config.json`` and ``student.safetensors`` into ``folder``."""
    make_folder(folder)
    replace_bytes(folder / "config.json", (json.dumps(asdict(student.config), indent=2) + "\n").encode())
    replace_bytes(folder / "student.safetensors", save(student.state_dict()))


def load_student(folder: Path) -> Student:
    """The student saved in ``folder``; ``CheckpointError`` names what is missing or of another shape."""
    try:
        config = StudentConfig(**json.loads((folder / "config.json").read_text()))
        state = load_file(folder / "student.safetensors")
    except (OSError, TypeError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: expected config.json and student.safetensors: {error}") from error
    student = Student(config)
    try:
        student.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(f"{folder}: weights do not fit {config}: {error}") from error
    return student
