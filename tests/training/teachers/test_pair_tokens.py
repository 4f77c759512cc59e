"""Pairs put together from sentences against the tokeniser's own encoding of pairs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from tests.tiny_bundle import make_tokenizer
from tests.training.tiny_project import sentences
from training.errors import TeacherError
from training.teachers.pair_tokens import PairTokenizer, cut_longest

BERT = ("[CLS]:0 $A:0 [SEP]:0", "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1")
MPNET = ("[CLS]:0 $A:0 [SEP]:0", "[CLS]:0 $A:0 [SEP]:0 [SEP]:0 $B:0 [SEP]:0")
BARE = ("$A:0", "$A:0 $B:1")
TEMPLATES = {"bert": BERT, "mpnet": MPNET, "bare": BARE}


def tokenizer(template: tuple[str, str]) -> PreTrainedTokenizerFast:
    backend = make_tokenizer()
    backend.add_special_tokens(["[CLS]", "[SEP]"])
    marks = [(mark, backend.token_to_id(mark)) for mark in ("[CLS]", "[SEP]")]
    backend.post_processor = TemplateProcessing(single=template[0], pair=template[1], special_tokens=marks)
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]")


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("max_tokens", [5, 8, 9, 12, 64])
def test_pairs_are_those_of_the_tokeniser(name: str, max_tokens: int) -> None:
    texts = sentences(12, seed=1)
    pairs = [*itertools.product(texts, texts), ("", texts[0]), (texts[0], "")]
    whole = tokenizer(TEMPLATES[name])
    left, right = map(list, zip(*pairs, strict=True))
    expected = whole(left, right, truncation="longest_first", max_length=max_tokens, return_token_type_ids=True)
    found = PairTokenizer(whole, max_tokens).pairs(pairs)
    assert found.lengths.tolist() == [len(ids) for ids in expected["input_ids"]]
    for row in range(len(pairs)):
        ids, segments = found.put_together([row])
        assert ids.tolist() == expected["input_ids"][row]
        assert segments.tolist() == expected["token_type_ids"][row]


def test_many_are_put_together_as_each_alone() -> None:
    texts = sentences(20, seed=2)
    tokens = PairTokenizer(tokenizer(BERT), 12).pairs(list(zip(texts[:10], texts[10:], strict=True)))
    rows = np.array([7, 0, 3, 3])
    ids, segments = tokens.put_together(rows)
    alone = [tokens.put_together([row]) for row in rows]
    assert ids.tolist() == [token for each, _ in alone for token in each]
    assert segments.tolist() == [segment for _, each in alone for segment in each]


def test_no_pairs() -> None:
    tokens = PairTokenizer(tokenizer(BERT), 12).pairs([])
    assert len(tokens) == 0
    assert [len(each) for each in tokens.put_together([])] == [0, 0]


def test_lengths_are_cut_from_the_longer_first() -> None:
    """Each kept length is at most the text's, all room is used, and what is cut was the longer."""
    first, second = (side.ravel() for side in np.meshgrid(np.arange(9), np.arange(9)))
    for most in range(2, 18):
        kept = cut_longest(first, second, most)
        assert (kept.sum(axis=1) == np.minimum(first + second, most)).all()
        assert (kept <= np.column_stack([first, second])).all()


def test_a_tokeniser_that_does_more_than_marks_is_refused() -> None:
    swapped = tokenizer(("$A:0", "[CLS]:0 $B:0 $A:1"))
    with pytest.raises(TeacherError, match="expected a tokeniser that puts marks around sentences"):
        PairTokenizer(swapped, 12)
