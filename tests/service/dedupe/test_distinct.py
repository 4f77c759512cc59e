"""Texts that are the same to the model, and those that it cannot tell apart."""

from __future__ import annotations

import pytest

from cmow.service.dedupe.distinct import Distinct, find_distinct
from cmow.service.dedupe.options import Keep
from cmow.service.text.tokenizer import Tokenizer
from tests.tiny_bundle import TinyBundle


@pytest.fixture(scope="module")
def tokenizer(tiny_bundle: TinyBundle) -> Tokenizer:
    return Tokenizer(tiny_bundle.load().tokenizer_path, max_tokens=5, threads=1)


def kept(found: Distinct) -> list[int]:
    return [int(row) for row in found.first[found.of]]


def test_case_and_white_space_make_no_difference(tokenizer: Tokenizer) -> None:
    found = find_distinct(tokenizer, ["A dog", "the man", "a  DOG ", "The man"], 0, "first")
    assert kept(found) == [0, 1, 0, 1]
    assert found.whole.tolist() == [True, True]


def test_what_the_model_cannot_read_is_the_same_only_to_the_letter(tokenizer: Tokenizer) -> None:
    """It reads both animals alike, and nothing beyond the fifth token."""
    texts = ["\N{DOG}", "\N{CAT}", "\N{DOG}", "a a a a a dog", "a a a a a man", "a a a a a", "a a a a a man"]
    found = find_distinct(tokenizer, texts, 0, "first")
    assert kept(found) == [0, 1, 0, 3, 4, 5, 4]
    assert found.whole.tolist() == [False, False, False, False, True]


@pytest.mark.parametrize(("keep", "first"), [("first", [0, 1, 2]), ("longest", [1, 0, 3])])
def test_which_is_kept(tokenizer: Tokenizer, keep: Keep, first: list[int]) -> None:
    """Of the two known texts and of the others; known ones come first all the same."""
    found = find_distinct(tokenizer, ["the", "the  man", "a dog", "a   dog"], 2, keep)
    assert found.first.tolist() == first
    assert found.known == 2


def test_no_text(tokenizer: Tokenizer) -> None:
    assert len(find_distinct(tokenizer, [], 0, "longest").first) == 0
