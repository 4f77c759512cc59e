"""Relatedness fitted on a bundle: the weights that made the scores come back, and the manifest alone changes."""

from pathlib import Path

import pytest
from msgspec.structs import asdict

from cmow.service.model.bundle import MANIFEST, load_bundle, read_manifest
from cmow.service.model.engine import Engine
from tests.tiny_bundle import RELATEDNESS, make_tiny_bundle
from tests.training.tiny_project import sentences, write_data, write_rows
from training.data.files import DataError
from training.relatedness import RelatednessConfig, fit_relatedness, main


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
        write_rows(tmp_path / f"data/similarity/{name}/train.jsonl.gz", rows)
    found = fit_relatedness(engine, tmp_path / "data")
    assert asdict(found) == pytest.approx(asdict(RELATEDNESS), abs=1e-3)


def test_the_command_rewrites_the_manifest_alone(folder: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    data = write_data(tmp_path / "data")
    for _ in range(2):  # the second time changes nothing
        main(RelatednessConfig(data, folder))
        manifest = read_manifest(folder)
        assert manifest.training.recipe == ["python -m training.relatedness --data DATA"]
    assert {path.name for path in folder.iterdir() if path.read_bytes() != before[path.name]} == {MANIFEST}
    assert manifest.relatedness == fit_relatedness(Engine(load_bundle(folder)), data)
    assert "relatedness_spearman" in manifest.training.metrics["similarity/stsb/dev.jsonl.gz"]
    assert manifest.created == load_bundle(folder).manifest.created


def test_data_without_scored_pairs_are_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "similarity").mkdir()
    with pytest.raises(DataError, match="similarity: expected training splits of scored pairs, found none"):
        fit_relatedness(Engine(load_bundle(folder)), tmp_path)
    with pytest.raises(SystemExit, match=r"error: .*expected training splits"):
        main(RelatednessConfig(tmp_path, folder))
    assert read_manifest(folder).relatedness == RELATEDNESS
