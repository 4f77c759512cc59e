"""Baselines: DistilBERT as ``python -m export.baseline`` writes it, to compare the student with.

A baseline is a folder:  model.onnx (float32)  model-int8.onnx  tokenizer.json  baseline.json

It reads a pair as one sequence, ``[CLS] premise [SEP] hypothesis [SEP]``, padded to the longest of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import onnxruntime as ort
import tokenizers
from msgspec import Meta
from numpy.typing import NDArray

from cmow.service.errors import BundleError
from cmow.service.model.bundle import LABELS, FileEntry, Positive, check_file, check_names
from cmow.service.model.record import Record, read_record, write_record
from cmow.service.model.session import ORT_ERRORS, session_options

MODELS = {"fp32": "model.onnx", "int8": "model-int8.onnx"}
TOKENIZER, MANIFEST = "tokenizer.json", "baseline.json"
FILES = frozenset({*MODELS.values(), TOKENIZER})

Precision = Literal["fp32", "int8"]
Task = Literal["similarity", "entailment"]
Floats = NDArray[np.float32]


class BaselineManifest(Record, frozen=True, kw_only=True):
    """Content of ``baseline.json``; ``task`` and ``labels`` (its columns) are of the head, where that is trained."""

    format_version: Literal[1] = 1
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}\Z")]
    source: str
    trained: bool
    task: Task | None
    labels: list[str]
    parameters: Positive
    max_tokens: Positive
    files: dict[str, FileEntry]

    def __post_init__(self) -> None:
        check_names(self.files, FILES)
        if self.trained != (self.task is not None):
            raise ValueError(f"task: expected a task if and only if the head is trained, found {self.task}")
        if self.task == "entailment" and sorted(self.labels) != sorted(LABELS):
            raise ValueError(f"labels: expected labels {sorted(LABELS)} in any order, found {self.labels}")


@dataclass(frozen=True)
class Encoded:
    """Pairs as the baseline reads them: int64 [P, L] each; ``truncated`` is how many pairs were cut."""

    token_ids: NDArray[np.int64]
    attention_mask: NDArray[np.int64]
    truncated: int


class Baseline:
    """One baseline, its sessions opened with ``threads`` threads. Raises ``BundleError`` where it cannot be loaded."""

    def __init__(self, folder: Path, manifest: BaselineManifest, threads: int) -> None:
        self.manifest = manifest
        self._tokenizer = _tokenizer(folder / TOKENIZER, manifest.max_tokens)
        self._sessions = {name: _session(folder / file, threads) for name, file in MODELS.items()}

    def encode(self, pairs: Sequence[tuple[str, str]]) -> Encoded:
        """``pairs`` [P] as padded token ids."""
        encodings = self._tokenizer.encode_batch(list(pairs))
        return Encoded(
            np.array([encoding.ids for encoding in encodings], np.int64),
            np.array([encoding.attention_mask for encoding in encodings], np.int64),
            sum(bool(encoding.overflowing) for encoding in encodings),
        )

    def logits(self, encoded: Encoded, precision: Precision) -> Floats:
        """Float32 [P, C]: what the model gives for ``encoded``."""
        inputs = {"token_ids": encoded.token_ids, "attention_mask": encoded.attention_mask}
        logits: Floats = self._sessions[precision].run(["logits"], inputs)[0]
        return logits

    def scores(self, logits: Floats) -> Floats:
        """Probabilities [P, 3] or similarities from 0 to 1 [P] of ``logits`` [P, C], as the trained head means them.

        A head with one output is read as sentence-transformers' ``CrossEncoder`` reads it, through a sigmoid.
        """
        if self.manifest.task == "similarity":
            return np.asarray(1 / (1 + np.exp(-logits[:, 0].astype(np.float64))), np.float32)
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), np.float32)


class Baselines:
    """The baselines in one folder, by name; each is opened when it is first asked for, and kept.

    Not for several threads at once.
    """

    def __init__(self, folder: Path | None, threads: int) -> None:
        self._threads = threads
        self._found = {} if folder is None else _find(folder)
        self._open: dict[str, Baseline] = {}

    @property
    def names(self) -> list[str]:
        """What a client may choose from."""
        return sorted(self._found)

    def open(self, name: str) -> Baseline:
        """The baseline ``name``, which is one of ``names``."""
        if name not in self._open:
            folder, manifest = self._found[name]
            self._open[name] = Baseline(folder, manifest, self._threads)
        return self._open[name]


def read_manifest(folder: Path) -> BaselineManifest:
    """The manifest in ``folder``, its files checked for size; raises ``BundleError``."""
    manifest = read_record(folder / MANIFEST, BaselineManifest)
    for name, entry in sorted(manifest.files.items()):
        check_file(folder / name, entry, verify_hash=False)
    return manifest


def write_manifest(folder: Path, manifest: BaselineManifest) -> None:
    """Write ``manifest`` into ``folder``."""
    write_record(folder / MANIFEST, manifest)


def _find(folder: Path) -> dict[str, tuple[Path, BaselineManifest]]:
    """Folder and manifest of each baseline below ``folder``; raises ``BundleError`` where there is none."""
    if not folder.is_dir():
        raise BundleError(
            f"expected a folder of baselines at {folder}, found {'a file' if folder.exists() else 'nothing'}"
        )
    folders = sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))
    found = {manifest.name: (path, manifest) for path in folders for manifest in [read_manifest(path)]}
    if len(found) != len(folders) or not found:
        raise BundleError(
            f"{folder}: expected baselines of different names, found {len(found)} in {len(folders)} folders"
        )
    return found


def _tokenizer(path: Path, max_tokens: int) -> tokenizers.Tokenizer:
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise BundleError(f"{path}: expected a Hugging Face tokenizer: {error}") from error
    tokenizer.enable_truncation(max_tokens)
    tokenizer.enable_padding()
    return tokenizer


def _session(path: Path, threads: int) -> ort.InferenceSession:
    try:
        return ort.InferenceSession(str(path), session_options(threads), providers=["CPUExecutionProvider"])
    except ORT_ERRORS as error:
        raise BundleError(f"{path}: ONNX Runtime cannot load it: {error}") from error
