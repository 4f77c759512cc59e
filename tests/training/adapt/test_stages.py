"""What a killed run has computed is taken up again, and nothing of another run is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from training.adapt.stages import Stages


def _counting(calls: list[int]) -> Callable[[], dict[str, Tensor]]:
    def make() -> dict[str, Tensor]:
        calls.append(1)
        return {"a": torch.arange(3.0), "b": torch.ones(2, 2).half().T}

    return make


def test_a_stage_is_made_once(tmp_path: Path) -> None:
    calls = list[int]()
    for _ in range(2):
        found = Stages(tmp_path / "run", "one").once("read", _counting(calls))
        assert torch.equal(found["a"], torch.arange(3.0))
        assert found["b"].dtype == torch.float16
    assert len(calls) == 1


def test_another_run_or_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    calls = list[int]()
    Stages(tmp_path, "one").once("read", _counting(calls))
    Stages(tmp_path, "other").once("read", _counting(calls))
    (tmp_path / "read.safetensors").write_bytes(b"half a fi")
    Stages(tmp_path, "other").once("read", _counting(calls))
    assert len(calls) == 3


def test_nothing_stays_after_the_end(tmp_path: Path) -> None:
    stages = Stages(tmp_path / "run", "one")
    stages.once("read", _counting([]))
    stages.end()
    assert not (tmp_path / "run").exists()
