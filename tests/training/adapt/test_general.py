"""What ships for adaptation is what it says, and marks know a pair again."""

from __future__ import annotations

from training.adapt.general import GENERAL, general_pairs, mark, marks_of_scored


def test_general_pairs_are_as_many_as_asked_for_and_the_same_again() -> None:
    pairs = general_pairs(90, seed=3)
    assert len(pairs) == 90
    assert pairs.entailment.any(axis=1).sum() >= 60  # those that ship, and statements among the others
    assert general_pairs(90, seed=3).texts == pairs.texts
    assert general_pairs(90, seed=4).texts != pairs.texts
    assert len(general_pairs(9000, seed=0)) == 4000 + 3000


def test_a_mark_knows_a_pair_in_other_spaces_and_case_and_either_order() -> None:
    assert mark(("A dog.", "It  rains")) == mark(("it rains", "a DOG."))
    assert mark(("a", "b")) != mark(("a", "c"))
    assert mark(("a b", "c")) != mark(("a", "b c"))


def test_shipped_general_pairs_are_none_that_the_model_is_scored_on() -> None:
    marks = marks_of_scored()
    assert len(marks) > 40_000
    shipped = [pair for pair in general_pairs(4000, seed=0).texts if mark(pair) in marks]
    assert shipped == []
    assert GENERAL.stat().st_size < 300_000
