"""The native tokeniser gives the ids of Hugging Face ``tokenizers``, or says that it cannot.

``FUZZ_EXAMPLES`` raises the number of examples; ``SENTENCE_DATA`` names a folder of data files whose sentences are all
compared too.
"""

# ruff: noqa: RUF001 (characters that look alike are the point)
from __future__ import annotations

import ctypes
import gzip
import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cmow.service.wordpiece.native import NativeWordPiece
from cmow.service.wordpiece.recipe import UnsupportedError, read_recipe
from tests.service.wordpiece.agreement import assert_same

fuzz = hypothesis_settings(deadline=None, max_examples=int(os.environ.get("FUZZ_EXAMPLES", "100")))

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
FRAGMENTS = [
    *SPECIAL,
    *("[", "]", "[CL", "CLS]", "[[CLS]]", "[cls]", "MASK", "##", "##ing"),
    *("the", "The", "unbelievable", "zzyzx", "naïve", "1984", "$5"),
    *"…—’“«¿",
    *" \t\n\r\x00\x01\x7f\x85\xa0\xad\u200b\u200d\u2028\ufeff\ufffd",
    *"\u0301\u0345\u05b0\u302e\u0f71\u1e9b\u0323İßẞΣςǆﬁÅΩéÑ",
    *"中文豈ひカ한하😀🔬𝔘\U0002f800\ue000\U000e0041\U0010ffff",
    *("x" * 99, "é" * 50, "a" * 101),
]
fragment = st.sampled_from(FRAGMENTS) | st.characters(codec="utf-8") | st.text("abcdeABC .,[]", max_size=12)
text = st.lists(fragment, max_size=30).map("".join)


@fuzz
@given(texts=st.lists(text, max_size=20), max_tokens=st.integers(0, 12) | st.just(256), threads=st.integers(1, 3))
def test_same_on_anything(
    wordpiece: NativeWordPiece, authority: tokenizers.Tokenizer, texts: list[str], max_tokens: int, threads: int
) -> None:
    assert_same(wordpiece, authority, texts, max_tokens, threads)


@pytest.mark.parametrize(
    "words",
    [
        "A man is playing a guitar.",
        "Don't over-think unbelievableness, o'clock (e.g. U.S.A.)!",
        "“Curly” ‘quotes’ – and — dashes… naïve café Ångström ﬁne ½ €5 №1",
        "Ἑλληνικά Русский ёлка עִבְרִית العربية हिन्दी ไทย ひらがな カタカナ 中文字 😀",
        "tabs\tand\nlines\r\nand\u2028separators\xa0here",
        "\x00nul\x00s and con\x01trols\x7f and soft\xadhyphens and a \ufeffmark and \ufffd",
        "e\u0301 o\u0308\u0304 İstanbul STRASSE ẞ Σίσυφος",
        "[ CLS ] [cls] [CLS [[] ##ing",
    ],
)
def test_taken_and_the_same(wordpiece: NativeWordPiece, authority: tokenizers.Tokenizer, words: str) -> None:
    for limit in (0, 1, 2, 5, 256):
        assert assert_same(wordpiece, authority, ["", words, f" {words}", words * 30], limit) == set()


@pytest.mark.parametrize("special", SPECIAL)
def test_added_tokens_are_left_to_the_library(
    wordpiece: NativeWordPiece, authority: tokenizers.Tokenizer, special: str
) -> None:
    texts = [special, f"a{special}b", f"[{special}", f"dog {special}", special[:-1], special.lower()]
    assert assert_same(wordpiece, authority, texts) == {0, 1, 2, 3}
    # What comes after the last token that is kept does not matter.
    assert assert_same(wordpiece, authority, [f"dog dog dog {special}"], max_tokens=2) == set()
    assert assert_same(wordpiece, authority, [f"dog dog {special}"], max_tokens=2) == {0}


def test_what_is_not_proved_is_left_to_the_library(wordpiece: NativeWordPiece, authority: tokenizers.Tokenizer) -> None:
    texts = ["dog", "한국", "", "dog \u302e\u302f", "\U000e01ef", "cat", "\U0010ffff", "\U0001d165"]
    assert assert_same(wordpiece, authority, texts) == {1, 3, 4, 6, 7}


@pytest.mark.parametrize("character", ["a", "é", "β", "ẞ", "😀", "\u0301", "ひ", "\u1ec7"])
def test_long_words(wordpiece: NativeWordPiece, authority: tokenizers.Tokenizer, character: str) -> None:
    words = [character * length for length in (1, 49, 50, 51, 99, 100, 101, 102, 400, 401, 1000)]
    assert assert_same(wordpiece, authority, [*words, *(f"The {word}s, and" for word in words)]) == set()


@pytest.mark.parametrize("unit", ["a", "dog ", " ", "é", "…", "\u0301", "x\x00"])
def test_ten_megabytes(wordpiece: NativeWordPiece, authority: tokenizers.Tokenizer, unit: str) -> None:
    """The library gets as much of it as there can be tokens for, since it takes seconds for the whole."""
    encoded = wordpiece.encode(["dog", unit * (10_000_000 // len(unit.encode())), "cat"], 256, 2)
    expected = authority.encode(unit * 1000, add_special_tokens=False).ids[:256]
    dog, cat = (authority.token_to_id(word) for word in ("dog", "cat"))
    assert encoded.token_ids.tolist() == [dog, *expected, cat]
    assert encoded.truncated.tolist() == [False, len(expected) == 256, False]
    assert len(encoded.beyond) == 0


def test_no_text(wordpiece: NativeWordPiece) -> None:
    encoded = wordpiece.encode([], 8, 2)
    assert [array.tolist() for array in encoded] == [[], [0], [], []]
    assert [array.dtype for array in encoded] == [np.int64, np.int64, np.bool_, np.int64]


def test_any_number_of_threads(wordpiece: NativeWordPiece, authority: tokenizers.Tokenizer) -> None:
    """Enough text for many threads, unevenly spread, with texts that are empty, cut or beyond."""
    random = np.random.default_rng(5)
    words = ["the", "Unbelievableness", "café", "dog", "한", "[CLS]", "…", "xqzt"]
    chances = [0.3, 0.2, 0.2, 0.2, 0.001, 0.001, 0.05, 0.048]
    lengths = [*random.integers(0, 30, 1000), 20_000, *random.integers(0, 300, 200)]
    texts = [" ".join(random.choice(words, length, p=chances)) for length in lengths]
    assert 0 < len(assert_same(wordpiece, authority, texts)) < len(texts) / 2
    one, *others = (wordpiece.encode(texts, 256, threads) for threads in (1, 2, 3, 7, 1000))
    for other in others:
        for array, expected in zip(other, one, strict=True):
            np.testing.assert_array_equal(array, expected)


def test_a_lone_surrogate(wordpiece: NativeWordPiece) -> None:
    with pytest.raises(UnicodeEncodeError):
        wordpiece.encode(["dog", "\ud800"], 8, 1)


@fuzz
@given(utf8=st.binary(max_size=300), lengths=st.lists(st.integers(-3, 300), max_size=4))
def test_any_bytes_and_lengths_are_safe(wordpiece: NativeWordPiece, utf8: bytes, lengths: list[int]) -> None:
    """What no caller does: the C++ neither reads nor writes elsewhere (the canaries; a sanitizer sees the rest)."""
    canary = -77
    cu_seqlens = np.array([0, *lengths, canary], np.int64)
    truncated, beyond = np.full((2, len(lengths) + 1), 99, np.uint8)
    token_ids = np.full(len(utf8) + 1, canary, np.int64)
    outputs = (ctypes.byref(ctypes.c_char.from_buffer(array)) for array in (cu_seqlens, truncated, beyond, token_ids))
    status = wordpiece._encode(wordpiece._handle, utf8, len(utf8), len(lengths), 256, 1, *outputs)
    assert (cu_seqlens[-1], truncated[-1], beyond[-1], token_ids[-1]) == (canary, 99, 99, canary)
    characters = sum(byte & 0xC0 != 0x80 for byte in utf8)
    assert status >= 0 or min(lengths, default=0) < 0 or sum(lengths) != characters or utf8[:1] >= b"\x80"


def test_lengths_that_do_not_fit(wordpiece: NativeWordPiece) -> None:
    for utf8, lengths in ((b"dog", [2]), (b"dog", [4]), (b"dog", [-1, 4]), ("é".encode(), [0]), (b"", [1])):
        arrays = np.array([0, *lengths], np.int64), *np.empty((2, 4), np.bool_), np.empty(8, np.int64)
        outputs = (ctypes.byref(ctypes.c_char.from_buffer(array)) for array in arrays)
        assert wordpiece._encode(wordpiece._handle, utf8, len(utf8), len(lengths), 256, 1, *outputs) == -1


def test_not_a_library(tmp_path: Path, authority: tokenizers.Tokenizer) -> None:
    (tmp_path / "text.so").write_bytes(b"text")
    with pytest.raises(UnsupportedError, match=r"text\.so cannot be used"):
        NativeWordPiece(tmp_path / "text.so", read_recipe(authority))


def test_another_version_of_the_authority(
    library: Path, authority: tokenizers.Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizers, "__version__", "9.9.9")
    with pytest.raises(UnsupportedError, match=r"but 9\.9\.9 is installed"):
        NativeWordPiece(library, read_recipe(authority))


def test_sentences_of_the_repository(wordpiece: NativeWordPiece, authority: tokenizers.Tokenizer) -> None:
    texts = (Path(__file__).parents[2] / "data/sentences.txt").read_text(encoding="utf-8").splitlines()
    assert assert_same(wordpiece, authority, texts) == set()


@pytest.mark.skipif("SENTENCE_DATA" not in os.environ, reason="SENTENCE_DATA names no folder")
def test_all_sentences_of_the_data(wordpiece: NativeWordPiece, authority: tokenizers.Tokenizer) -> None:
    sentences = _sentences(Path(os.environ["SENTENCE_DATA"]))
    count = beyond = 0
    while texts := list(islice(sentences, 10_000)):
        count += len(texts)
        beyond += len(assert_same(wordpiece, authority, texts))
    assert count > 0
    assert beyond < count / 1000


def _sentences(data: Path) -> Iterator[str]:
    for path in sorted(data.rglob("*.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                if path.name.endswith(".jsonl.gz"):
                    yield from (value for value in json.loads(line).values() if isinstance(value, str))
                else:
                    yield from line.rstrip("\n").split("\t")
