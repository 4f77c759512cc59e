from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from service import tokenizer as module
from service.errors import BundleError
from service.tokenizer import PackedTokens, Tokenizer
from tests.tiny_bundle import TinyBundle

MAX_TOKENS = 12


@pytest.fixture(scope="module")
def tokenizer(tiny_bundle: TinyBundle) -> Tokenizer:
    return Tokenizer(tiny_bundle.path / "tokenizer.json", MAX_TOKENS)


@pytest.fixture(scope="module")
def authority(tiny_bundle: TinyBundle) -> tokenizers.Tokenizer:
    """The library, set by hand to neither pad nor cut."""
    authority = tokenizers.Tokenizer.from_file(str(tiny_bundle.path / "tokenizer.json"))
    authority.no_padding()
    authority.no_truncation()
    return authority


def rows(packed: PackedTokens) -> list[list[int]]:
    return [packed.token_ids[a:b].tolist() for a, b in zip(packed.cu_seqlens, packed.cu_seqlens[1:], strict=False)]


@settings(deadline=None)
@given(texts=st.lists(st.text(st.characters(codec="utf-8"), max_size=60), max_size=70))
def test_same_as_the_library(tokenizer: Tokenizer, authority: tokenizers.Tokenizer, texts: list[str]) -> None:
    packed = tokenizer.encode(texts)
    expected = [authority.encode(text, add_special_tokens=False).ids for text in texts]
    assert rows(packed) == [ids[:MAX_TOKENS] for ids in expected]
    assert packed.truncated.tolist() == [len(ids) > MAX_TOKENS for ids in expected]
    assert packed.token_ids.dtype == packed.cu_seqlens.dtype == np.int64


def test_the_stored_padding_and_truncation_are_ignored(tokenizer: Tokenizer) -> None:
    packed = tokenizer.encode(["dog", "dog " * 9, "dog " * 12, "dog " * 13, ""])
    assert packed.lengths.tolist() == [1, 9, 12, 12, 0]
    assert packed.truncated.tolist() == [False, False, False, True, False]


def test_one_thread_gives_the_same_and_never_uses_the_pool(
    tiny_bundle: TinyBundle, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"dog {number} rains" for number in range(2 * module.PARALLEL_FROM)]
    alone = Tokenizer(tiny_bundle.path / "tokenizer.json", MAX_TOKENS, threads=1)
    sizes: list[int] = []

    class Spy:
        def __init__(self, library: tokenizers.Tokenizer) -> None:
            self.library = library

        def encode_batch_fast(self, texts: list[str], add_special_tokens: bool) -> list[tokenizers.Encoding]:
            sizes.append(len(texts))
            return self.library.encode_batch_fast(texts, add_special_tokens=add_special_tokens)

    monkeypatch.setattr(alone, "_tokenizer", Spy(alone._tokenizer))
    assert rows(alone.encode(texts)) == rows(tokenizer.encode(texts))
    assert set(sizes) == {1}


def test_take(tokenizer: Tokenizer) -> None:
    packed = tokenizer.encode(["dog", "", "a man is", "rains " * 20])
    for order in ([], [0], [3, 1, 0], [2, 2, 1, 2], [0, 1, 2, 3]):
        taken = packed.take(np.array(order, np.int64))
        assert rows(taken) == [rows(packed)[row] for row in order]
        assert taken.truncated.tolist() == [packed.truncated[row] for row in order]
        assert len(taken) == len(order)


def test_vocab_size(tokenizer: Tokenizer, authority: tokenizers.Tokenizer) -> None:
    assert tokenizer.vocab_size == authority.get_vocab_size()


def test_a_lone_surrogate_is_a_type_error(tokenizer: Tokenizer) -> None:
    with pytest.raises(TypeError):
        tokenizer.encode(["\ud800"])


@pytest.mark.parametrize("content", ["", "{}", "not JSON"])
def test_not_a_tokenizer(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(BundleError, match="expected a Hugging Face tokenizer"):
        Tokenizer(tmp_path / "tokenizer.json", 8)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="expected a Hugging Face tokenizer"):
        Tokenizer(tmp_path / "tokenizer.json", 8)
