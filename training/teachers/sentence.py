"""The sentence teacher: a BERT-like encoder, mean-pooled over its tokens and L2-normalised.

Reimers and Gurevych, "Sentence-BERT" (EMNLP 2019).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from training.teachers.encoder import attention, inference_dtype, load_encoder


class SentenceTeacher:
    """Embeds sentences; exact-length batches, so that neither padding nor an attention mask is needed."""

    def __init__(self, name: str, max_tokens: int = 128, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        model, self.tokenizer = load_encoder(name, max_tokens, inference_dtype(self.device), attention(self.device))
        self.model = model.train(False).to(self.device)
        self.max_tokens = max_tokens
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
