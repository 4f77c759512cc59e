"""Scores of a served bundle: one record a file, each equal to its definition, and bad files named beside them."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from cmow.service.model.bundle import load_bundle
from cmow.service.model.engine import Engine
from tests.tiny_bundle import make_tiny_bundle
from tests.training.data.written import write_labelled
from tests.training.tiny_project import labelled, write_data, write_rows
from training.command.start import start
from training.data.files import NLI_LABELS, PARAPHRASE_LABELS, DataError
from training.data.labelled import label_names, read_labelled
from training.data.reading import Reading
from training.evaluate import EvaluateConfig
from training.options import parse_options
from training.work.evaluate import Evaluated, dev_metrics, evaluate, main, pair_files


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny").path


@pytest.fixture(scope="module")
def engine(bundle: Path) -> Engine:
    return Engine(load_bundle(bundle))


def evaluated(engine: Engine, data: Path, say: list[str] | None = None) -> dict[str, Evaluated]:
    said = [] if say is None else say
    found, errors = evaluate(engine, pair_files(data, said.append), Reading(), said.append)
    assert not errors
    return {each.name: each for each in found}


def test_every_file_of_pairs_has_a_record(engine: Engine, tmp_path: Path) -> None:
    said: list[str] = []
    found = evaluated(engine, write_data(tmp_path), said)
    assert {name: (each.task, each.rows) for name, each in found.items()} == {
        "nli/counterfactual/train.jsonl.gz": ("entailment", 12),
        "nli/rte/dev.jsonl.gz": ("entailment", 8),
        "nli/rte/train.jsonl.gz": ("entailment", 8),
        "nli/snli/dev.jsonl.gz": ("entailment", 12),
        "nli/snli/train.jsonl.gz": ("entailment", 30),
        "paraphrase/mrpc/dev.jsonl.gz": ("paraphrase", 10),
        "paraphrase/mrpc/train.jsonl.gz": ("paraphrase", 10),
        "paraphrase/qqp/dev.jsonl.gz": ("paraphrase", 8),
        "paraphrase/qqp/train.jsonl.gz": ("paraphrase", 16),
        "similarity/stsb/dev.jsonl.gz": ("similarity", 12),
        "similarity/stsb/train.jsonl.gz": ("similarity", 12),
    }
    assert any("single sentences, passed over" in line for line in said)
    dev = dev_metrics(engine, tmp_path)
    assert dev.keys() == {name for name in found if "/dev" in name}
    assert all(
        dev[name][metric] == pytest.approx(found[name].scores[metric], abs=1e-4) for name in dev for metric in dev[name]
    )


def test_scores_agree_with_single_pairs(engine: Engine, tmp_path: Path) -> None:
    found = evaluated(engine, write_data(tmp_path))
    pairs = read_labelled(tmp_path / "similarity/stsb/dev.jsonl.gz", "similarity")
    scores = found["similarity/stsb/dev.jsonl.gz"].scores
    for task, metric in (("similarity", "pearson"), ("relatedness", "relatedness_pearson")):
        alone = [float(engine.answer(task, [pair])[0]) for pair in pairs.texts]
        assert scores[metric] == pytest.approx(np.corrcoef(alone, pairs.similarity)[0, 1], abs=1e-5)
    pairs = read_labelled(tmp_path / "nli/snli/dev.jsonl.gz", "entailment")
    labels = engine.bundle.manifest.labels
    told = [labels[engine.answer("entailment", [pair])[0].argmax()] for pair in pairs.texts]
    right = [name == gold for name, gold in zip(told, label_names(pairs.entailment), strict=True)]
    assert found["nli/snli/dev.jsonl.gz"].scores["accuracy"] == pytest.approx(np.mean(right))


def test_files_of_ones_own(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Any format, tables, records and a plot; a bad file is named and ends in status 2, after the others."""
    texts = [(row["sentence1"], row["sentence2"]) for row in labelled(("",), 12, 3)]
    rated = [{"text_a": left, "text_b": right, "rating": row / 11} for row, (left, right) in enumerate(texts)]
    good = [
        write_labelled(tmp_path / "a", ".csv", labelled(NLI_LABELS, 12, 1)),
        write_labelled(tmp_path / "b", ".parquet", labelled(PARAPHRASE_LABELS, 12, 2)),
        write_labelled(tmp_path / "c", ".tsv.gz", rated),
    ]
    bad = write_labelled(tmp_path / "d", ".jsonl", labelled((*NLI_LABELS, "perhaps"), 12, 4))
    out, plot = tmp_path / "out/scores.json", tmp_path / "out/plot.html"
    with pytest.raises(SystemExit) as end:
        main(EvaluateConfig(bundle=bundle, json=out, plot=plot, files=[good[0], bad, *good[1:]]))
    assert end.value.code == 2
    shown = capsys.readouterr()
    assert f"error: {bad}: expected labels by name or scores with decimals, found contradiction" in shown.err
    assert "gold \\ predicted" in shown.out
    records = json.loads(out.read_text())
    assert [record["task"] for record in records] == ["entailment", "paraphrase", "similarity"]
    assert [record["rows"] for record in records] == [12, 12, 12]
    assert np.sum(records[0]["confusion"]) == sum(each["support"] for each in records[0]["classes"].values()) == 12
    assert "calibration_error" in records[1]
    assert "relatedness_spearman" in records[2]
    assert all(math.isfinite(value) for record in records for value in record.values() if isinstance(value, float))
    assert plot.read_text().count("</svg>") == 1


def test_one_class_and_equal_scores_are_named(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = write_labelled(tmp_path / "one", ".csv", labelled(PARAPHRASE_LABELS[1:], 4, 1))
    equal = write_labelled(tmp_path / "equal", ".csv", [{**row, "score": 0.5} for row in labelled(("",), 4, 1)])
    reading = Reading(fields=["sentence1", "sentence2", "score"])
    (found,), _ = evaluate(engine, {"one": one}, Reading(), print)
    _, (error,) = evaluate(engine, {"equal": equal}, reading, print)
    assert "average_precision" not in found.scores
    assert f"warning: {one}: expected more than one label, found paraphrase in every row" in capsys.readouterr().err
    assert str(error) == f"{equal}: expected at least two different scores, found [0.5]"


def test_the_documented_commands_say_what_to_score() -> None:
    text = Path(__file__).parents[2].joinpath("docs/training.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    python -m training.evaluate (.*)$", text, re.MULTILINE)
    assert len(commands) > 3
    for command in commands:
        config = parse_options(EvaluateConfig, command.split())
        assert bool(config.files) != (config.data is not None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "error: expected labelled files or --data, found neither"),
        (["--data", "absent"], "error: absent: expected files named .jsonl"),
        (["--plot", "plot.pdf"], "error: --plot: expected a name that ends in .png, .html, .svg, found plot.pdf"),
        (["--json", "/dev/null/scores.json"], "error: argument --json: expected a file that can be written"),
        (["--json", "/dev"], "error: argument --json: expected a file that can be written, got /dev: it is a folder"),
        (["x.csv", "--bundle", "absent"], "error: expected a bundle folder at absent, found nothing"),
    ],
)
def test_what_cannot_work_ends_before_anything_is_scored(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["evaluate", *options])
    with pytest.raises(SystemExit, match="2"):
        start(EvaluateConfig, "training.work.evaluate:main")
    assert message in capsys.readouterr().err


def test_a_damaged_file_of_a_data_folder_is_named(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected files named"):
        pair_files(tmp_path)
    write_rows(tmp_path / "nli/x/dev.jsonl.gz", labelled(("perhaps",), 3, 1))
    found, (error,) = evaluate(engine, pair_files(tmp_path), Reading(), print)
    assert not found
    assert "dev.jsonl.gz:1: expected a label of entailment, " in str(error)
    with pytest.raises(DataError, match=r"dev.jsonl.gz:1: expected a label of"):
        dev_metrics(engine, tmp_path)
