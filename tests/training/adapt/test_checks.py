"""What is wrong or odd in somebody's file is said before anything is fitted, with its lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cmow.service.text.tokenizer import Tokenizer
from tests.tiny_bundle import TinyBundle
from training.adapt.checks import check
from training.data.files import DataError
from training.data.labelled import LabelledPairs

PATH = Path("mine.csv")


@pytest.fixture
def tokenizer(tiny_bundle: TinyBundle) -> Tokenizer:
    return Tokenizer(tiny_bundle.load().tokenizer_path, 6)


def _paraphrases(texts: list[tuple[str, str]], same: list[int]) -> LabelledPairs:
    return LabelledPairs.of(texts, paraphrase=np.array(same, float), lines=range(2, len(texts) + 2))


def _plain(count: int) -> list[tuple[str, str]]:
    return [("a man", " ".join(["music"] * (1 + row))) for row in range(count)]


def test_classes_are_counted(tokenizer: Tokenizer) -> None:
    findings, taken = check(_paraphrases(_plain(12), [1] * 9 + [0] * 3), "paraphrase", PATH, tokenizer)
    assert findings.classes == {"paraphrase": 9, "not_paraphrase": 3}
    assert len(taken) == 12
    assert "paraphrase 9 (75%), not_paraphrase 3 (25%)" in findings.text()


def test_scores_are_counted_by_fifths(tokenizer: Tokenizer) -> None:
    pairs = LabelledPairs.of(_plain(11), similarity=np.linspace(0, 1, 11), lines=range(11))
    findings, _ = check(pairs, "relatedness", PATH, tokenizer)
    assert findings.classes == {"0.0 to 0.2": 2, "0.2 to 0.4": 2, "0.4 to 0.6": 2, "0.6 to 0.8": 2, "0.8 to 1.0": 3}


def test_doubled_and_contradicting_rows_are_named(tokenizer: Tokenizer) -> None:
    texts = [*_plain(10), ("A  Man", "music"), ("music", "a man"), ("a man", "music music")]
    findings, taken = check(_paraphrases(texts, [1] * 5 + [0] * 5 + [1, 1, 0]), "paraphrase", PATH, tokenizer)
    assert findings.doubled == [12, 13]
    assert findings.contradicting == [14]
    assert len(taken) == 11
    assert "2 (lines 12, 13)" in findings.text()


def test_the_order_of_the_sides_counts_in_entailment(tokenizer: Tokenizer) -> None:
    texts = [*_plain(10), ("music", "a man"), ("a man", "music")]
    accepted = np.eye(3, dtype=bool)[[row % 3 for row in range(12)]]
    findings, _ = check(LabelledPairs.of(texts, entailment=accepted, lines=range(12)), "entailment", PATH, tokenizer)
    assert findings.doubled == []
    assert findings.contradicting == [11]


def test_cut_and_unknown_texts_are_named(tokenizer: Tokenizer) -> None:
    texts = [*_plain(10)[:5], ("a man", "\U0001f600"), *[("the dog", f"{'a ' * row}man") for row in (0, 1, 2, 9)]]
    findings, _ = check(_paraphrases(texts, [1, 0] * 5), "paraphrase", PATH, tokenizer)
    assert findings.cut == [11]
    assert findings.unread == [7]


@pytest.mark.parametrize(
    ("same", "message"),
    [
        ([1, 0] * 4, r"mine\.csv: expected at least 10 labelled rows, found 8"),
        ([1] * 12, r"mine\.csv: expected rows of at least two labels or scores, found paraphrase in all"),
        ([1] * 11 + [0], r"mine\.csv: expected at least two rows of each label, found one with not_paraphrase"),
    ],
)
def test_too_little_is_an_error(same: list[int], message: str, tokenizer: Tokenizer) -> None:
    with pytest.raises(DataError, match=message):
        check(_paraphrases(_plain(len(same)), same), "paraphrase", PATH, tokenizer)
