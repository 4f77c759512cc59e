"""``cmow.dedupe``: what it finds, and what it refuses."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import cmow
from cmow.service.dedupe import options
from cmow.service.errors import CmowError, UsageError
from cmow.service.model.model import UNBOUNDED, Model
from tests.served import open_engine
from tests.tiny_bundle import TinyBundle


@pytest.fixture(scope="module")
def model(tiny_bundle: TinyBundle) -> Iterator[Model]:
    with Model(open_engine(tiny_bundle, "fused"), UNBOUNDED) as model:
        yield model


def test_all_the_same(model: Model) -> None:
    found = cmow.dedupe(["a dog", "A dog", "a  dog"], model=model)
    assert found.duplicate_of.tolist() == [-1, 0, 0]
    assert found.kept.tolist() == [0]
    assert found.dropped.tolist() == [1, 2]
    np.testing.assert_array_equal(found.scores, [np.nan, 1, 1])


def test_all_different(model: Model) -> None:
    found = cmow.dedupe(np.array(["a dog", "the man", "music"]), model=model, threshold=1)
    assert found.duplicate_of.tolist() == [-1, -1, -1]


def test_one_text(model: Model) -> None:
    assert cmow.dedupe("a dog", model=model).duplicate_of.tolist() == [-1]


def test_known_texts(model: Model) -> None:
    """A text is never a duplicate of one of its own side."""
    found = cmow.dedupe(["music", "a dog", "music", "A DOG"], known=["the man", "a dog"], model=model, threshold=1)
    assert found.duplicate_of.tolist() == [-1, 1, -1, 1]


def test_what_the_model_cannot_read_is_counted(model: Model) -> None:
    found = cmow.dedupe(["\N{DOG}", "\N{CAT}", "\N{DOG}", "a dog"], model=model)
    assert found.duplicate_of.tolist() == [-1, -1, 0, -1]
    assert found.unread == 3


def test_every_score_is_what_the_model_says_of_the_text_that_is_kept(model: Model) -> None:
    texts = [" ".join(words) for words in zip("aabb" * 9, "cdef" * 9, "gggggghhh" * 4, strict=True)]
    texts = [f"{text} dog dog dog dog dog dog {number % 7}" for number, text in enumerate(texts)]
    found = cmow.dedupe(texts, model=model, threshold=0.3, candidates=36)
    near = found.dropped[found.scores[found.dropped] < 1]
    assert len(near) > 3
    assert (found.duplicate_of[found.duplicate_of[found.dropped]] == -1).all()
    of_kept = [texts[kept] for kept in found.duplicate_of[near]]
    expected = model.similarity([texts[row] for row in near], of_kept, mode="paraphrase")
    np.testing.assert_allclose(found.scores[near], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"texts": []}, "texts: expected at least one text, got an empty list"),
        ({"texts": ["a", ""]}, r"texts\[1\]: expected text with at least one token, got none"),
        ({"texts": ["a", None]}, r"texts\[1\]: expected a string, got NoneType"),
        ({"texts": ["a"], "known": [3]}, r"known\[0\]: expected a string, got int"),
        ({"texts": ["a"], "keep": "last"}, "keep: expected first or longest, got 'last'"),
        ({"texts": ["a"], "threshold": 2}, "threshold: expected a number from 0 to 1, got 2"),
        ({"texts": ["a"], "candidates": 0}, "candidates: expected a number from 1 on, got 0"),
    ],
)
def test_what_it_refuses(model: Model, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(CmowError, match=says):
        cmow.dedupe(model=model, **arguments)


def test_without_faiss(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "find_spec", lambda name: None if name == "faiss" else importlib.util.find_spec(name))
    with pytest.raises(UsageError, match=r'faiss, which is not installed: pip install "cmow\[dedupe\]"'):
        cmow.dedupe(["a"], model=model)


@pytest.mark.bundle
def test_the_bundled_model() -> None:
    texts = ["How do I learn Python fast?", "A man is eating.", "What is the quickest way to learn Python?",
             "A man is not eating."]  # fmt: skip
    assert cmow.dedupe(texts).duplicate_of.tolist() == [-1, -1, 0, -1]
