"""The student: bidirectional CMOW/CBOW-Hybrid encoder with a similarity head and a DiffCat entailment head.

Galke et al., "General Cross-Architecture Distillation of Pretrained Language Models into Matrix Embeddings" (IJCNN
2022, arXiv 2109.08449), section 3; the encoder goes back to Mai et al., "CBOW Is Not All You Need" (ICLR 2019).

Letters: B sentences, N packed tokens, V vocabulary, d matrix side, e vector size, D = e + 2 d^2 embedding size,
P pairs.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from training.data import NLI_LABELS
from training.product import hybrid_encode, hybrid_states


class CheckpointError(RuntimeError):
    """A checkpoint is missing, damaged or of another shape."""


@dataclass(frozen=True)
class StudentConfig:
    """Sizes of the student; the defaults are the paper's (its section 4)."""

    vocab_size: int = 30_522  # bert-base-uncased WordPiece, so that teacher and student read the same tokens
    matrix_dim: int = 20  # d
    vector_dim: int = 400  # e = d^2, the paper's even split between order-aware and bag-of-words parts
    similarity_dim: int = 384  # m, the width of all-MiniLM-L6-v2's embeddings
    hidden_dim: int = 1000  # of the DiffCat MLP
    dropout: float = 0.1  # of the MLP's inputs and hidden units
    init_noise: float = 0.01  # standard deviation of the noise around the identity, and of the vectors

    @property
    def embedding_dim(self) -> int:
        """D, the length of one sentence's embedding."""
        return self.vector_dim + 2 * self.matrix_dim**2


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

    def states(self, token_ids: Tensor, cu_seqlens: Tensor) -> Tensor:
        """Per-token states float32 [N, D]: the token's vector, the prefix product and the suffix product at it."""
        return hybrid_states(token_ids, cu_seqlens, *self.tables())


class SimilarityHead(nn.Module):
    """Projection to the teacher's space; the cosine there is the similarity."""

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.projection = nn.Linear(config.embedding_dim, config.similarity_dim)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Unit-length vectors [B, m] of encoder embeddings [B, D]."""
        projected: Tensor = self.projection(embeddings)
        return F.normalize(projected, dim=-1)


class EntailmentHead(nn.Module):
    """DiffCat MLP with one hidden layer (the paper's section 3.4), with two additions.

    Embeddings are standardised first, since their parts differ in scale (the diagonal of a product is near one, most of
    its other elements near zero), and to the paper's [u ; v ; |u - v|] comes the product u * v.
    """

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.standardise = nn.BatchNorm1d(config.embedding_dim, affine=False)
        self.hidden: nn.Module = nn.Linear(4 * config.embedding_dim, config.hidden_dim)
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(config.hidden_dim, len(NLI_LABELS))

    def forward(self, premise: Tensor, hypothesis: Tensor) -> Tensor:
        """Logits [P, 3] in the order of ``NLI_LABELS`` for embeddings [P, D] of premises and hypotheses."""
        both = torch.stack([premise, hypothesis])  # [2, P, D]
        u, v = self.standardise(both.flatten(0, 1)).view_as(both)
        features = torch.cat([u, v, (u - v).abs(), u * v], dim=-1)  # [P, 4 D]
        hidden = F.relu(self.hidden(self.dropout(features)))  # [P, hidden]
        logits: Tensor = self.output(self.dropout(hidden))
        return logits


class Student(nn.Module):
    """Encoder and heads."""

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = HybridEncoder(config)
        self.similarity_head = SimilarityHead(config)
        self.entailment_head = EntailmentHead(config)
        self.paraphrase_threshold = nn.Buffer(torch.tensor(0.5))  # cosine; fitted after training

    def embed(self, token_ids: Tensor, cu_seqlens: Tensor) -> Tensor:
        """Unit-length similarity vectors [B, m]."""
        vectors: Tensor = self.similarity_head(self.encoder(token_ids, cu_seqlens))
        return vectors

    def entail(self, token_ids: Tensor, cu_seqlens: Tensor) -> Tensor:
        """Logits [B / 2, 3]; sentence 2 p is the premise of pair p and 2 p + 1 its hypothesis."""
        embeddings = self.encoder(token_ids, cu_seqlens)
        logits: Tensor = self.entailment_head(embeddings[0::2], embeddings[1::2])
        return logits


def save_student(student: Student, folder: Path) -> None:
    """Write ``config.json`` and ``student.safetensors`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(asdict(student.config), indent=2) + "\n")
    save_file(student.state_dict(), folder / "student.safetensors")


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
