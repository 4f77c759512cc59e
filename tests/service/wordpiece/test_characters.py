"""The table of characters is what the installed Hugging Face library does, for each character there is."""

from __future__ import annotations

import sys
import unicodedata
from pathlib import Path

import pytest
import tokenizers
from tokenizers import models, normalizers, pre_tokenizers

from cmow.service.wordpiece import characters
from cmow.service.wordpiece.native import NativeWordPiece
from cmow.service.wordpiece.recipe import read_recipe
from tests.service.wordpiece.agreement import assert_same

TABLE = Path(characters.__file__).with_name("characters_table.h")
LATIN, PUNCTUATION, SYMBOLS = range(0x80, 0x250), range(0x2000, 0x206F), range(0x20A0, 0x2BF0)
GREEK_AND_CYRILLIC, IDEOGRAPHS, EMOJI = range(0x370, 0x530), range(0x3000, 0x9FFD), range(0x1F300, 0x1F650)


@pytest.fixture(scope="module")
def alphabet() -> tokenizers.Tokenizer:
    """A vocabulary of all characters, so that tokens tell all of them apart."""
    known = [character for character in map(chr, range(1, characters.LIMIT)) if not 0xD800 <= ord(character) < 0xE000]
    pieces = ["[UNK]", *known, *(f"##{character}" for character in known)]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def test_every_character(library: Path, alphabet: tokenizers.Tokenizer) -> None:
    wordpiece = NativeWordPiece(library, read_recipe(alphabet))
    every = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    beyond = {every[number] for number in wordpiece.encode([f"x{character}y" for character in every], 8, 1).beyond}
    taken = [f"x{character}y" for character in every if character not in beyond]
    assert assert_same(wordpiece, alphabet, _grouped(taken), max_tokens=10_000) == set()
    for codes in (range(0x80), LATIN, PUNCTUATION, SYMBOLS, GREEK_AND_CYRILLIC, IDEOGRAPHS, EMOJI):
        assigned = {chr(code) for code in codes if unicodedata.category(chr(code)) != "Cn"}
        assert {character for character in assigned & beyond if unicodedata.category(character) != "Mc"} == set()
    assert {chr(code) for code in characters.HANGUL_SYLLABLES} <= beyond


def test_the_table_is_up_to_date() -> None:
    text = TABLE.read_text(encoding="utf-8")
    assert f'"{tokenizers.__version__}"' in text
    if f"Unicode {unicodedata.unidata_version}" not in text:
        pytest.skip("this Python knows another version of Unicode")
    assert text == characters.table()


def _grouped(words: list[str]) -> list[str]:
    return [" ".join(words[at : at + 200]) for at in range(0, len(words), 200)]
