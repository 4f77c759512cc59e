"""Distillation and fine-tuning end to end: they learn, log, resume to the same result and refuse what does not fit."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.tiny_project import (
    assert_close,
    kill_at_save,
    killed_and_resumed,
    metrics,
    run_in_two_processes,
    sentences,
    write_data,
    write_teacher_cache,
)
from training.average import AverageConfig, main
from training.data.files import DataError
from training.data.labelled import read_labelled
from training.data.recipe import Recipe
from training.distill import DistillConfig, distill
from training.errors import TeacherError, TrainingError
from training.finetune import FinetuneConfig, finetune, two_way
from training.loop.parallel import Processes
from training.student.model import CheckpointError, Student, StudentConfig, load_student, save_student
from training.teachers.cache import TeacherCache, read_state, write_state
from training.teachers.encoder import resolve_teacher

ALONE = Processes()


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
    return distill(distilling, ALONE)


@pytest.fixture(scope="module")
def finetuning(project: Path, distilled: Student) -> FinetuneConfig:
    return FinetuneConfig(
        data=project / "data",
        student=project / "distill",
        teacher_cache=project / "teacher",
        out=project / "student",
        gold_only=True,
        epochs=2,
        batch=8,
        distill_batch=16,
        hidden_dim=16,
        checkpoint_steps=8,
    )


@pytest.fixture(scope="module")
def finetuned(finetuning: FinetuneConfig) -> Student:
    return finetune(finetuning)


def assert_same_weights(first: Student, second: Student) -> None:
    for (name, expected), found in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(expected, found), name


def test_distillation_learns_and_logs(distilling: DistillConfig, distilled: Student) -> None:
    records = metrics(distilling.out)
    assert [record["step"] for record in records] == [4, 8, 12, 16]
    assert records[-1]["cosine_loss"] < records[0]["cosine_loss"] < 1.2
    assert {"pair_loss", "rows_per_second", "stsb_spearman"} <= records[0].keys()
    assert Recipe.read(distilling.out).commands[0] == "teach"
    assert "training.distill --data DATA" in Recipe.read(distilling.out).commands[1]


def test_a_killed_distillation_resumes_to_the_same_result(
    distilling: DistillConfig, distilled: Student, tmp_path: Path
) -> None:
    again = replace(distilling, out=tmp_path)
    assert_same_weights(distilled, killed_and_resumed(lambda: distill(again, ALONE), saves=2))


def test_too_few_rows_for_a_batch_are_an_error(distilling: DistillConfig, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least one batch"):
        distill(replace(distilling, out=tmp_path, batch=1000), ALONE)


def test_two_processes_come_to_the_result_of_one(distilling: DistillConfig, distilled: Student, tmp_path: Path) -> None:
    run_in_two_processes("training.distill", replace(distilling, out=tmp_path))
    assert_close(distilled.state_dict(), load_student(tmp_path).state_dict())
    for whole, shared in zip(metrics(distilling.out), metrics(tmp_path), strict=True):
        assert shared["loss"] == pytest.approx(whole["loss"], abs=1e-3)


def test_finetuning_learns_and_keeps_its_threshold(finetuning: FinetuneConfig, finetuned: Student) -> None:
    *records, done = metrics(finetuning.out)
    assert records[-1]["entailment_loss"] < records[0]["entailment_loss"]
    assert {"snli_accuracy", "rte_accuracy", "stsb_spearman", "qqp_average_precision"} <= records[-1].keys()
    saved = load_student(finetuning.out)
    assert_same_weights(finetuned, saved)
    assert float(saved.paraphrase_threshold) == pytest.approx(done["paraphrase_threshold"])
    assert len(Recipe.read(finetuning.out).commands) == 3


def test_a_killed_finetuning_resumes_to_the_same_result(
    finetuning: FinetuneConfig, finetuned: Student, tmp_path: Path
) -> None:
    again = replace(finetuning, out=tmp_path)
    assert_same_weights(finetuned, killed_and_resumed(lambda: finetune(again), saves=2))


def test_a_resume_with_other_options_is_refused(distilling: DistillConfig, distilled: Student) -> None:
    with pytest.raises(CheckpointError, match=r"begun with .* asked to go on with"):
        distill(replace(distilling, seed=1), ALONE)


def test_two_way_data_count_entailment_above_one_half() -> None:
    logits = torch.tensor([[2.0, 0.0, 0.0], [1.0, 0.9, 0.9]])
    two = np.array([[True, False, False], [False, True, True]])
    assert two_way(logits, two).tolist() == [0, 1]  # entailment is the largest of three, but below one half
    assert two_way(logits, np.eye(3, dtype=bool)[:2]).tolist() == [0, 0]


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
    with pytest.raises(TeacherError, match=r"state.json: expected the state of a cache made by training"):
        TeacherCache.open(tmp_path)
    write_teacher_cache(tmp_path / "cache")
    np.save(tmp_path / "cache/targets.npy", np.zeros((3, 4), np.float16))
    with pytest.raises(TeacherError, match="64 sentences, 3 targets"):
        TeacherCache.open(tmp_path / "cache")
    for wrong in ("", "[]", '{"done": 1}', '{"identity": {}, "done": null}'):
        (tmp_path / "cache/state.json").write_text(wrong)
        with pytest.raises(TeacherError, match="expected the state of a cache"):
            TeacherCache.open(tmp_path / "cache")


def test_nothing_learns_from_a_part_of_a_cache(distilling: DistillConfig, tmp_path: Path) -> None:
    cache = write_teacher_cache(tmp_path / "cache")
    write_state(cache, read_state(cache) | {"done": 40})
    with pytest.raises(TeacherError, match="expected all 64 sentences embedded, found 40"):
        distill(replace(distilling, teacher_cache=cache, out=tmp_path / "out"), ALONE)


def test_a_run_does_not_go_on_with_other_data(
    distilling: DistillConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(distilling, teacher_cache=write_teacher_cache(tmp_path / "cache"), out=tmp_path / "out")
    with monkeypatch.context() as patch:
        kill_at_save(1, patch)
        with pytest.raises(KeyboardInterrupt):
            distill(config, ALONE)
    shutil.rmtree(tmp_path / "cache")
    write_teacher_cache(tmp_path / "cache", sentences(100, 8))
    with pytest.raises(CheckpointError, match="begun as 16 steps, asked to go on as 24: the data have changed"):
        distill(config, ALONE)


def test_a_loss_that_is_no_number_ends_the_run(distilling: DistillConfig, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="step 1: expected a finite loss"):
        distill(replace(distilling, out=tmp_path, pair_weight=float("inf")), ALONE)
    assert not list(tmp_path.glob("*.safetensors"))


def test_what_there_are_no_data_for_is_not_calibrated(finetuning: FinetuneConfig, tmp_path: Path) -> None:
    shutil.copytree(finetuning.data / "similarity", tmp_path / "data/similarity")
    alone = replace(finetuning, data=tmp_path / "data", out=tmp_path / "out", gold_sets="none", max_steps=1)
    finetune(alone)
    assert metrics(tmp_path / "out")[-1] == {"event": "done"}
    shutil.rmtree(tmp_path / "data/similarity")
    with pytest.raises(DataError, match="expected files of labelled pairs, found none"):
        finetune(replace(alone, out=tmp_path / "none"))


def test_labels_outside_the_set_stop_before_training(project: Path) -> None:
    with pytest.raises(DataError, match=r"expected a label of .*, found 'not_paraphrase'"):
        read_labelled(project / "data/paraphrase/mrpc/train.jsonl.gz", "entailment")


def test_finetuning_goes_on_with_the_heads_of_a_student(
    finetuning: FinetuneConfig, finetuned: Student, tmp_path: Path
) -> None:
    more = replace(finetuning, student=finetuning.out, out=tmp_path, keep_heads=True, scored_batch=8, max_steps=1)
    gone_on = finetune(replace(more, matrix_lr=0.0, vector_lr=0.0, head_lr=0.0))
    assert torch.equal(gone_on.entailment_head.output.weight, finetuned.entailment_head.output.weight)
    assert metrics(tmp_path)[0]["step"] == 1
    with pytest.raises(DataError, match="expected at least 99 rows for a batch, found"):
        finetune(replace(more, out=tmp_path / "large", scored_batch=99))


def test_finetuning_with_more_of_some_gold_sets(finetuning: FinetuneConfig, tmp_path: Path) -> None:
    more = replace(finetuning, out=tmp_path / "more", gold_batch=4, gold_sets="nli/rte,nli/snli", max_steps=1)
    finetune(more)
    assert metrics(more.out)[0]["step"] == 1
    with pytest.raises(DataError, match="nli/other: expected a training split for gold_sets, found none"):
        finetune(replace(more, out=tmp_path / "other", gold_sets="nli/rte,nli/other"))


def test_runs_are_averaged_calibrated_and_recorded(finetuning: FinetuneConfig, tmp_path: Path) -> None:
    second = replace(finetuning, out=tmp_path / "second", seed=1, max_steps=1)
    students = [load_student(finetuning.out), finetune(second)]
    runs = [finetuning.out, second.out]
    main(AverageConfig(runs=runs, data=finetuning.data, out=tmp_path / "mean"))
    found = load_student(tmp_path / "mean")
    torch.testing.assert_close(found.encoder.vectors, torch.stack([s.encoder.vectors for s in students]).mean(dim=0))
    assert {line["event"] for line in metrics(tmp_path / "mean")} == {"done"}
    commands = Recipe.read(tmp_path / "mean").commands
    assert sum("training.finetune" in command for command in commands) == 2
    assert "training.average" in commands[-1]
    with pytest.raises(CheckpointError, match="expected two runs or more, got 1"):
        main(AverageConfig(runs=runs[:1], data=finetuning.data, out=tmp_path / "one"))
