"""Distillation and fine-tuning end to end: they learn, log, resume to the same result and refuse what does not fit."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from service.tokenizer import Tokenizer
from tests.training.tiny_project import write_data, write_teacher_cache
from training.data import DataError
from training.distill import DistillConfig, distill, distill_loss
from training.finetune import FinetuneConfig, LabelledPairs, entailment_loss, finetune, two_way
from training.recipe import Recipe
from training.run import Run
from training.student import CheckpointError, Student, StudentConfig, load_student, save_student
from training.teacher import TeacherCache, TeacherError, resolve_teacher


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    write_data(folder / "data")
    write_teacher_cache(folder / "teacher")
    return folder


@pytest.fixture(scope="module")
def distilling(project: Path) -> DistillConfig:
    return DistillConfig(
        data=project / "data",
        teacher_cache=project / "teacher",
        out=project / "distill",
        epochs=4,
        batch=16,
        checkpoint_steps=4,
    )


@pytest.fixture(scope="module")
def distilled(distilling: DistillConfig) -> Student:
    return distill(distilling)


@pytest.fixture(scope="module")
def finetuning(project: Path, distilled: Student) -> FinetuneConfig:
    return FinetuneConfig(
        data=project / "data",
        student=project / "distill",
        teacher_cache=project / "teacher",
        out=project / "student",
        epochs=4,
        batch=8,
        distill_batch=16,
        checkpoint_steps=4,
    )


@pytest.fixture(scope="module")
def finetuned(finetuning: FinetuneConfig) -> Student:
    return finetune(finetuning)


def metrics(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def assert_same_weights(first: Student, second: Student) -> None:
    for (name, expected), found in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(expected, found), name


def kill_at_save(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the run die right after its checkpoint ``number``."""
    whole, saves = Run.save, iter(range(1, 100))

    def save(*arguments: object) -> None:
        whole(*arguments)  # type: ignore[arg-type]
        if next(saves) == number:
            raise KeyboardInterrupt

    monkeypatch.setattr(Run, "save", save)


def test_distillation_learns_and_logs(distilling: DistillConfig, distilled: Student) -> None:
    records = metrics(distilling.out)
    assert [record["step"] for record in records] == [4, 8, 12, 16]
    assert records[-1]["cosine_loss"] < records[0]["cosine_loss"] < 1.2
    assert {"pair_loss", "sentences_per_second", "stsb_spearman"} <= records[0].keys()
    assert Recipe.read(distilling.out).commands[0] == "teach"
    assert "training.distill --data DATA" in Recipe.read(distilling.out).commands[1]


def test_a_killed_distillation_resumes_to_the_same_result(
    distilling: DistillConfig, distilled: Student, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = replace(distilling, out=tmp_path)
    with monkeypatch.context() as patch:
        kill_at_save(2, patch)
        with pytest.raises(KeyboardInterrupt):
            distill(again)
    assert_same_weights(distilled, distill(again))


def test_finetuning_learns_and_keeps_its_threshold(finetuning: FinetuneConfig, finetuned: Student) -> None:
    *records, done = metrics(finetuning.out)
    assert records[-1]["entailment_loss"] < records[0]["entailment_loss"]
    assert {"snli_accuracy", "rte_accuracy", "stsb_spearman"} <= records[-1].keys()
    saved = load_student(finetuning.out)
    assert_same_weights(finetuned, saved)
    assert float(saved.paraphrase_threshold) == pytest.approx(done["paraphrase_threshold"])
    assert len(Recipe.read(finetuning.out).commands) == 3


def test_a_killed_finetuning_resumes_to_the_same_result(
    finetuning: FinetuneConfig, finetuned: Student, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = replace(finetuning, out=tmp_path)
    with monkeypatch.context() as patch:
        kill_at_save(2, patch)
        with pytest.raises(KeyboardInterrupt):
            finetune(again)
    assert_same_weights(finetuned, finetune(again))


def test_a_resume_with_other_options_is_refused(distilling: DistillConfig, distilled: Student) -> None:
    with pytest.raises(CheckpointError, match=r"begun with .* asked to go on with"):
        distill(replace(distilling, seed=1))


def test_two_way_labels_accept_neutral_and_contradiction(project: Path) -> None:
    targets = torch.tensor([[True, False, False], [False, True, True]])
    logits = torch.tensor([[2.0, 0.0, 0.0], [1.0, 0.9, 0.9]])
    probabilities = logits.softmax(1)
    expected = -(probabilities[0, 0].log() + (1 - probabilities[1, 0]).log()) / 2
    torch.testing.assert_close(entailment_loss(logits, targets), expected)
    assert two_way(logits, targets).tolist() == [0, 1]  # entailment is the largest of three, but below one half
    assert two_way(logits, torch.eye(3, dtype=torch.bool)[:2]).tolist() == [0, 0]


def test_the_distillation_loss_is_zero_only_at_the_teacher() -> None:
    teacher = torch.nn.functional.normalize(torch.randn(5, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    assert max(abs(float(part)) for part in distill_loss(teacher, teacher, 20.0)) < 1e-6
    rotated = teacher.roll(1, dims=1)  # all similarities as before, every vector elsewhere
    loss, cosine, pairs = distill_loss(rotated, teacher, 20.0)
    assert float(cosine) > 0.1
    assert float(pairs) < 1e-6
    torch.testing.assert_close(loss, cosine + 20.0 * pairs)


def test_checkpoints_that_do_not_fit_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"expected config.json and student.safetensors"):
        load_student(tmp_path)
    save_student(Student(StudentConfig(vocab_size=5)), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"vocab_size": 6}))
    with pytest.raises(CheckpointError, match=r"weights do not fit .*vocab_size=6"):
        load_student(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config | {"depth": 6}))
    with pytest.raises(CheckpointError, match="depth"):
        load_student(tmp_path)


def test_teachers_and_caches_that_cannot_be_used_are_named(tmp_path: Path, project: Path) -> None:
    with pytest.raises(TeacherError, match=r"expected weights"):
        resolve_teacher(str(tmp_path))
    with pytest.raises(TeacherError, match=r"expected a cache made by training.teacher"):
        TeacherCache.open(tmp_path)
    write_teacher_cache(tmp_path / "cache")
    np.save(tmp_path / "cache/targets.npy", np.zeros((3, 4), np.float16))
    with pytest.raises(TeacherError, match="64 sentences, 3 targets"):
        TeacherCache.open(tmp_path / "cache")


def test_labels_outside_the_set_stop_before_training(project: Path) -> None:
    tokenizer = Tokenizer(project / "teacher/tokenizer.json", 64)
    with pytest.raises(DataError, match=r"expected a label of .*, found 'not_paraphrase'"):
        LabelledPairs.read([project / "data/paraphrase/mrpc/train.jsonl.gz"], tokenizer)
