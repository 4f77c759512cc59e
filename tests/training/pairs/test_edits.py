"""Edits: each changes what it says it changes, and nothing else."""

import random

import pytest

from training.pairs.edits import EDITS, edited_pairs, replace_word

SENTENCE = ["Three", "men", "are", "playing", "chess", "in", "the", "park,", "while", "it", "rains"]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("negate", "It is late", {"It is not late"}),
        ("negate", "It is not late", {"It is late"}),
        ("drop_word", "A man eats bread", {"A man bread", "A man eats"}),
        ("drop_phrase", "A man eats bread in Rome", {"A man eats bread"}),
        ("swap_words", "Paul loves Mary", {"loves Paul Mary", "Mary loves Paul", "Paul Mary loves"}),
    ],
)
def test_an_edit_does_what_it_says(name: str, text: str, expected: set[str]) -> None:
    edited = EDITS[name](text.split(), random.Random(0))
    assert edited is not None
    assert " ".join(edited) in expected


def test_numbers_change_to_other_numbers() -> None:
    edited = EDITS["change_number"](["the", "12", "men", "saw", "five", "dogs"], random.Random(1))
    assert edited is not None
    assert [word for word in edited if word not in ("the", "men", "saw", "five", "dogs")] != ["12"]
    assert len(edited) == 6


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_that_does_not_apply_gives_none(name: str) -> None:
    assert EDITS[name](["yes"], random.Random(0)) is None
    assert EDITS[name]([], random.Random(0)) is None


def test_a_replaced_word_comes_from_the_other_sentence() -> None:
    edited = replace_word(["blue", "cars"], ["green", "blue", "a"], random.Random(0))
    assert edited in (["green", "cars"], ["blue", "green"])
    assert replace_word(["blue"], ["blue"], random.Random(0)) is None


def test_pairs_hold_the_sentence_and_one_edit_of_it() -> None:
    texts = [" ".join(SENTENCE), "yes", "A dog runs on grass"]
    pairs = edited_pairs(texts, texts[1:] + texts[:1], random.Random(3))
    assert len(pairs) == 2  # nothing applies to the second
    for pair, text in zip(pairs, (texts[0], texts[2]), strict=True):
        assert text in pair
        assert pair[0] != pair[1]
