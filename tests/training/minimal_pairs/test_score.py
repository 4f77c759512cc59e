"""Scores on minimal pairs, of an engine whose answers are known."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cmow.service.model.engine import Engine
from tests.tiny_bundle import TinyBundle
from tests.training.tiny_project import write_data
from training.minimal_pairs.relations import Item, Pair, Relation
from training.minimal_pairs.score import ScoreConfig
from training.work.minimal_pairs import score

SAYS = {("a", "b"): 0.9, ("b", "a"): 0.8, ("a", "x"): 0.7, ("x", "a"): 0.1}


class Sure:
    """Knows the pairs of ``SAYS``, by every task."""

    bundle = SimpleNamespace(manifest=SimpleNamespace(labels=("neutral", "entailment", "contradiction")))

    def answer(self, task: str, pairs: list[tuple[str, str]]) -> Any:
        values = np.array([SAYS[pair] for pair in pairs], np.float32)
        if task == "entailment":
            return np.stack([1 - values, values, 0 * values], axis=1)
        return values


ENGINE: Engine = Sure()  # type: ignore[assignment]
STATED = Item("order", "a", (("b", Relation.SAME), ("x", Relation.EXCHANGED)))


def test_both_answers_weigh_the_same() -> None:
    """Both ways of what says the same are right, one of the two that do not follow."""
    assert score.told_right(ENGINE, list(STATED.pairs())) == pytest.approx((1 + 0.5) / 2)
    asked = Item("order", "a", STATED.others, "question")
    assert score.told_right(ENGINE, list(asked.pairs())) == pytest.approx((1 + 0.5) / 2)
    assert score.balanced(np.array([True, False]), np.array([True, True])) == 0.5
    unlabelled = Pair("no", "label", "order", None, None, None)
    assert score.told_right(ENGINE, [*STATED.pairs(), unlabelled]) == pytest.approx(0.75)


def test_triples() -> None:
    assert score.ordered_right(ENGINE, list(STATED.triples()), "similarity").tolist() == [True]
    back = Item("order", "a", (("x", Relation.SAME), ("b", Relation.OPPOSED)))
    assert score.ordered_right(ENGINE, list(back.triples()), "paraphrase").tolist() == [False]


def test_means_are_over_kinds() -> None:
    table = score.scores(ENGINE, {"order": [STATED], "other": [STATED, STATED]})
    assert table["order"] == {"right": 75.0, "similarity": 100.0, "relatedness": 100.0, "paraphrase": 100.0}
    found = score.means(table | {"held": dict.fromkeys(table["order"], 50.0)}, frozenset({"held"}))
    assert found["kinds of training"] == table["order"]
    assert set(found["kinds held out"].values()) == {50.0}


def test_the_command_scores_a_bundle(
    tiny_bundle: TinyBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, path = write_data(tmp_path / "data"), tmp_path / "scores.json"
    score.main(ScoreConfig(data, tiny_bundle.path, items=2, json=path))
    table = json.loads(path.read_text())
    assert {"roles", "switches", "possessives", "kinds of training", "kinds held out"} <= table.keys()
    assert all(0 <= value <= 100 for row in table.values() for value in row.values())
    assert "kinds held out" in capsys.readouterr().out
