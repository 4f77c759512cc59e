"""The native tokeniser stands in for the one kind of tokenizer that it implements, and for no other."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import tokenizers
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from cmow.service.wordpiece.recipe import UnsupportedError, read_recipe

VOCABULARY = {"[UNK]": 0, "dog": 1, "##s": 2, "##": 3}


def make_tokenizer(max_chars: int = 100, prefix: str = "##", unknown: str = "[UNK]") -> Tokenizer:
    model = models.WordPiece(
        VOCABULARY, unk_token=unknown, max_input_chars_per_word=max_chars, continuing_subword_prefix=prefix
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[UNK]", "[NEW]"])
    return tokenizer


def test_what_is_read() -> None:
    assert read_recipe(make_tokenizer()) == ({"[UNK]": 0, "dog": 1}, {"s": 2, "": 3}, {"[UNK]": 0, "[NEW]": 4}, 0)


def test_the_bundled_one(authority: tokenizers.Tokenizer) -> None:
    recipe = read_recipe(authority)
    assert len(recipe.words) + len(recipe.continuations) == 30_522
    assert set(recipe.literals) == {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}


def change(**parts: object) -> Callable[[], Tokenizer]:
    def make() -> Tokenizer:
        tokenizer = make_tokenizer()
        for name, part in parts.items():
            setattr(tokenizer, name, part)
        return tokenizer

    return make


def with_normalized_token() -> Tokenizer:
    tokenizer = make_tokenizer()
    tokenizer.add_tokens([AddedToken("Dog", normalized=True)])
    return tokenizer


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (change(normalizer=normalizers.BertNormalizer(lowercase=False)), "normalizer: expected"),
        (change(normalizer=normalizers.BertNormalizer(clean_text=False)), "normalizer: expected"),
        (change(normalizer=normalizers.BertNormalizer(handle_chinese_chars=False)), "normalizer: expected"),
        (change(normalizer=normalizers.BertNormalizer(strip_accents=False)), "normalizer: expected"),
        (change(normalizer=normalizers.Lowercase()), "normalizer: expected"),
        (change(normalizer=None), "normalizer: expected .*, found null"),
        (change(pre_tokenizer=pre_tokenizers.Whitespace()), "pre_tokenizer: expected"),
        (change(pre_tokenizer=None), "pre_tokenizer: expected .*, found null"),
        (change(model=models.WordLevel(VOCABULARY, unk_token="[UNK]")), "model: expected .*WordLevel"),
        (change(model=models.BPE({"a": 0}, [])), "model: expected .*BPE"),
        (lambda: make_tokenizer(max_chars=99), "model: expected .*99"),
        (lambda: make_tokenizer(prefix="@@"), "model: expected .*@@"),
        (lambda: make_tokenizer(unknown="[NONE]"), "unk_token: expected a piece of the vocabulary, found '.NONE.'"),
        (with_normalized_token, "added tokens with normalized = false, found .*Dog"),
    ],
)
def test_what_it_cannot_stand_in_for(make: Callable[[], Tokenizer], message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        read_recipe(make())


def test_accents_stripped_expressly() -> None:
    tokenizer = change(normalizer=normalizers.BertNormalizer(lowercase=True, strip_accents=True))()
    assert read_recipe(tokenizer) == read_recipe(make_tokenizer())
