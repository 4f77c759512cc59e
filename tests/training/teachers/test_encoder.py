"""Precision and attention of a teacher by model and device."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import MPNetConfig, MPNetModel

from tests.tiny_bundle import make_tokenizer
from tests.training.tiny_project import write_bert
from training.loop import device as devices
from training.teachers import encoder as encoders
from training.teachers.cross_encoder import PairTeacher
from training.teachers.encoder import attention, inference_dtype, load_encoder
from training.teachers.sentence import SentenceTeacher

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def mpnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_bert(tmp_path_factory.mktemp("mpnet"))
    config = MPNetConfig(
        vocab_size=make_tokenizer().get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
    )
    MPNetModel(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("device", "training", "of_bert"), [(CPU, False, "eager"), (CPU, True, "sdpa"), (CUDA, False, "sdpa")]
)
def test_attention_by_model_and_device(
    bert: Path, mpnet: Path, device: torch.device, training: bool, of_bert: str
) -> None:
    """MPNet has eager alone."""
    for folder, expected in ((bert, of_bert), (mpnet, "eager")):
        model, _ = load_encoder(str(folder), 64, torch.float32, attention(device, training))
        assert model.config._attn_implementation == expected


def test_a_teacher_without_fused_attention_is_saved_and_loaded(mpnet: Path, tmp_path: Path) -> None:
    teacher = PairTeacher.pretrained(str(mpnet), 64)
    teacher.save(tmp_path)
    pairs = [("a man", "the dog"), ("it rains", "it rains")]
    expected = teacher.judge(pairs).entailment
    assert abs(PairTeacher.load(tmp_path).judge(pairs).entailment - expected).max() < 0.02


@pytest.mark.parametrize(("has", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_bfloat16_where_the_device_has_it(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has: bool, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(encoders, "has_bfloat16", lambda device: has)
    monkeypatch.setattr(devices, "has_bfloat16", lambda device: has)
    assert inference_dtype(CPU) == dtype
    assert SentenceTeacher(str(bert)).model.dtype == dtype
    teacher = PairTeacher.pretrained(str(bert), 64)
    assert teacher.model.pool.weight.dtype == torch.float32  # to train
    teacher.save(tmp_path)
    assert PairTeacher.load(tmp_path).model.pool.weight.dtype == dtype
