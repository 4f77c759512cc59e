"""The fitted rule tells what it was fitted on; hand-written requests are read whole and counted right."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from cmow.service.model.bundle import MANIFEST, load_bundle, read_manifest
from cmow.service.model.engine import Engine
from cmow.service.model.verdicts.same import probability
from tests.tiny_bundle import TinyBundle, make_tiny_bundle
from tests.training.tiny_project import sentences, write_data
from training.pairs.calibrate import Judged
from training.verdicts import commands, fit
from training.verdicts.__main__ import VerdictsConfig
from training.verdicts.commands import Command, Judgement, read_commands, scores
from training.verdicts.same import contradictions, fit_same, least_cosine, same_sources


def test_the_rule_that_made_the_labels_is_found(tiny_bundle: TinyBundle) -> None:
    """Labels by a cut of the paraphrase head's probability: the fitted one is a half there."""
    engine = Engine(tiny_bundle.load())
    texts = sentences(600, seed=5)
    pairs = list(zip(texts[:300], texts[300:], strict=True))
    answers = engine.answer("paraphrase", pairs)
    cut = float(np.quantile(answers, 0.7))
    rule = fit_same(engine, [Judged(pairs, answers > cut)])
    assert ((probability(rule, answers) >= 0.5) == (answers > cut)).mean() > 0.97
    assert rule.similarity == pytest.approx(engine.answer("similarity", pairs)[answers > cut].min())
    assert least_cosine(engine, Judged(pairs, answers > cut)) == rule.similarity
    highest = contradictions(engine, [pair for pair, same in zip(pairs, answers > cut, strict=True) if same]).max()
    assert rule.contradiction >= highest - 1e-3  # none of what says the same is lost to it


def test_contradictions_are_the_higher_of_both_orders(tiny_bundle: TinyBundle) -> None:
    engine, pairs = Engine(tiny_bundle.load()), [("a man", "a dog"), ("it rains", "the guitar")]
    there, back = (engine.answer("entailment", each)[:, 2] for each in (pairs, [pair[::-1] for pair in pairs]))
    assert contradictions(engine, pairs).tolist() == np.maximum(there, back).tolist()


def test_sources_have_both_answers(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    alone = list(same_sources(tmp_path / "nothing"))
    assert [len(source.texts) for source in alone] == [4000]
    minimal, quora = same_sources(write_data(tmp_path / "data"))
    assert minimal.texts == alone[0].texts
    assert 0 < minimal.same.mean() < 1
    assert 0 < quora.same.mean() < 1


def test_the_command_rewrites_the_manifest_alone(tmp_path: Path) -> None:
    folder = make_tiny_bundle(tmp_path / "tiny").path
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    was = read_manifest(folder)
    for _ in range(2):  # the second time changes nothing
        fit.main(VerdictsConfig(write_data(tmp_path / "data"), folder))
    assert {path.name for path in folder.iterdir() if path.read_bytes() != before[path.name]} == {MANIFEST}
    manifest = load_bundle(folder).manifest
    assert manifest.same != was.same
    assert manifest.training.recipe == ["python -m training.verdicts --data DATA"]
    assert (manifest.relatedness, manifest.training.metrics) == (was.relatedness, was.training.metrics)


def test_a_hundred_requests_of_ten_domains() -> None:
    found = read_commands()
    assert Counter(command.domain for command in found) == dict.fromkeys({each.domain for each in found}, 10)
    assert len({command.request for command in found}) == len(found) == 100
    assert all(len({command.request, command.paraphrase, command.opposite}) == 3 for command in found)


def test_what_a_file_lacks_is_named(tmp_path: Path) -> None:
    (tmp_path / "other.tsv").write_text("a\tb\n")
    with pytest.raises(ValueError, match="expected the columns domain, kind, request, paraphrase, opposite"):
        read_commands(tmp_path / "other.tsv")


def test_both_answers_weigh_the_same() -> None:
    first, second = Command("home", "act", "a", "b", "c"), Command("home", "time", "d", "e", "f")
    table = scores([Judgement(first, True, True), Judgement(second, False, False)])
    assert table["all"] == {"requests": 2, "right": 50, "paraphrases": 50, "opposites": 50}
    assert table["act"] == {"requests": 1, "right": 50, "paraphrases": 100, "opposites": 0}
    assert table["time"] == {"requests": 1, "right": 50, "paraphrases": 0, "opposites": 100}
    assert table["home"] == table["all"]


def test_the_command_scores_a_bundle(
    tiny_bundle: TinyBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "scores.json"
    commands.main(commands.CommandsConfig(tiny_bundle.path, json=path))
    table = json.loads(path.read_text())
    assert table["all"]["requests"] == 100
    assert "paraphrases" in capsys.readouterr().out
