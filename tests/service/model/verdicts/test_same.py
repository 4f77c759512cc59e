"""The verdict on each pair beside the obvious way: every head asked about every pair, in both orders."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from cmow.service.errors import DeadlineError, SchemaError
from cmow.service.model.bundle import Same
from cmow.service.model.engine import Engine
from cmow.service.model.model import UNBOUNDED, Model
from cmow.service.model.verdicts.same import REASONS, Match, Thresholds, probability
from cmow.service.model.work import Scored, Work
from cmow.service.text.pairs import Sides

QUERY = "a man is playing guitar"
CANDIDATES = [
    QUERY,
    "somebody makes music",
    "it rains",
    "the dog",
    "a man is not playing guitar",
    "A MAN is playing",
    "\u4e00",
]
THRESHOLDS = [Thresholds(*values) for values in product((-1, 0.2, 0.9), (0, 0.2, 0.45), (0, 0.3, 1))]


@pytest.fixture(scope="module")
def model(engine: Engine) -> Model:
    return Model(engine, UNBOUNDED)


def obvious(engine: Engine, candidate: str, thresholds: Thresholds) -> str | None:
    """The first reason against ``candidate``."""
    there, back = (QUERY, candidate), (candidate, QUERY)
    contradiction = engine.answer("entailment", [there, back])[:, 2].max()
    if not candidate.isascii():
        return "unknown words"
    if engine.answer("similarity", [there])[0] < thresholds.similarity:
        return "low similarity"
    if probability(engine.bundle.manifest.same, engine.answer("paraphrase", [there]))[0] < thresholds.paraphrase:
        return "not a paraphrase"
    return "contradiction" if contradiction > thresholds.contradiction else None


@pytest.mark.parametrize("thresholds", THRESHOLDS, ids=str)
def test_verdicts_are_those_of_the_obvious_way(model: Model, thresholds: Thresholds) -> None:
    found = model.same(QUERY, CANDIDATES, thresholds.similarity, thresholds.paraphrase, thresholds.contradiction)
    assert sorted(match.index for match in found) == list(range(len(CANDIDATES)))
    for match in found:
        assert match.candidate == CANDIDATES[match.index]
        assert match.reason == obvious(model.engine, match.candidate, thresholds)
        assert match.same == (match.reason is None)
        assert (match.paraphrase is None) == (match.reason in REASONS[:2])
        assert (match.contradiction is None) == (match.reason in REASONS[:3])


def test_every_reason_occurs(model: Model) -> None:
    reasons = {
        match.reason
        for asked in THRESHOLDS
        for match in model.same(QUERY, CANDIDATES, asked.similarity, asked.paraphrase, asked.contradiction)
    }
    assert reasons == {*REASONS, None}


def test_the_best_come_first(model: Model) -> None:
    found = model.same(QUERY, CANDIDATES, similarity=-1, paraphrase=0, contradiction=1)
    known = [match for match in found if match.same]
    assert [match.same for match in found] == sorted((match.same for match in found), reverse=True)
    values = [match.paraphrase for match in known if match.paraphrase is not None]
    assert len(values) == len(known) == len(CANDIDATES) - 1
    assert values == sorted(values, reverse=True)


def test_numbers_do_not_depend_on_the_other_candidates(model: Model) -> None:
    together = {match.candidate: match for match in model.same(QUERY, CANDIDATES, 0.2, 0, 1)}
    for candidate in CANDIDATES:
        (alone,) = model.same(QUERY, candidate, 0.2, 0, 1)
        expected = together[candidate]
        assert (alone.same, alone.reason) == (expected.same, expected.reason)
        for name in ("similarity", "paraphrase", "contradiction"):
            assert getattr(alone, name) == pytest.approx(getattr(expected, name), abs=1e-5)


def test_an_unknown_word_may_mean_anything(model: Model) -> None:
    query = "a man is \u4e00"
    found = model.same(query, ["a man is \u4e8c", query, "a man is"], -1, 0, 1)
    verdicts = {match.index: match.reason for match in found}
    assert verdicts == {0: "unknown words", 1: None, 2: "unknown words"}


def test_what_fails_midway_is_no_verdict(model: Model) -> None:
    """Neither a yes nor a no: the error of a later step comes out."""
    sides = Sides(QUERY, CANDIDATES, ("query", "candidates"))
    steps = model.same_steps(sides, Thresholds(-1, 0, 1), "refuse")

    class Failing(Model):
        def run(self, work: Work) -> Scored:
            if work.task == "entailment":
                raise DeadlineError("late")
            return super().run(work)

    with pytest.raises(DeadlineError):
        Failing(model.engine, UNBOUNDED).follow(steps)


def test_what_is_fitted_moves_the_probability() -> None:
    answers = np.array([0, 0.1, 0.5, 1], np.float32)
    found = probability(Same(scale=2, shift=1), answers)
    assert found[1:3] == pytest.approx([1 / (1 + np.exp(-2 * np.log(1 / 9) - 1)), 1 / (1 + np.exp(-1))], rel=1e-6)
    assert 0 < found[0] < 1e-6
    assert 1 - 1e-6 < found[3] < 1
    assert probability(Same(), answers)[1:3] == pytest.approx([0.1, 0.5], abs=1e-6)


@pytest.mark.parametrize(("name", "value"), [("similarity", -1.1), ("paraphrase", -0.1), ("contradiction", 1.1)])
def test_a_threshold_out_of_bounds_is_an_error(model: Model, name: str, value: float) -> None:
    with pytest.raises(SchemaError, match=f"{name}: expected a number from -?[01] to 1, got {value}"):
        model.same(QUERY, CANDIDATES, **{name: value})


def test_nan_is_no_threshold() -> None:
    with pytest.raises(SchemaError, match="got nan"):
        Thresholds.of(Same(), paraphrase=float("nan"))


def test_a_match_is_a_plain_record(model: Model) -> None:
    (match,) = model.same(QUERY, QUERY, -1, 0, 1)
    assert match == Match(0, QUERY, True, match.similarity, match.paraphrase, match.contradiction, None)
    assert isinstance(match.similarity, float)


def test_a_list_is_no_query(model: Model) -> None:
    with pytest.raises(SchemaError, match="query: expected a string, got list"):
        model.same(["a man", "music"], ["a dog", "it rains"])  # type: ignore[arg-type]
