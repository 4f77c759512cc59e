"""The sentence teacher: a BERT-like encoder, mean-pooled over its tokens and L2-normalised.

Reimers and Gurevych, "Sentence-BERT" (EMNLP 2019).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from training.teachers.blocks import in_own_order, sorted_block, started
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
        if not sentences:
            return np.empty((0, self.dim), np.float32)
        encoded = self.tokenizer(sentences, truncation=True, max_length=self.max_tokens)["input_ids"]
        lengths = np.array([len(ids) for ids in encoded], np.int64)

        def put_together(order: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
            return (np.array([token for row in order for token in encoded[row]], np.int32),)

        block = sorted_block(lengths, batch_tokens, put_together)
        return in_own_order(block.order, started(self._embed_ids, block, self.dim, self.device))

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
