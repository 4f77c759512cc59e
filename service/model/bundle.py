"""The bundle: the folder that export writes and the service runs.

manifest.json  tokenizer.json  weights.bin
similarity.onnx  entailment.onnx  paraphrase.onnx  encoder.onnx  projection.onnx

One graph a task, so that a request runs nothing of the others'; all read ``weights.bin``. The encoder and the
projection are the two halves of the similarity's graph, with the states float32 [B, D] between them: texts can be
composed from the states of their parts.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from cmow.service.errors import BundleError

SIMILARITY, ENTAILMENT, PARAPHRASE = "similarity.onnx", "entailment.onnx", "paraphrase.onnx"
ENCODER, PROJECTION = "encoder.onnx", "projection.onnx"
WEIGHTS, TOKENIZER, MANIFEST = "weights.bin", "tokenizer.json", "manifest.json"
FILES = frozenset({SIMILARITY, ENTAILMENT, PARAPHRASE, ENCODER, PROJECTION, WEIGHTS, TOKENIZER})
LABELS = frozenset({"entailment", "neutral", "contradiction"})

TableDtype = Literal["float32", "float16", "int8"]


class Record(BaseModel):
    """Immutable, and closed: an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)  # built when a manifest is read


class Dims(Record):
    """Sizes of the student."""

    vocab_size: PositiveInt
    matrix_dim: PositiveInt
    vector_dim: PositiveInt
    embedding_dim: PositiveInt
    similarity_dim: PositiveInt
    hidden_dim: PositiveInt

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        expected = self.vector_dim + 2 * self.matrix_dim**2
        if self.embedding_dim != expected:
            raise ValueError(
                f"expected embedding_dim = vector_dim + 2 * matrix_dim^2 = {expected}, found {self.embedding_dim}"
            )
        return self


class FileEntry(Record):
    """What one file of the bundle must be."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0)]


class Source(Record):
    """One data set or model that the student learned from."""

    name: str
    licence: str
    reference: str


class Training(Record):
    """How the student came to be."""

    recipe: list[str]
    config: dict[str, bool | int | float]  # of the student's shape
    metrics: dict[str, dict[str, float]]
    sources: list[Source]


class Relatedness(Record):
    """Weights of what makes up the relatedness of a pair (``relatedness.py``); unfitted, its cosine alone."""

    cosine: FiniteFloat = 1.0
    entailment: FiniteFloat = 0.0
    contradiction: FiniteFloat = 0.0
    intercept: FiniteFloat = 0.0


class Manifest(Record):
    """Content of ``manifest.json``; ``labels`` are the entailment columns in order, the threshold is a cosine."""

    format_version: Literal[3] = 3
    name: Annotated[str, Field(min_length=1)]
    created: AwareDatetime
    dims: Dims
    table_dtype: TableDtype
    labels: list[str]
    max_tokens: PositiveInt
    paraphrase_threshold: Annotated[float, Field(ge=-1, le=1)]
    relatedness: Relatedness
    files: dict[str, FileEntry]
    training: Training

    @field_validator("labels")
    @classmethod
    def _known_labels(cls, labels: list[str]) -> list[str]:
        if sorted(labels) != sorted(LABELS):
            raise ValueError(f"expected {sorted(LABELS)} in any order, found {labels}")
        return labels

    @field_validator("files")
    @classmethod
    def _exact_files(cls, files: dict[str, FileEntry]) -> dict[str, FileEntry]:
        # Exactly these names, so that no entry can point out of the folder.
        if files.keys() != FILES:
            raise ValueError(f"expected exactly {sorted(FILES)}, found {sorted(files)}")
        return files


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
    path = folder / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BundleError(f"expected a readable file {path}: {error.strerror}") from error
    except ValidationError as error:
        raise BundleError(f"{path}: {first_error(error)}") from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest`` into ``folder``."""
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")


def file_entry(path: Path) -> FileEntry:
    """Size and digest of the file ``path``."""
    return FileEntry(sha256=_sha256(path), bytes=path.stat().st_size)


def first_error(error: ValidationError) -> str:
    """The first of pydantic's errors in one line; a wrong version comes before all others, since it explains them."""
    errors = error.errors(include_url=False)
    shown = next((entry for entry in errors if entry["loc"] == ("format_version",)), errors[0])
    where = ".".join(map(str, shown["loc"])) or "content"
    found = (
        "" if shown["type"] in ("missing", "json_invalid", "value_error") else f", found {repr(shown['input'])[:80]}"
    )
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{where}: {shown['msg']}{found}{more}"


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
