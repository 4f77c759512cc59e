"""Masked-LM distillation end to end on a tiny local BERT, in one process and in two."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cmow.service.errors import BundleError
from tests.training.tiny_project import (
    assert_close,
    killed_and_resumed,
    metrics,
    run_in_two_processes,
    sentences,
    write_data,
    write_lines,
    write_masked_lm,
    write_teacher_cache,
)
from training.data.files import DataError
from training.data.recipe import Recipe
from training.distill import DistillConfig
from training.errors import StaleError
from training.loop.parallel import Processes
from training.paper.pretrain import PretrainConfig
from training.student.model import CheckpointError, Student, load_student
from training.student.vocabulary import VocabularyError
from training.work.distill import distill
from training.work.paper.pretrain import pretrain

ALONE = Processes()


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> PretrainConfig:
    folder = tmp_path_factory.mktemp("pretrain")
    write_lines(folder / "data/text/plain.txt.gz", sentences(60, seed=1))
    return PretrainConfig(
        data=folder / "data",
        teacher=str(write_masked_lm(folder / "bert")),
        out=folder / "run",
        matrix_dim=4,
        vector_dim=8,
        epochs=4,
        batch=12,
        head_lr=1e-2,
        max_tokens=32,
        teacher_tokens=40,
        checkpoint_steps=5,
    )


@pytest.fixture(scope="module")
def trained(config: PretrainConfig) -> Student:
    return pretrain(config, ALONE)


def assert_same(first: Student, second: Student) -> None:
    for (name, expected), found in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0, msg=name)


def test_it_learns_logs_and_saves(config: PretrainConfig, trained: Student) -> None:
    records = metrics(config.out)
    assert [record["step"] for record in records] == [5, 10, 15, 20]
    assert records[-1]["loss"] < records[0]["loss"]
    assert records[-1]["hard_loss"] < records[0]["hard_loss"]
    first = records[0]
    assert first["loss"] == pytest.approx((first["hard_loss"] + first["soft_loss"]) / 2, abs=1e-3)
    assert_same(trained, load_student(config.out))
    assert Recipe.read(config.out).commands[0].startswith("python -m training.paper.pretrain --data DATA")


def test_a_killed_run_resumes_to_the_same_result(config: PretrainConfig, trained: Student, tmp_path: Path) -> None:
    again = replace(config, out=tmp_path)
    assert_same(trained, killed_and_resumed(lambda: pretrain(again, ALONE), saves=2))


def test_two_processes_come_to_the_result_of_one(config: PretrainConfig, trained: Student, tmp_path: Path) -> None:
    run_in_two_processes("training.paper.pretrain", replace(config, out=tmp_path))
    assert_close(trained.state_dict(), load_student(tmp_path).state_dict())
    whole, shared = metrics(config.out), metrics(tmp_path)
    assert [record["step"] for record in shared] == [record["step"] for record in whole]  # only the first one writes
    assert [record["loss"] for record in shared] == pytest.approx([record["loss"] for record in whole], abs=1e-3)


def test_sentence_distillation_goes_on_from_it(config: PretrainConfig, trained: Student, tmp_path: Path) -> None:
    cache = write_teacher_cache(tmp_path / "teacher")
    options = DistillConfig(
        data=write_data(tmp_path / "data"),
        teacher_cache=cache,
        start=config.out,
        out=tmp_path / "run",
        batch=32,
        epochs=1,
    )
    with pytest.raises(VocabularyError, match=r"expected the vocabulary of .*teacher, found \d+ tokens against"):
        distill(options, ALONE)
    (cache / "tokenizer.json").write_text((config.out / "tokenizer.json").read_text())
    student = distill(options, ALONE)
    assert student.config.matrix_dim == config.matrix_dim
    # Two steps at a small rate: still near where it began.
    assert float((student.encoder.vectors - trained.encoder.vectors).detach().abs().max()) < 0.05
    assert len(Recipe.read(tmp_path / "run").commands) == 3


def test_a_student_with_another_vocabulary_is_refused(config: PretrainConfig, trained: Student, tmp_path: Path) -> None:
    onward = replace(config, student=config.out, out=tmp_path / "onward", epochs=1)
    assert pretrain(onward, ALONE).config == trained.config
    for name in ("config.json", "student.safetensors", "tokenizer.json"):
        (tmp_path / name).write_bytes((config.out / name).read_bytes())
    tokenizer = json.loads((config.out / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["guitars"] = tokenizer["model"]["vocab"].pop("guitar")
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(VocabularyError, match=r"expected the vocabulary of .*bert, found .*'guitar'"):
        pretrain(replace(onward, student=tmp_path, out=tmp_path / "other"), ALONE)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(BundleError, match="expected a Hugging Face tokenizer"):
        pretrain(replace(onward, student=tmp_path, out=tmp_path / "other"), ALONE)


def test_text_that_cannot_be_learned_from_is_named(config: PretrainConfig, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected at least 12 texts \(one batch\), found 3"):
        pretrain(replace(config, sentences=3, out=tmp_path / "run"), ALONE)
    (tmp_path / "data/text").mkdir(parents=True)
    (tmp_path / "data/text/plain.txt.gz").write_bytes(gzip.compress(b"a man\n" * 100)[:-8])
    with pytest.raises(DataError, match="expected gzip"):
        pretrain(replace(config, data=tmp_path / "data", out=tmp_path / "run"), ALONE)


def test_checkpoints_that_do_not_fit_are_named(config: PretrainConfig, trained: Student, tmp_path: Path) -> None:
    again = replace(config, out=tmp_path)
    with pytest.raises(StaleError, match=r"--seed was 0, is 1"):
        pretrain(replace(config, seed=1), ALONE)
    (tmp_path / "run.json").write_bytes((config.out / "run.json").read_bytes())
    (tmp_path / "resume.pt").write_bytes((config.out / "resume.pt").read_bytes()[:5000])
    with pytest.raises(CheckpointError, match="expected a checkpoint that this stage wrote"):
        pretrain(again, ALONE)
    state = torch.load(config.out / "resume.pt", weights_only=True)
    state["model"]["head.bias"] = state["model"]["head.bias"][:-1]
    torch.save(state, tmp_path / "resume.pt")
    with pytest.raises(CheckpointError, match=r"weights of another shape: .*head.bias"):
        pretrain(again, ALONE)


def test_a_process_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one row for each of 3 processes, found 2"):
        Processes(0, 3).share(np.arange(2))
