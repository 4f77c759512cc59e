"""Mined pairs: how many of each kind, and by whose embeddings."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import cmow
from tests.tiny_bundle import TinyBundle
from tests.training.tiny_project import write_data, write_teacher_cache
from training.data.labelled import TextPair
from training.data.sentences import distinct_sentences
from training.pairs.kinds import NEAR_CAPTIONS, NEAR_QUESTIONS, Counts, Nearest
from training.pairs.mining import Mine
from training.pairs.neighbours import Neighbours
from training.teachers.cache import TeacherCache

KINDS = [known.name for known in fields(Counts) if known.name not in ("pool", "plain")]
MORE = ["captions", "caption_hypotheses", "other_hypotheses", "near_questions", "running_text", "scored_sentences"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("project") / "data")


@pytest.fixture(scope="module")
def neighbours(data: Path) -> Neighbours:
    folder = write_teacher_cache(data.parent / "teacher", distinct_sentences(data, 200, 0))
    return Neighbours.of_cache(TeacherCache.open(folder))


@pytest.fixture
def mined(data: Path, neighbours: Neighbours) -> Callable[..., list[TextPair]]:
    def of_kind(kind: str, **counts: int) -> list[TextPair]:
        found: list[TextPair] = getattr(Mine(data, neighbours, random.Random(0), Counts(**counts)), kind)()
        return found

    return of_kind


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_as_many_as_it_may(mined: Callable[..., list[TextPair]], kind: str) -> None:
    assert mined(kind, **{kind: 0}) == []
    found = mined(kind, **{kind: 5})
    assert len(found) == 5 or (kind == "edits" and 0 < len(found) <= 5)  # not every sentence can be edited


@pytest.mark.parametrize("kind", MORE)
def test_a_larger_number_takes_more_partners(mined: Callable[..., list[TextPair]], kind: str) -> None:
    usual = len(mined(kind))
    more = mined(kind, **{kind: 2 * usual})
    assert len(more) > usual
    assert len(set(more)) == len(more)


@pytest.mark.parametrize("kind", ["near_captions", "near_premises", "near_hypotheses"])
def test_some_kinds_are_mined_only_when_asked_for(mined: Callable[..., list[TextPair]], kind: str) -> None:
    assert mined(kind) == []


def test_other_kinds_and_their_randomness_stay_as_they_were(data: Path, neighbours: Neighbours) -> None:
    """What no option asks for changes nothing of what a seed gives."""
    plain = Mine(data, neighbours, random.Random(3)).all(100)
    assert plain == Mine(data, neighbours, random.Random(3), Counts(near_captions=0)).all(100)
    assert plain != Mine(data, neighbours, random.Random(3), Counts(near_captions=9)).all(100)


def test_more_partners_stand_further_away() -> None:
    assert NEAR_CAPTIONS.taking(8) == Nearest(among=80, taken=8)
    assert NEAR_CAPTIONS.taking(1) == Nearest(among=40, taken=1)
    assert NEAR_QUESTIONS.taking(3) == Nearest(among=18, taken=3)


def test_neighbours_by_a_bundle_are_those_of_its_vectors(tiny_bundle: TinyBundle, data: Path) -> None:
    texts = distinct_sentences(data, 40, 0)[:40]
    with cmow.load(tiny_bundle.path, "cpu") as model:
        vectors = model.embed(texts)
        found = Neighbours.of_model(model, texts).nearest(texts, texts, 3, block=7)
    scores = vectors @ vectors.T
    for row, near in enumerate(found):
        assert len(near) == 3
        others = np.delete(scores[row], row)
        np.testing.assert_allclose(
            scores[row][[texts.index(text) for text in near]], np.sort(others)[::-1][:3], atol=1e-5
        )
