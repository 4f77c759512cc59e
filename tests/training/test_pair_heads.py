"""The pair encoder's training end to end on a tiny bundle: it learns, logs, resumes, and keeps to its time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cmow.service.text.tokenizer import Tokenizer
from tests.tiny_bundle import TinyBundle
from tests.training.tiny_project import killed_and_resumed, metrics, write_data
from training.data.labelled import LabelledPairs, read_labelled
from training.data.recipe import Recipe
from training.errors import TeacherError
from training.minimal_pairs.generate import pairs as minimal_pairs
from training.minimal_pairs.labels import labelled
from training.minimal_pairs.relations import Pair
from training.minimal_pairs.words import Lexicon
from training.pair_heads import PairHeadsConfig, PairModel, run
from training.pairs.pairset import PairSet
from training.student.model import CheckpointError
from training.teachers.cache import PairCache


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: TinyBundle) -> PairHeadsConfig:
    folder = tmp_path_factory.mktemp("pair_heads")
    data = write_data(folder / "data")
    gold = [
        read_labelled(data / "nli/snli/train.jsonl.gz", "entailment"),
        read_labelled(data / "paraphrase/qqp/train.jsonl.gz", "paraphrase"),
    ]
    cache = PairCache.create(folder / "pair_labels", LabelledPairs.joined(gold), {"teacher": "tiny"})
    cache.logits[:] = np.random.default_rng(0).normal(size=cache.logits.shape)
    cache.logits.flush()
    (folder / "pair_labels/state.json").write_text(f'{{"identity": {{}}, "done": {len(cache.logits)}}}')
    Recipe().then("judge", []).write(folder / "pair_labels")
    return PairHeadsConfig(
        data=data,
        base=tiny_bundle.path,
        pair_labels=folder / "pair_labels",
        out=folder / "run",
        width=8,
        places=6,
        hidden_dim=16,
        constructed=50,
        epochs=6,
        batch=12,
        lr=1e-2,
        dropout=0.0,
        checkpoint_steps=24,
        threads=1,
    )


@pytest.fixture(scope="module")
def trained(config: PairHeadsConfig) -> PairModel:
    return run(config)


def test_it_learns_logs_and_saves(config: PairHeadsConfig, trained: PairModel) -> None:
    first, *_, last = metrics(config.out)
    assert last["loss"] < first["loss"]
    assert {"snli_accuracy", "rte_accuracy", "stsb_spearman", "qqp_average_precision", "minimal roles"} <= last.keys()
    assert {"minimal possessives", "minimal causes"} <= last.keys()  # never trained on
    kept = load_file(config.out / "pair_heads.safetensors")
    for name, values in trained.state_dict().items():
        torch.testing.assert_close(kept[name], values.half(), msg=name)
    assert Recipe.read(config.out).commands[-1].startswith("python -m training.pair_heads --data DATA")


def test_a_killed_run_resumes_to_the_same_result(config: PairHeadsConfig, trained: PairModel, tmp_path: Path) -> None:
    again = replace(config, out=tmp_path)
    resumed = killed_and_resumed(lambda: run(again), saves=1).state_dict()
    for name, values in trained.state_dict().items():
        assert torch.equal(resumed[name], values), name


def test_other_options_are_refused(config: PairHeadsConfig, trained: PairModel) -> None:
    with pytest.raises(CheckpointError, match="begun with"):
        run(replace(config, lr=1e-3))


def test_missing_judgements_are_named(config: PairHeadsConfig, tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match=r"expected a cache made by training\.pair_labels"):
        run(replace(config, pair_labels=tmp_path, out=tmp_path / "run"))


def test_minutes_bound_the_steps(config: PairHeadsConfig, tmp_path: Path) -> None:
    """So few that one step is all; ``max_steps`` bounds them by number."""
    run(replace(config, out=tmp_path / "minutes", minutes=1e-6))
    assert [record["step"] for record in metrics(tmp_path / "minutes")] == [1]
    run(replace(config, out=tmp_path / "steps", max_steps=2))
    assert [record["step"] for record in metrics(tmp_path / "steps")] == [2]


def test_a_part_of_the_judgements_and_no_minimal_pairs(config: PairHeadsConfig, tmp_path: Path) -> None:
    run(replace(config, out=tmp_path, judged=24, constructed=0, epochs=1))
    assert metrics(tmp_path)[-1]["step"] == 2


def test_minimal_pairs_as_labelled_pairs(config: PairHeadsConfig) -> None:
    known = [
        Pair("a", "b", "kind", "entailment", True, 0.9),
        Pair("a", "c", "kind", "not_entailment", False, None),
        Pair("a", "d", "kind", None, None, None),
    ]
    found = labelled(known)
    assert found.texts == [("a", "b"), ("a", "c"), ("a", "d")]
    assert found.entailment.tolist() == [[True, False, False], [False, True, True], [False, False, False]]
    np.testing.assert_array_equal(found.paraphrase, [1, 0, np.nan])
    np.testing.assert_array_equal(found.similarity, [0.9, np.nan, np.nan])
    assert len(labelled(minimal_pairs(Lexicon.of("train"), 0, 10))) == 10
    assert len(labelled([])) == 0


def test_pair_sets_are_joined(tiny_bundle: TinyBundle) -> None:
    tokenizer = Tokenizer(tiny_bundle.load().tokenizer_path, 64)
    one = PairSet.of(LabelledPairs.of([("a dog", "the man")]), tokenizer)
    other = PairSet.of(LabelledPairs.of([("it rains", "a dog"), ("music", "music")]), tokenizer)
    both = one.with_more(other)
    assert both.pairs.tolist() == [[0, 1], [2, 3], [4, 4]]
    texts = ["a dog", "the man", "it rains", "a dog", "music"]
    np.testing.assert_array_equal(both.sentences.token_ids, tokenizer.encode(texts).token_ids)
    np.testing.assert_array_equal(both.sentences.cu_seqlens, tokenizer.encode(texts).cu_seqlens)


def test_a_run_goes_on_from_another_one(config: PairHeadsConfig, trained: PairModel, tmp_path: Path) -> None:
    """Its first losses are those that the other one ended with; heads of another size begin anew, and it says so."""
    again = replace(config, out=tmp_path / "again", start=config.out, lr=1e-9, max_steps=2, checkpoint_steps=1)
    run(again)
    assert metrics(again.out)[0]["snli_accuracy"] == metrics(config.out)[-1]["snli_accuracy"]
    assert len(Recipe.read(again.out).commands) == len(Recipe.read(config.out).commands) + 1
    other = run(replace(again, out=tmp_path / "other", hidden_dim=24))
    torch.testing.assert_close(other.encoder.places, trained.encoder.places, atol=1e-3, rtol=0)
    with pytest.raises(CheckpointError, match="expected a pair encoder of the same sizes"):
        run(replace(again, out=tmp_path / "wrong", places=5))
