"""How the tests compare the native tokeniser with Hugging Face."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tokenizers

from cmow.service.wordpiece.native import NativeWordPiece

LIMIT = 256


def assert_same(
    wordpiece: NativeWordPiece,
    authority: tokenizers.Tokenizer,
    texts: Sequence[str],
    max_tokens: int = LIMIT,
    threads: int = 1,
) -> set[int]:
    """Assert equal ids and cuts on all texts that the native tokeniser takes; the numbers of the others."""
    encoded = wordpiece.encode(texts, max_tokens, threads)
    expected = [encoding.ids for encoding in authority.encode_batch_fast([*texts], add_special_tokens=False)]
    beyond = set(encoded.beyond.tolist())
    rows = [ids.tolist() for ids in np.split(encoded.token_ids, encoded.cu_seqlens[1:-1])] if texts else []
    for number, (text, ids) in enumerate(zip(texts, expected, strict=True)):
        if number in beyond:
            ids = []
        assert rows[number] == ids[:max_tokens], text[:200]
        assert encoded.truncated[number] == (len(ids) > max_tokens), text[:200]
    return beyond
