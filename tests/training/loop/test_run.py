"""A run in a process of its own, ended by signals: the same command goes on to the same model."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from tests.training.tiny_project import write_data, write_teacher_cache
from training.distill import DistillConfig
from training.loop.parallel import Processes
from training.student.model import Student, load_student
from training.work.distill import distill

PATIENCE = 240.0


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> DistillConfig:
    folder = tmp_path_factory.mktemp("killed")
    data, cache = write_data(folder / "data"), write_teacher_cache(folder / "teacher")
    return DistillConfig(data=data, teacher_cache=cache, out=folder / "whole", epochs=30, batch=16, checkpoint_steps=2)


@pytest.fixture(scope="module")
def whole(config: DistillConfig) -> Student:
    return distill(config, Processes())


def started(config: DistillConfig) -> subprocess.Popen[str]:
    """``python -m training.distill`` with the options of ``config``, as many threads as here."""
    given = {known.name: getattr(config, known.name) for known in fields(config)}
    words = [word for name, value in given.items() if value is not None for word in (f"--{name}", str(value))]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    command = [sys.executable, "-m", "training.distill", *words]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)


def wait_for_lines(path: Path, count: int, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + PATIENCE
    while not path.exists() or path.read_text().count("\n") < count:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.002)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_whatever_ends_a_run_it_goes_on_to_the_same_model(
    number: signal.Signals, status: int, config: DistillConfig, whole: Student, tmp_path: Path
) -> None:
    own = replace(config, out=tmp_path)
    with started(own) as process:
        wait_for_lines(tmp_path / "metrics.jsonl", 3, process)
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == status, said
    assert "Traceback" not in said
    if number != signal.SIGKILL:
        assert f"interrupted: {tmp_path} goes on after step" in said.splitlines()[-1]
    resumed = distill(own, Processes()).state_dict()
    assert all(torch.equal(resumed[name], values) for name, values in whole.state_dict().items())
    kept = load_student(tmp_path).state_dict()
    assert all(torch.equal(kept[name], values) for name, values in whole.state_dict().items())


def test_an_output_below_a_file_ends_before_any_work(config: DistillConfig, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with started(replace(config, out=tmp_path / "file/run")) as process:
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    wrong = f"{tmp_path}/file is no folder"
    expected = f"argument --out: expected a folder that can be written, got {tmp_path}/file/run: {wrong}"
    assert said.splitlines()[-1].endswith(expected)
