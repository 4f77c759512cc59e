"""The ladder of ablations on a tiny project: every rung runs once, differs in one change, and has its line."""

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.training.tiny_project import write_data, write_teacher_cache
from training.distill import DistillConfig
from training.errors import StaleError
from training.loop.parallel import Processes
from training.student.heads import EntailmentHead
from training.student.model import PAPER, StudentConfig
from training.studies.ablate import AblateConfig
from training.work.distill import distill
from training.work.studies.ablate import LADDER, ladder, pair_flops, table

ALONE = Processes()


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> AblateConfig:
    folder = tmp_path_factory.mktemp("project")
    data, teacher = write_data(folder / "data"), folder / "teacher"
    write_teacher_cache(teacher)
    distill(DistillConfig(data=data, teacher_cache=teacher, out=folder / "distill", epochs=1, batch=16), ALONE)
    return AblateConfig(data, folder / "distill", teacher, out=folder / "ablations", steps=2)


def test_every_rung_is_one_change_of_the_one_before(config: AblateConfig) -> None:
    rungs = list(ladder(config).values())
    assert len(rungs) == len(LADDER)
    for before, after, change in zip(rungs, rungs[1:], list(LADDER.values())[1:], strict=False):
        assert replace(before, out=after.out, **change) == after != replace(before, out=after.out)


def test_each_rung_runs_once_and_has_its_line(config: AblateConfig) -> None:
    small = {"batch": 8, "distill_batch": 8, "checkpoint_steps": 2, "hidden_dim": 16}
    runs = {name: replace(run, **small) for name, run in list(ladder(config).items())[:2]}
    header, _, *lines = table(runs)
    assert [line.split(" | ")[0] for line in lines] == [f"| {name}" for name in runs]
    assert {line.count("|") for line in lines} == {header.count("|")}
    written = [path.stat().st_mtime_ns for path in config.out.rglob("student.safetensors")]
    assert len(list(table(runs))) == 2 + len(runs)
    assert [path.stat().st_mtime_ns for path in config.out.rglob("student.safetensors")] == written
    with pytest.raises(StaleError, match=r"--seed was 0, is 1"):
        list(table({name: replace(run, seed=1) for name, run in runs.items()}))


@pytest.mark.parametrize("config", [PAPER, StudentConfig(), StudentConfig(compare_dim=0, product=False)])
def test_flops_of_a_pair_are_those_that_torch_counts(config: StudentConfig) -> None:
    head = EntailmentHead(
        config.embedding_dim, config.hidden_dim, 0.0, config.standardise, config.product, 2 * config.compare_dim
    ).eval()
    u = torch.ones(1, config.embedding_dim)
    with FlopCounterMode(display=False) as counter:
        head(u, u, torch.ones(1, 2, 2 * config.compare_dim) if config.compare_dim else None)
    assert counter.get_total_flops() == pair_flops(config)
