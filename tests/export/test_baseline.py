"""Export of baselines: what ONNX Runtime computes is what transformers computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from cmow.service.errors import BundleError
from cmow.service.model.baseline import Baseline, Baselines, read_manifest
from export.work.baseline import pair_tokenizer, pretrained
from tests.tiny_baseline import LABELS, make_tiny_baseline, tiny_model, tiny_tokenizer
from tests.tiny_bundle import make_tokenizer
from training.errors import TrainingError

PAIRS = [("a man is playing guitar", "somebody makes music"), ("it rains", "the dog"), ("a", "a woman is not a man")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("baselines")


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return make_tiny_baseline(folder, "nli", "entailment")


def test_logits_are_those_of_transformers(folder: Path, model: Any) -> None:
    baseline = Baseline(folder / "nli", read_manifest(folder / "nli"), threads=1)
    for pairs in (PAIRS, PAIRS[:1]):
        encoded = baseline.encode(pairs)
        with torch.no_grad():
            arrays = (torch.from_numpy(array) for array in (encoded.token_ids, encoded.attention_mask))
            expected = model(*arrays).logits.numpy()
        np.testing.assert_allclose(baseline.logits(encoded, "fp32"), expected, rtol=0, atol=1e-5)
        np.testing.assert_allclose(baseline.logits(encoded, "int8"), expected, rtol=0, atol=0.1)
        probabilities = torch.softmax(torch.from_numpy(expected), dim=1).numpy()
        np.testing.assert_allclose(baseline.scores(expected), probabilities, rtol=0, atol=1e-6)


def test_padding_changes_nothing(folder: Path, model: Any) -> None:
    baseline = Baseline(folder / "nli", read_manifest(folder / "nli"), threads=1)
    together = baseline.logits(baseline.encode(PAIRS), "fp32")
    alone = [baseline.logits(baseline.encode([pair]), "fp32")[0] for pair in PAIRS]
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)


def test_pairs_are_read_as_bert_reads_them(folder: Path, model: Any) -> None:
    baseline = Baseline(folder / "nli", read_manifest(folder / "nli"), threads=1)
    tokenizer = tiny_tokenizer(folder)
    words = tokenizer.encode("a", "it rains").tokens
    assert words == ["[CLS]", "a", "[SEP]", "it", "rains", "[SEP]"]
    assert baseline.encode([("a " * 600, "b")]).truncated == 1
    assert baseline.encode([("a", "b")]).truncated == 0


@pytest.mark.parametrize("labels", [LABELS["entailment"], LABELS["similarity"]])
def test_a_checkpoint_from_a_folder(tmp_path: Path, labels: list[str]) -> None:
    tiny_model(labels).save_pretrained(tmp_path)
    PreTrainedTokenizerFast(tokenizer_object=tiny_tokenizer(tmp_path)).save_pretrained(tmp_path)
    checkpoint = pretrained(str(tmp_path))
    assert (checkpoint.task, checkpoint.labels) == ("entailment" if len(labels) == 3 else "similarity", labels)


def test_a_checkpoint_without_a_head_is_not_trained(tmp_path: Path) -> None:
    tiny_model(["a", "b"]).distilbert.save_pretrained(tmp_path)
    PreTrainedTokenizerFast(tokenizer_object=tiny_tokenizer(tmp_path)).save_pretrained(tmp_path)
    assert pretrained(str(tmp_path)).task is None


def test_foreign_labels(tmp_path: Path) -> None:
    tiny_model(["positive", "negative"]).save_pretrained(tmp_path)
    PreTrainedTokenizerFast(tokenizer_object=tiny_tokenizer(tmp_path)).save_pretrained(tmp_path)
    with pytest.raises(TrainingError, match=r"found \['positive', 'negative'\]"):
        pretrained(str(tmp_path))


def test_a_vocabulary_without_marks(tmp_path: Path) -> None:
    make_tokenizer().save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(TrainingError, match=r"expected \[CLS\] and \[SEP\]"):
        pair_tokenizer(tmp_path / "tokenizer.json")


def test_baselines_are_found_by_name(folder: Path, model: Any, tmp_path: Path) -> None:
    assert Baselines(folder, 1).names == ["nli"]
    assert Baselines(None, 1).names == []
    with pytest.raises(BundleError, match="expected a folder of baselines"):
        Baselines(tmp_path / "nowhere", 1)
    with pytest.raises(BundleError, match="found 0 in 0 folders"):
        Baselines(tmp_path, 1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ('"trained": true|"trained": false', "expected a task if and only if the head is trained"),
        ('"neutral"|"maybe"', "expected labels"),
        ('"name": "nli"|"name": "../nli"', "name"),
        ('"model.onnx": |"../model.onnx": ', "expected exactly"),
        ('"format_version": 1|"format_version": 2', "format_version"),
    ],
)
def test_wrong_manifests(folder: Path, model: Any, tmp_path: Path, change: str, says: str) -> None:
    old, new = change.split("|")
    content = (folder / "nli" / "baseline.json").read_text()
    assert old in content
    (tmp_path / "baseline.json").write_text(content.replace(old, new))
    with pytest.raises(BundleError, match=says):
        read_manifest(tmp_path)
