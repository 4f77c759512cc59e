"""Where the stages compute."""

from __future__ import annotations

import re
import runpy
import sys

import numpy as np
import pytest
import torch

from cmow.service.text.tokenizer import PackedTokens
from training.loop.device import DeviceError, choose_device
from training.loop.parallel import one_process, processes
from training.pairs.pairset import PairSet
from training.student.packing import batch, placed

CPU, META = torch.device("cpu"), torch.device("meta")
STAGES = ["teacher", "paper.pretrain", "distill", "pair_teacher", "pair_labels", "finetune", "paper.glue"]
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here: cuda and auto take it")


def pairs() -> PairSet:
    sentences = PackedTokens(np.arange(5), np.array([0, 2, 5]), np.zeros(2, np.bool_))
    scores = np.full((3, 1), np.nan, np.float32)
    return PairSet(sentences, np.array([[0, 1]]), np.ones((1, 3), np.bool_), scores[0], scores[1], scores.T)


def test_the_cpu_is_always_there() -> None:
    assert choose_device("cpu") == CPU
    with processes("cpu") as world:
        assert world.device == CPU


@without_gpu
def test_auto_takes_the_cpu_where_there_is_no_gpu() -> None:
    assert one_process("auto").device == CPU


@without_gpu
@pytest.mark.filterwarnings("ignore:.*found in sys.modules")  # the stages import one another
@pytest.mark.parametrize("stage", STAGES)
def test_a_missing_gpu_ends_every_stage_with_one_line(
    stage: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    task = ["--task", "cola"] if stage == "paper.glue" else []
    monkeypatch.setattr(sys, "argv", [stage, "--data", "nowhere", "--device", "cuda", *task])
    with pytest.raises(SystemExit, match="2"):
        runpy.run_module(f"training.{stage}", run_name="__main__", alter_sys=True)
    said = capsys.readouterr().err
    assert re.fullmatch(r"error: --device cuda: expected GPU 0, PyTorch .* finds 0 GPUs\n", said)


def test_one_process_is_not_one_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(DeviceError, match="expected one process, found 2"):
        one_process("cpu")


def test_no_part_of_a_batch_stays_behind() -> None:
    known = pairs().batch(np.array([0])).to(META)
    assert {tensor.device for tensor in (*known, known.pairs)} == {META}
    assert {tensor.device for tensor in placed(batch(pairs().sentences, np.array([1, 0])), META)} == {META}
