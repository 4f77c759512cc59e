from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import normalizers

from cmow.service.errors import BundleError
from cmow.service.machine import native
from cmow.service.model.bundle import TOKENIZER
from cmow.service.text import tokenizer as module
from cmow.service.text.tokenizer import LibraryTokenizer, PackedTokens, Tokenizer
from tests.tiny_bundle import TinyBundle

MAX_TOKENS = 12


@pytest.fixture(scope="module", params=["native", "tokenizers"])
def tokenizer(request: pytest.FixtureRequest, tiny_bundle: TinyBundle) -> Tokenizer:
    if request.param == "tokenizers":
        return library_alone(tiny_bundle)
    if native.wordpiece_path() is None:
        pytest.skip("the native library is not installed")
    return Tokenizer(tiny_bundle.path / TOKENIZER, MAX_TOKENS)


def library_alone(tiny_bundle: TinyBundle) -> Tokenizer:
    """As on a machine without the native library."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "wordpiece_path", lambda: None)
        return Tokenizer(tiny_bundle.path / TOKENIZER, MAX_TOKENS)


@pytest.fixture(scope="module")
def authority(tiny_bundle: TinyBundle) -> tokenizers.Tokenizer:
    """The library, set by hand to neither pad nor cut."""
    authority = tokenizers.Tokenizer.from_file(str(tiny_bundle.path / TOKENIZER))
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


@settings(deadline=None)
@given(text=st.text(st.characters(codec="utf-8"), max_size=60), most=st.integers(0, 20))
def test_a_text_cut_to_some_tokens_has_these(tokenizer: Tokenizer, text: str, most: int) -> None:
    shorter = tokenizer.cut(text, most)
    assert text.startswith(shorter)
    assert [token for token, *_ in tokenizer.spans(shorter)] == [token for token, *_ in tokenizer.spans(text)][:most]


def test_the_stored_padding_and_truncation_are_ignored(tokenizer: Tokenizer) -> None:
    packed = tokenizer.encode(["dog", "dog " * 9, "dog " * 12, "dog " * 13, ""])
    assert packed.lengths.tolist() == [1, 9, 12, 12, 0]
    assert packed.truncated.tolist() == [False, False, False, True, False]


def test_one_thread_gives_the_same_and_never_uses_the_pool(
    tiny_bundle: TinyBundle, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"dog {number} rains" for number in range(2 * module.PARALLEL_FROM)]
    alone = LibraryTokenizer(tiny_bundle.path / TOKENIZER, MAX_TOKENS, threads=1)
    sizes: list[int] = []

    class Spy:
        def __init__(self, library: tokenizers.Tokenizer) -> None:
            self.library = library

        def encode_batch_fast(self, texts: list[str], add_special_tokens: bool) -> list[tokenizers.Encoding]:
            sizes.append(len(texts))
            return self.library.encode_batch_fast(texts, add_special_tokens=add_special_tokens)

    monkeypatch.setattr(alone, "library", Spy(alone.library))
    assert rows(alone.encode(texts)) == rows(tokenizer.encode(texts))
    assert set(sizes) == {1}


def test_texts_that_the_library_takes_keep_their_place(tokenizer: Tokenizer, authority: tokenizers.Tokenizer) -> None:
    texts = ["dog", "한국", "", "the [UNK] dog", "\u302e man", "music " * 20, "한 " * 20, "rains"]
    for chosen in (texts, texts[1:2], texts[::-1], texts * 20):
        packed = tokenizer.encode(chosen)
        expected = [authority.encode(text, add_special_tokens=False).ids for text in chosen]
        assert rows(packed) == [ids[:MAX_TOKENS] for ids in expected]
        assert packed.truncated.tolist() == [len(ids) > MAX_TOKENS for ids in expected]


def test_name_and_degraded(tiny_bundle: TinyBundle, tokenizer: Tokenizer, caplog: pytest.LogCaptureFixture) -> None:
    if tokenizer.name == "native":
        assert tokenizer.degraded is None
        return
    assert (tokenizer.name, tokenizer.degraded) == ("tokenizers", "no libcmow_wordpiece.so is installed")
    library_alone(tiny_bundle)
    assert "no libcmow_wordpiece.so is installed" in caplog.text


def test_another_kind_of_tokenizer_is_left_to_the_library(tmp_path: Path, authority: tokenizers.Tokenizer) -> None:
    other = tokenizers.Tokenizer.from_str(authority.to_str())
    other.normalizer = normalizers.BertNormalizer(lowercase=False)
    other.save(str(tmp_path / TOKENIZER))
    tokenizer = Tokenizer(tmp_path / TOKENIZER, MAX_TOKENS)
    assert tokenizer.name == "tokenizers"
    assert tokenizer.degraded is not None
    assert tokenizer.degraded.startswith(("normalizer: expected", "no libcmow_wordpiece.so"))
    assert rows(tokenizer.encode(["The DOG"])) == [other.encode("The DOG", add_special_tokens=False).ids]


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
