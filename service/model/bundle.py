"""The bundle: the folder that export writes and the service runs.

manifest.json  tokenizer.json  weights.bin
similarity.onnx  entailment.onnx  paraphrase.onnx  relatedness.onnx  encoder.onnx  projection.onnx

One graph a task, so that a request runs nothing of the others'; all read ``weights.bin``. The encoder and the
projection are the two halves of the similarity's graph, with the states float32 [B, D] between them: texts can be
composed from the states of their parts.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from cmow.service.errors import BundleError
from cmow.service.model.record import Record, read_record, write_record

SIMILARITY, ENTAILMENT = "similarity.onnx", "entailment.onnx"
PARAPHRASE, RELATEDNESS = "paraphrase.onnx", "relatedness.onnx"
ENCODER, PROJECTION = "encoder.onnx", "projection.onnx"
WEIGHTS, TOKENIZER, MANIFEST = "weights.bin", "tokenizer.json", "manifest.json"
FILES = frozenset({SIMILARITY, ENTAILMENT, PARAPHRASE, RELATEDNESS, ENCODER, PROJECTION, WEIGHTS, TOKENIZER})
LABELS = frozenset({"entailment", "neutral", "contradiction"})

TableDtype = Literal["float32", "float16", "int8"]
Positive = Annotated[int, Meta(ge=1, le=2**53)]


class Dims(Record, frozen=True):
    """Sizes of the student."""

    vocab_size: Positive
    matrix_dim: Positive
    vector_dim: Positive
    embedding_dim: Positive
    similarity_dim: Positive
    hidden_dim: Positive

    def __post_init__(self) -> None:
        expected = self.vector_dim + 2 * self.matrix_dim**2
        if self.embedding_dim != expected:
            raise ValueError(
                f"expected embedding_dim = vector_dim + 2 * matrix_dim^2 = {expected}, found {self.embedding_dim}"
            )


class FileEntry(Record, frozen=True):
    """What one file of the bundle must be."""

    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    bytes: Annotated[int, Meta(ge=0)]


class Source(Record, frozen=True):
    """One data set or model that the student learned from."""

    name: str
    licence: str
    reference: str


class Training(Record, frozen=True):
    """How the student came to be."""

    recipe: list[str]
    config: dict[str, bool | int | float]  # of the student's shape
    metrics: dict[str, dict[str, float]]
    sources: list[Source]


class Relatedness(Record, frozen=True):
    """Weights of what makes up the relatedness of a pair (``relatedness.py``); unfitted, its cosine alone."""

    cosine: float = 1.0
    head: float = 0.0
    intercept: float = 0.0


Probability = Annotated[float, Meta(ge=0, le=1)]


class Same(Record, frozen=True):
    """What counts as the same (``verdicts/same.py``); unfitted, every cosine, and the paraphrase head as it answers."""

    similarity: Annotated[float, Meta(ge=-1, le=1)] = -1.0
    scale: float = 1.0
    shift: float = 0.0
    contradiction: Probability = 0.5


class Claims(Record, frozen=True):
    """From which probabilities a claim is supported or contradicted (``verdicts/claims.py``)."""

    supported: Probability = 0.5
    contradicted: Probability = 0.5


class Manifest(Record, frozen=True, kw_only=True):
    """Content of ``manifest.json``; ``labels`` are the entailment columns in order, the threshold is a cosine."""

    format_version: Literal[4] = 4
    name: Annotated[str, Meta(min_length=1)]
    created: Annotated[datetime, Meta(tz=True)]
    dims: Dims
    table_dtype: TableDtype
    labels: list[str]
    max_tokens: Positive
    paraphrase_threshold: Annotated[float, Meta(ge=-1, le=1)]
    relatedness: Relatedness
    same: Same = Same()
    claims: Claims = Claims()
    files: dict[str, FileEntry]
    training: Training

    def __post_init__(self) -> None:
        if sorted(self.labels) != sorted(LABELS):
            raise ValueError(f"labels: expected {sorted(LABELS)} in any order, found {self.labels}")
        check_names(self.files, FILES)


@dataclass(frozen=True)
class Bundle:
    """A checked bundle."""

    path: Path
    manifest: Manifest

    @property
    def tokenizer_path(self) -> Path:
        """The Hugging Face tokenizer."""
        return self.path / TOKENIZER


def load_bundle(path: Path, verify_hashes: bool = True) -> Bundle:
    """The bundle in the folder ``path``; sizes are always checked, SHA-256 digests if ``verify_hashes``.

    Raises ``BundleError`` naming what was expected and what was found.
    """
    if not path.is_dir():
        raise BundleError(f"expected a bundle folder at {path}, found {'a file' if path.exists() else 'nothing'}")
    manifest = read_manifest(path)
    for name, entry in sorted(manifest.files.items()):
        check_file(path / name, entry, verify_hashes)
    return Bundle(path, manifest)


def read_manifest(folder: Path) -> Manifest:
    """The manifest in ``folder``; raises ``BundleError`` where it is missing or not of this format."""
    return read_record(folder / MANIFEST, Manifest)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest`` into ``folder``."""
    write_record(folder / MANIFEST, manifest)


def file_entry(path: Path) -> FileEntry:
    """Size and digest of the file ``path``."""
    return FileEntry(sha256=_sha256(path), bytes=path.stat().st_size)


def check_names(files: dict[str, FileEntry], expected: frozenset[str]) -> None:
    """Raise ``ValueError`` unless ``files`` are exactly those ``expected``, so that none points out of the folder."""
    if files.keys() != expected:
        raise ValueError(f"files: expected exactly {sorted(expected)}, found {sorted(files)}")


def check_file(path: Path, entry: FileEntry, verify_hash: bool) -> None:
    """Raise ``BundleError`` unless the file ``path`` is what ``entry`` says."""
    if not path.is_file():
        raise BundleError(f"expected a file {path}, found {'a folder' if path.exists() else 'nothing'}")
    if (size := path.stat().st_size) != entry.bytes:
        raise BundleError(f"{path}: expected {entry.bytes} bytes, found {size}")
    if verify_hash and (digest := _sha256(path)) != entry.sha256:
        raise BundleError(f"{path}: expected sha256 {entry.sha256}, found {digest}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
