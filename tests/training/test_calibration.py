"""What is fitted on a bundle: what made labels and scores comes back, and of its files the manifest alone changes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import asdict

from cmow.service.model.bundle import MANIFEST, load_bundle, read_manifest
from cmow.service.model.engine import Engine
from tests.tiny_bundle import RELATED, make_tiny_bundle
from tests.training.tiny_project import labelled, sentences, write_data, write_rows
from training.bundle.scorer import Calibration
from training.calibration import CalibrationConfig, calibrated, fit_relatedness, main, paraphrase_sources, platt
from training.data.files import NLI_LABELS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_tiny_bundle(tmp_path / "tiny").path


def test_the_weights_that_made_the_scores_are_found(folder: Path, tmp_path: Path) -> None:
    """Two data sets with scales of their own, SICK from 1 to 5."""
    engine = Engine(load_bundle(folder))
    texts = sentences(80, seed=3)
    pairs = list(zip(texts[:40], texts[40:], strict=True))
    related = engine.answer("relatedness", pairs).tolist()
    assert 0 < min(related) < max(related) < 1  # nothing was cut off
    for name, low, high in (("sick", 1, 5), ("stsb", 0, 5)):
        rows = [
            {"sentence1": left, "sentence2": right, "score": low + (high - low) * score}
            for (left, right), score in zip(pairs, related, strict=True)
        ]
        write_rows(tmp_path / f"data/similarity/{name}/dev.jsonl.gz", rows)
    found = fit_relatedness(engine, tmp_path / "data")
    assert asdict(found) == pytest.approx(asdict(RELATED), abs=1e-3)


def test_the_command_rewrites_the_manifest_alone(folder: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    data = write_data(tmp_path / "data")
    for _ in range(2):  # the second time changes nothing
        main(CalibrationConfig(data, folder))
        manifest = read_manifest(folder)
        assert manifest.training.recipe == ["python -m training.calibration --data DATA"]
    assert {path.name for path in folder.iterdir() if path.read_bytes() != before[path.name]} == {MANIFEST}
    assert manifest.relatedness == fit_relatedness(Engine(load_bundle(folder)), data)
    assert "relatedness_spearman" in manifest.training.metrics["similarity/stsb/dev.jsonl.gz"]
    assert manifest.created == load_bundle(folder).manifest.created


def test_what_there_are_no_data_for_stays_and_is_said(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Entailment alone is enough to calibrate and to score by; no dev split at all is not."""
    data = tmp_path / "data"
    write_rows(data / "nli/mine/train.jsonl.gz", labelled(NLI_LABELS, 12, 1))
    with pytest.raises(SystemExit, match=r"error: .*data: expected dev\* in nli, similarity, paraphrase, found none"):
        main(CalibrationConfig(data, folder))
    write_rows(data / "nli/mine/dev.jsonl.gz", labelled(NLI_LABELS, 12, 2))
    before = Calibration(paraphrase_shift=0.5)
    found = calibrated(folder, data, before)
    assert found == replace(before, entailment_temperature=found.entailment_temperature)
    main(CalibrationConfig(data, folder))
    manifest = read_manifest(folder)
    assert manifest.relatedness == RELATED
    assert manifest.training.metrics.keys() == {"nli/mine/dev.jsonl.gz"}
    said = capsys.readouterr().err
    assert "the probability and the threshold of paraphrases stay: found no training pairs of both kinds" in said
    assert "the weights of relatedness stay: found no scored pairs in similarity/*/dev*" in said


def test_the_scale_and_shift_that_made_the_labels_are_found() -> None:
    """Whatever share a source has of the rows: twice as many that weigh half as much change nothing."""
    chance = np.random.default_rng(0)
    logits = chance.normal(0, 3, 20_000)
    same = chance.random(len(logits)) < 1 / (1 + np.exp(1 - 0.5 * logits))
    weights = np.full(len(logits), 1 / len(logits))
    assert platt(logits, same, weights) == pytest.approx((0.5, -1), abs=0.05)
    doubled = [np.concatenate([values, values]) for values in (logits, same, weights / 2)]
    assert platt(*doubled) == pytest.approx(platt(logits, same, weights), abs=1e-3)


def test_every_source_has_pairs_that_say_the_same_and_others(tmp_path: Path) -> None:
    data = write_data(tmp_path)
    scored = [{"sentence1": "a", "sentence2": "b", "score": score} for score in (0, 2.5, 3.4, 4, 5)]
    write_rows(data / "similarity/stsb/train.jsonl.gz", scored)
    write_rows(data / "paraphrase/mine/train.jsonl.gz", labelled(("yes", "no"), 4, 9))
    mine, quora, stsb, minimal = paraphrase_sources(data)
    assert mine.same.tolist() == [True, False, True, False]
    assert len(quora.texts) == len(quora.same)
    assert stsb.same.tolist() == [False, False, True, True]  # 3.4 of 5 is neither
    assert 0 < minimal.same.sum() < len(minimal.same)


def test_a_bundle_is_calibrated_by_what_it_answers(folder: Path, tmp_path: Path) -> None:
    """What it was exported with counts as known: the same fit comes out."""
    data = write_data(tmp_path / "data")
    plain = calibrated(folder, data, Calibration())
    known = calibrated(
        folder, data, Calibration(entailment_temperature=2.0, paraphrase_scale=2.0, paraphrase_shift=1.0)
    )
    assert known.entailment_temperature == pytest.approx(2 * plain.entailment_temperature)
    assert known.paraphrase_scale == pytest.approx(2 * plain.paraphrase_scale, rel=1e-2)
    assert known.paraphrase_threshold == plain.paraphrase_threshold


def test_without_training_pairs_the_cut_stays(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "nli").mkdir()
    before = Calibration(paraphrase_shift=0.5)
    assert calibrated(folder, tmp_path, before) == before
