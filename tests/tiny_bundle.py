"""A small bundle with random weights: the real graphs' inputs, outputs and shapes, without torch and without training.

Letters: B sentences, N packed tokens, P pairs, V vocabulary, d matrix side, e vector size, D embedding size, m
similarity width, h hidden units.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
from numpy.typing import NDArray
from onnx import numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from cmow.service.model.bundle import (
    ENCODER,
    ENTAILMENT,
    FILES,
    PARAPHRASE,
    PROJECTION,
    RELATEDNESS,
    SIMILARITY,
    TOKENIZER,
    Bundle,
    Dims,
    Manifest,
    Relatedness,
    TableDtype,
    Training,
    file_entry,
    load_bundle,
    write_manifest,
)
from export.ops.hybrid_body import hybrid_encode_function
from export.ops.hybrid_reference import hybrid_encode
from export.ops.tables import as_dtype
from training.bundle.weights import save_graphs

Array = NDArray[np.float64]

LABELS = ["entailment", "neutral", "contradiction"]
RELATED = Relatedness(cosine=0.5, head=0.3, intercept=0.3)
WORDS = [
    "a",
    "the",
    "man",
    "woman",
    "is",
    "not",
    "playing",
    "guitar",
    "music",
    "it",
    "rains",
    "somebody",
    "makes",
    "dog",
]
D_SIDE, VECTOR, WIDTH = 20, 400, 384
EMBEDDING = VECTOR + 2 * D_SIDE**2

HEAD = """
<ir_version: 9, opset_import: ["" : 18, "ai.cmow" : 1]>
tiny (int64[N] token_ids, int64[boundaries] cu_seqlens{pairs}) => ({outputs})
{{
  states = ai.cmow.HybridEncode ({tables})
"""
ROWS = """
  first = Constant <value = int64 {0}> ()
  second = Constant <value = int64 {1}> ()
  columns = Constant <value = int64[1] {1}> ()
  left_rows = Gather <axis = 1> (pairs, first)
  right_rows = Gather <axis = 1> (pairs, second)
"""
PROJECT = """
  projected = Gemm (states, projection, projection_bias)
  norm = ReduceL2 <keepdims = 1> (projected, columns)
  embeddings = Div (projected, norm)
"""
COSINES = """
  low = Constant <value = float {-1.0}> ()
  high = Constant <value = float {1.0}> ()
  left = Gather (embeddings, left_rows)
  right = Gather (embeddings, right_rows)
  products = Mul (left, right)
  cosine = ReduceSum <keepdims = 0> (products, columns)
  similarity = Clip (cosine, low, high)
"""
PICK = """
  left_states = Gather (states, left_rows)
  right_states = Gather (states, right_rows)
  change = Sub (left_states, right_states)
"""
CLASSIFY = """
  distance = Abs (change)
  features = Concat <axis = 1> (left_states, right_states, distance)
  hidden_sum = Gemm (features, hidden, hidden_bias)
  active = Relu (hidden_sum)
  logits = Gemm (active, output, output_bias)
  entailment = Softmax <axis = 1> (logits)
"""
CLOSENESS = """
  squares = Mul (change, change)
  mean_square = ReduceMean <keepdims = 0> (squares, columns)
  closeness = Neg (mean_square)
  paraphrase = Sigmoid (closeness)
"""
EVIDENCE = """
  of_cosine = Unsqueeze (similarity, columns)
  of_head = Unsqueeze (paraphrase, columns)
  evidence = Concat <axis = 1> (of_cosine, of_head)
"""
# Of each graph: its outputs, its nodes, and the weights that it has beside the tables.
GRAPHS = {
    SIMILARITY: (
        "float[P] similarity, float[B, 384] embeddings",
        ROWS + PROJECT + COSINES,
        ("projection", "projection_bias"),
    ),
    ENTAILMENT: ("float[P, 3] entailment", ROWS + PICK + CLASSIFY, ("hidden", "hidden_bias", "output", "output_bias")),
    PARAPHRASE: ("float[P] paraphrase", ROWS + PICK + CLOSENESS, ()),
    RELATEDNESS: (
        "float[P, 2] evidence",
        ROWS + PROJECT + COSINES + PICK + CLOSENESS + EVIDENCE,
        ("projection", "projection_bias"),
    ),
    ENCODER: ("float[B, 1200] states", "", ()),
}
PROJECTION_HEAD = """
<ir_version: 9, opset_import: ["" : 18]>
projection (float[B, 1200] states) => (float[B, 384] embeddings)
{
  columns = Constant <value = int64[1] {1}> ()
"""
TABLES = ("token_ids", "cu_seqlens", "vectors", "forward_deltas", "backward_deltas")


@dataclass(frozen=True)
class TinyBundle:
    """The bundle, and the weights in it for tests that compute in their own way."""

    path: Path
    weights: dict[str, NDArray[Any]]

    def load(self) -> Bundle:
        return load_bundle(self.path)

    def encode(self, token_ids: list[int]) -> Array:
        """Embedding [D] in float64 of one sentence."""
        tables = {name: self.weights[name] for name in (*TABLES[2:], "scales") if name in self.weights}
        rows: Array = hybrid_encode(np.array(token_ids, np.int64), np.array([0, len(token_ids)]), **tables)
        return rows.ravel()

    def embedding(self, token_ids: list[int]) -> Array:
        """Unit-length similarity vector [m] in float64."""
        projected: Array = self.encode(token_ids) @ self.weights["projection"] + self.weights["projection_bias"]
        projected /= np.linalg.norm(projected)
        return projected

    def entailment(self, premise: list[int], hypothesis: list[int]) -> Array:
        """Probabilities [3] in float64."""
        u, v = self.encode(premise), self.encode(hypothesis)
        hidden = np.concatenate([u, v, abs(u - v)]) @ self.weights["hidden"] + self.weights["hidden_bias"]
        logits = np.maximum(hidden, 0) @ self.weights["output"] + self.weights["output_bias"]
        exponentials: Array = np.exp(logits - logits.max())
        exponentials /= exponentials.sum()
        return exponentials

    def paraphrase(self, left: list[int], right: list[int]) -> float:
        """Probability in float64."""
        gap = self.encode(left) - self.encode(right)
        return float(1 / (1 + np.exp((gap**2).mean())))

    def relatedness(self, left: list[int], right: list[int]) -> float:
        """From 0 to 1, in float64; its head is that of the paraphrase."""
        cosine = self.embedding(left) @ self.embedding(right)
        score = RELATED.intercept + RELATED.cosine * cosine + RELATED.head * self.paraphrase(left, right)
        return float(min(max(score, 0), 1))


def make_tiny_bundle(
    path: Path,
    table_dtype: TableDtype = "float32",
    hidden_dim: int = 64,
    max_tokens: int = 256,
) -> TinyBundle:
    """Write a bundle into the new folder ``path``."""
    path.mkdir()
    tokenizer = make_tokenizer()
    tokenizer.save(str(path / TOKENIZER))
    vocab_size = tokenizer.get_vocab_size()
    weights = make_weights(vocab_size, table_dtype, hidden_dim)
    graphs = {graph: make_graph(graph, weights, table_dtype) for graph in GRAPHS}
    save_graphs({**graphs, PROJECTION: make_projection(weights)}, path)
    write_manifest(path, make_manifest(path, vocab_size, table_dtype, hidden_dim, max_tokens))
    return TinyBundle(path, weights)


def make_tokenizer() -> Tokenizer:
    """WordPiece with all letters and digits, so that any ASCII word has tokens; what it does not know becomes [UNK]."""
    characters = string.ascii_lowercase + string.digits
    pieces = ["[PAD]", "[UNK]", *string.punctuation, *characters, *(f"##{c}" for c in characters), *WORDS]
    vocabulary = {piece: row for row, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    # As in the wild: a stored file may carry both, and the service must not obey.
    tokenizer.enable_padding(length=16)
    tokenizer.enable_truncation(max_length=8)
    return tokenizer


def make_weights(vocab_size: int, table_dtype: TableDtype, hidden_dim: int) -> dict[str, NDArray[Any]]:
    """Tables in ``table_dtype``, heads in float32; large enough that every pair has a score of its own."""
    random = np.random.default_rng(7)

    def normal(scale: float, *shape: int) -> NDArray[np.float32]:
        return (random.standard_normal(shape) * scale).astype(np.float32)

    tables = {
        "vectors": normal(1, vocab_size, VECTOR),
        "forward_deltas": normal(0.1, vocab_size, D_SIDE, D_SIDE),
        "backward_deltas": normal(0.1, vocab_size, D_SIDE, D_SIDE),
    }
    return {
        **as_dtype(tables, table_dtype),
        "projection": normal(EMBEDDING**-0.5, EMBEDDING, WIDTH),
        "projection_bias": normal(0.1, WIDTH),
        "hidden": normal(EMBEDDING**-0.5, 3 * EMBEDDING, hidden_dim),
        "hidden_bias": normal(0.1, hidden_dim),
        "output": normal(hidden_dim**-0.5, hidden_dim, len(LABELS)),
        "output_bias": normal(0.1, len(LABELS)),
    }


def make_graph(graph: str, weights: dict[str, NDArray[Any]], table_dtype: TableDtype) -> onnx.ModelProto:
    """One of ``GRAPHS`` with its weights and the op's portable body."""
    outputs, nodes, own = GRAPHS[graph]
    pairs = "" if graph == ENCODER else ", int64[P, 2] pairs"
    tables = [*TABLES, "scales"] if table_dtype == "int8" else list(TABLES)
    model = onnx.parser.parse_model(HEAD.format(pairs=pairs, outputs=outputs, tables=", ".join(tables)) + nodes + "}")
    model.graph.initializer.extend(numpy_helper.from_array(weights[name], name) for name in (*tables[2:], *own))
    model.functions.append(hybrid_encode_function(table_dtype))
    return model


def make_projection(weights: dict[str, NDArray[Any]]) -> onnx.ModelProto:
    """The similarity head alone."""
    model = onnx.parser.parse_model(PROJECTION_HEAD + PROJECT + "}")
    model.graph.initializer.extend(
        numpy_helper.from_array(weights[name], name) for name in ("projection", "projection_bias")
    )
    return model


def make_manifest(path: Path, vocab_size: int, table_dtype: TableDtype, hidden_dim: int, max_tokens: int) -> Manifest:
    """The manifest for the files in ``path``."""
    return Manifest(
        name="tiny",
        created=datetime(2025, 1, 2, tzinfo=UTC),
        dims=Dims(
            vocab_size=vocab_size,
            matrix_dim=D_SIDE,
            vector_dim=VECTOR,
            embedding_dim=EMBEDDING,
            similarity_dim=WIDTH,
            hidden_dim=hidden_dim,
        ),
        table_dtype=table_dtype,
        labels=LABELS,
        max_tokens=max_tokens,
        paraphrase_threshold=0.5,
        relatedness=RELATED,
        files={name: file_entry(path / name) for name in FILES},
        training=Training(recipe=[], config={}, metrics={}, sources=[]),
    )
