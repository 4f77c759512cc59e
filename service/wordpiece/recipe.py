"""What the native tokeniser must know of a Hugging Face tokenizer, and whether it may stand in for it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import msgspec
import tokenizers

CONTINUATION = "##"

# Exactly what the C++ does. ``strip_accents`` left open follows ``lowercase``.
NORMALIZERS = [
    {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": s, "lowercase": True}
    for s in (None, True)
]
PRE_TOKENIZER = {"type": "BertPreTokenizer"}
MODEL = {"type": "WordPiece", "continuing_subword_prefix": CONTINUATION, "max_input_chars_per_word": 100}

MAX_PIECE_CHARACTERS = (2**16 - 1) // 4  # sizes have 16 bits, a character at most 4 bytes
MAX_ID = 2**31 - 1


class UnsupportedError(Exception):
    """The native tokeniser does not do what this tokenizer does; the message says where they part."""


class Recipe(NamedTuple):
    """Pieces that begin a word, those that go on with it (without prefix), and texts' own spellings of added tokens."""

    words: dict[str, int]
    continuations: dict[str, int]
    literals: dict[str, int]
    unknown: int


def read_recipe(tokenizer: tokenizers.Tokenizer) -> Recipe:
    """The recipe of ``tokenizer``; raises ``UnsupportedError`` unless it works as that of bert-base-uncased does."""
    config = msgspec.json.decode(tokenizer.to_str())
    model = config["model"]
    vocabulary, unknown = model.pop("vocab", {}), model.pop("unk_token", None)
    for name, found, expected in (
        ("normalizer", config["normalizer"], NORMALIZERS),
        ("pre_tokenizer", config["pre_tokenizer"], [PRE_TOKENIZER]),
        ("model", model, [MODEL]),
    ):
        if found not in expected:
            raise UnsupportedError(f"{name}: expected {json.dumps(expected[0])}, found {json.dumps(found)[:300]}")
    if unknown not in vocabulary:
        raise UnsupportedError(f"unk_token: expected a piece of the vocabulary, found {unknown!r}")
    return Recipe(*_pieces(vocabulary), _literals(config["added_tokens"]), vocabulary[unknown])


def _pieces(vocabulary: dict[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    longest, largest = max(map(len, vocabulary)), max(vocabulary.values())
    if longest > MAX_PIECE_CHARACTERS or largest > MAX_ID:
        raise UnsupportedError(
            f"expected pieces to {MAX_PIECE_CHARACTERS} characters and ids to {MAX_ID}, found {longest} and {largest}"
        )
    words, continuations, prefix = {}, {}, len(CONTINUATION)
    for piece, token_id in vocabulary.items():
        if piece[:prefix] == CONTINUATION:
            continuations[piece[prefix:]] = token_id
        else:
            words[piece] = token_id
    return words, continuations


def _literals(added_tokens: list[dict[str, Any]]) -> dict[str, int]:
    """Contents of tokens that the library looks for in the text as it came, to recognise and leave to it."""
    for token in added_tokens:
        if token["normalized"]:
            raise UnsupportedError(f"expected added tokens with normalized = false, found {json.dumps(token)[:300]}")
    return {token["content"]: token["id"] for token in added_tokens}
