"""The training of the similarity head end to end on a tiny bundle: it learns, logs, resumes, and says what is wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from msgspec import structs
from torch import Tensor

from cmow.service.model.bundle import PROJECTION, file_entry, load_bundle, write_manifest
from export.work.to_onnx import trace_projection
from tests.tiny_bundle import TinyBundle, make_tiny_bundle
from tests.training.tiny_project import killed_and_resumed, metrics, write_data
from training.bundle.from_bundle import read_projection
from training.bundle.projection import Projection, load_projection
from training.bundle.scorer import Scorer
from training.data.files import DataError
from training.data.recipe import Recipe
from training.errors import StaleError
from training.similarity_head import SimilarityHeadConfig
from training.student.model import CheckpointError
from training.work.similarity_head import run


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> SimilarityHeadConfig:
    """On a tiny bundle that has an exported projection."""
    folder = tmp_path_factory.mktemp("similarity_head")
    bundle = make_tiny_bundle(folder / "bundle", table_dtype="int8").load()
    torch.manual_seed(0)
    sizes = {"vector_dim": 400, "matrix_dim": 20, "similarity_dim": 384, "vocab_size": 2, "width": 16}
    scorer = Scorer.empty(sizes).eval()
    scorer.similarity.projection.reset_parameters()
    onnx.save_model(trace_projection(scorer), bundle.path / PROJECTION)
    files = {**bundle.manifest.files, PROJECTION: file_entry(bundle.path / PROJECTION)}
    write_manifest(bundle.path, structs.replace(bundle.manifest, files=files))
    return SimilarityHeadConfig(
        data=write_data(folder / "data"),
        base=bundle.path,
        out=folder / "run",
        triples=300,
        sentences=60,
        steps=30,
        batch=64,
        distill_batch=16,
        scored_batch=8,
        checkpoint_steps=10,
        dev_items=4,
        threads=1,
    )


@pytest.fixture(scope="module")
def trained(config: SimilarityHeadConfig) -> Projection:
    return run(config)


def test_it_learns_logs_and_saves(config: SimilarityHeadConfig, trained: Projection) -> None:
    _, first, *_, last = metrics(config.out)
    assert last["order_loss"] < first["order_loss"]
    assert {"stsb_spearman", "order held out", "order roles", "cosine rephrased", "cosine exchanged"} <= last.keys()
    kept, begun = load_projection(config.out), read_projection(load_bundle(config.base))
    for name, values in trained._asdict().items():
        assert torch.equal(getattr(kept, name), values), name
    assert torch.equal(trained.mean, begun.mean)
    assert not torch.equal(trained.weight, begun.weight)
    recipe = Recipe.read(config.out)
    assert recipe.commands[-1].startswith("python -m training.similarity_head --data DATA")
    assert recipe.commands[:-1] == load_bundle(config.base).manifest.training.recipe


def test_embeddings_are_kept_by_their_loss(config: SimilarityHeadConfig, trained: Projection, tmp_path: Path) -> None:
    free = run(replace(config, out=tmp_path, distill_weight=0))
    begun = read_projection(load_bundle(config.base))
    states = torch.randn(50, len(begun.mean))

    def kept(projection: Projection) -> Tensor:
        return (projection.head()(states) * begun.head()(states)).detach().sum(dim=1).mean()

    assert kept(free) < kept(trained) < 1


def test_a_killed_run_resumes_to_the_same_result(
    config: SimilarityHeadConfig, trained: Projection, tmp_path: Path
) -> None:
    resumed = killed_and_resumed(lambda: run(replace(config, out=tmp_path)), saves=1)
    assert torch.equal(resumed.weight, trained.weight)


def test_other_options_are_refused(config: SimilarityHeadConfig, trained: Projection) -> None:
    with pytest.raises(StaleError, match=r"--margin was 0\.2, is 0\.5"):
        run(replace(config, margin=0.5))


def test_missing_scores_are_named(config: SimilarityHeadConfig, tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    (data / "similarity/stsb/train.jsonl.gz").unlink()
    with pytest.raises(DataError, match=r"similarity: expected scored pairs in files named train\*, found none"):
        run(replace(config, data=data, out=tmp_path / "run"))


def test_another_kind_of_head_is_refused(config: SimilarityHeadConfig, tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="expected an int8 projection of standardised states, found no"):
        run(replace(config, base=tiny_bundle.path, out=tmp_path))
