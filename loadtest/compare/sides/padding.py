"""What transformers read: padded batches.

Letters: B texts, L tokens of the longest of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tokenizers
from numpy.typing import NDArray

from loadtest.compare.models import DISTILBERT, MINILM
from loadtest.compare.texts import Pair

MAX_TOKENS = {DISTILBERT: 512, MINILM: 256}  # all-MiniLM-L6-v2's authors cut at 256

Feeds = dict[str, NDArray[np.int64]]


class PaddedTokenizer:
    """A Hugging Face tokenizer that pads to the longest of a batch."""

    def __init__(self, path: Path, max_tokens: int) -> None:
        self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        self._tokenizer.enable_truncation(max_tokens)
        self._tokenizer.enable_padding()

    def token_id(self, token: str) -> int:
        """The id of ``token``; raises ``KeyError``."""
        return self._tokenizer.get_vocab()[token]

    def __call__(self, texts: Sequence[str] | Sequence[Pair]) -> Feeds:
        """``texts`` or pairs [B] as int64 [B, L] each."""
        encodings = self._tokenizer.encode_batch(list(texts))
        return {
            "token_ids": np.array([encoding.ids for encoding in encodings], np.int64),
            "attention_mask": np.array([encoding.attention_mask for encoding in encodings], np.int64),
        }
