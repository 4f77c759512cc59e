"""The bundled model adapted end to end, to a rule that it does not know: both sentences are of one topic."""

from __future__ import annotations

import csv
from dataclasses import replace
from hashlib import sha256
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from cmow.service.model.bundle import ENTAILMENT, PARAPHRASE, WEIGHTS, load_bundle
from cmow.service.model.engine import Engine
from cmow.service.options.defaults import BUNDLE
from tests.test_bundled_model import COOKING, FOOTBALL
from training.adapt import command
from training.adapt.adaptation import Adaptation, Adapted
from training.adapt.command import adapt
from training.adapt.heads.fit import FitOptions
from training.adapt.options import AdaptConfig
from training.adapt.stages import Stages
from training.bundle.from_bundle import initialisers
from training.command.start import start

pytestmark = pytest.mark.bundle

ROWS = [
    *((one, other, 1) for topic in (COOKING, FOOTBALL) for one, other in product(topic, topic) if one != other),
    *((one, other, 0) for one, other in zip(COOKING * 5, sorted(FOOTBALL * 5), strict=True)),
]
LABELS = {"entailment": ("not_entailment", "entailment"), "paraphrase": ("0", "1"), "relatedness": ("1.5", "4.5")}


def _write(path: Path, task: str, rows: list[tuple[str, str, int]] = ROWS) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text1", "text2", "score" if task == "relatedness" else "label"])
        writer.writerows((one, other, LABELS[task][label]) for one, other, label in rows)
    return path


def _config(folder: Path, pairs: Path, task: str = "entailment") -> AdaptConfig:
    return AdaptConfig(
        pairs=pairs,
        task=task,  # type: ignore[arg-type]
        output=folder / "bundle",
        general=120,
        steps=40,
        threads=1,
        scale=[0, 5] if task == "relatedness" else [],
    )


@pytest.fixture(scope="module")
def shipped() -> Engine:
    return Engine(load_bundle(BUNDLE))


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> tuple[AdaptConfig, Adapted]:
    folder = tmp_path_factory.mktemp("adapt")
    config = _config(folder, _write(folder / "mine.csv", "entailment"))
    return config, adapt(config)


def test_held_out_pairs_are_told_better(adapted: tuple[AdaptConfig, Adapted]) -> None:
    _, found = adapted
    assert found.choice.check > 0
    assert found.own.after.scores["accuracy"] > found.own.before.scores["accuracy"] + 0.1
    assert found.choice.losses[found.choice.check] < found.choice.losses[0]


def test_the_new_bundle_answers_so_and_other_tasks_as_before(
    adapted: tuple[AdaptConfig, Adapted], shipped: Engine
) -> None:
    config, _ = adapted
    served, texts = Engine(load_bundle(config.output)), [(one, other) for one, other, _ in ROWS]
    same = np.array([label == 1 for *_, label in ROWS])
    now, before = (engine.answer("entailment", texts)[:, 0] > 0.5 for engine in (served, shipped))
    assert np.mean(now == same) > np.mean(before == same) + 0.1
    for task in ("similarity", "paraphrase", "relatedness"):
        np.testing.assert_array_equal(served.answer(task, texts), shipped.answer(task, texts))  # type: ignore[arg-type]
    assert served.bundle.manifest.training.recipe[-1] == "python -m training.adapt mine.csv --task entailment"


def test_nothing_of_the_run_is_left_but_its_plot(adapted: tuple[AdaptConfig, Adapted]) -> None:
    config, _ = adapted
    extra = {path.name for path in config.output.iterdir()} - {path.name for path in BUNDLE.iterdir()}
    assert extra == {command.PLOT}


def test_a_killed_run_comes_to_the_same_weights_and_reads_nothing_again(
    adapted: tuple[AdaptConfig, Adapted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, _ = adapted
    again = replace(config, output=tmp_path / "again")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Adaptation, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            adapt(again)
    with monkeypatch.context() as patch:
        patch.setattr("training.adapt.adaptation.read_pairs", killed)
        patch.setattr("training.adapt.heads.choice._checks", killed)
        adapt(again)
    for name in (WEIGHTS, ENTAILMENT):
        assert _digest(again.output / name) == _digest(config.output / name), name


def test_few_pairs_fit_the_cut_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str], shipped: Engine) -> None:
    pairs = _write(tmp_path / "few.csv", "paraphrase", ROWS[::3])
    config = _config(tmp_path, pairs, "paraphrase")
    found = adapt(config)
    assert "pairs tell a probability and not a head" in capsys.readouterr().out
    hidden = [initialisers(load_bundle(path), PARAPHRASE)["same.0.weight"] for path in (BUNDLE, config.output)]
    np.testing.assert_array_equal(*hidden)
    assert found.own.after.scores["accuracy"] >= found.own.before.scores["accuracy"]
    texts = [(one, other) for one, other, _ in ROWS]
    now, before = (engine.answer("paraphrase", texts) for engine in (Engine(load_bundle(config.output)), shipped))
    np.testing.assert_array_equal(now.argsort(kind="stable")[-3:], before.argsort(kind="stable")[-3:])
    assert not np.allclose(now, before)


def test_scores_are_fitted_and_a_dev_file_chooses(
    tmp_path: Path, shipped: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = _write(tmp_path / "mine.csv", "relatedness")
    dev = _write(tmp_path / "dev.csv", "relatedness", ROWS[::6])
    config = replace(_config(tmp_path, pairs, "relatedness"), dev=dev, steps=20)
    found = adapt(config)
    assert found.own.name == "dev pairs"
    assert len(found.own.after.pairs) == len(ROWS[::6])
    assert "11 pairs are in --dev too: not fitted to" in capsys.readouterr().out
    texts, served = [(one, other) for one, other, _ in ROWS], Engine(load_bundle(config.output))
    np.testing.assert_array_equal(served.answer("paraphrase", texts), shipped.answer("paraphrase", texts))


def test_a_head_is_read_from_its_own_graph(tmp_path: Path) -> None:
    """Relatedness begins where it was, though the paraphrase head beside it has been fitted."""
    rows = [*ROWS, *((f"Today: {one}", other, label) for one, other, label in ROWS)]
    fitted = _config(tmp_path, _write(tmp_path / "mine.csv", "paraphrase", rows), "paraphrase")
    adapt(fitted)
    begun = [
        Adaptation(load_bundle(path), task, FitOptions(), Stages(tmp_path / "stages", "one"), 0).begun[0].weight
        for path in (BUNDLE, fitted.output)
        for task in ("relatedness", "paraphrase")
    ]
    assert torch.equal(begun[0], begun[2])
    assert not torch.equal(begun[1], begun[3])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["missing.csv"], "error: missing.csv: expected a file, found none"),
        (["mine.csv", "--output", "shipped"], "expected another folder than that of the bundle to begin with"),
        (["mine.csv", "--output", "mine.csv"], "expected a folder that can be written, got mine.csv"),
        (["mine.csv", "mine.csv"], "unrecognized arguments: mine.csv"),
        (["one.csv"], "error: one.csv: expected rows of at least two labels or scores, found paraphrase in all"),
        (["few.csv"], "error: few.csv: expected at least 10 labelled rows, found 4"),
        (["mine.csv", "--fields", "a", "b", "c"], "expected a column a (see --fields A B LABEL), found text1, text2"),
        (["mine.csv", "--dev", "missing.csv"], "error: missing.csv: expected a file, found none"),
        (["mine.csv", "--dev", "mine.csv"], "error: expected at least 10 pairs that are not in --dev too, found 0"),
        (["mine.csv", "--general", "3"], "argument --general: expected a number of at least 50, got 3"),
        (["mine.csv", "--bundle", "nowhere"], "error: expected a bundle folder at nowhere, found nothing"),
    ],
)
def test_what_is_wrong_is_one_line_and_status_2(
    options: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    _write(tmp_path / "mine.csv", "paraphrase")
    _write(tmp_path / "one.csv", "paraphrase", [row for row in ROWS if row[2]])
    _write(tmp_path / "few.csv", "paraphrase", [*ROWS[:2], *ROWS[-2:]])
    (tmp_path / "shipped").symlink_to(BUNDLE)
    _fails(monkeypatch, "--output", "new", "--task", "paraphrase", *options)
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_a_bundle_is_not_written_over_unless_asked(
    adapted: tuple[AdaptConfig, Adapted], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config, _ = adapted
    _fails(monkeypatch, str(config.pairs), "--task", "entailment", "--output", str(config.output))
    assert "holds a bundle: take another folder, or --replace to write over it" in capsys.readouterr().err


def _fails(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """The command ends with status 2."""
    monkeypatch.setattr("sys.argv", ["adapt", *arguments])
    with pytest.raises(SystemExit) as ended:
        start(AdaptConfig, "training.adapt.command:adapt")
    assert ended.value.code == 2


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
