"""The work of ``training.average``.

Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves accuracy without increasing
inference time" (ICML 2022), its uniform soup.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from functools import reduce

import torch
from torch import Tensor

from cmow.service.text.tokenizer import Tokenizer
from training.average import AverageConfig
from training.data.inputs import PAIRS, labelled_files, made_files
from training.data.recipe import Recipe
from training.loop.run import Run
from training.pairs.fit import calibrate
from training.student.model import CheckpointError, Student, load_student, save_student

TOKENIZER = "tokenizer.json"


def average(students: Sequence[Student]) -> Student:
    """A student with the mean of all weights; ``CheckpointError`` where the students are of several shapes."""
    configs = [student.config for student in students]
    if not students or any(config != configs[0] for config in configs):
        raise CheckpointError(f"expected students of one shape, got {configs}")
    mean = Student(configs[0])
    mean.load_state_dict(mean_state([student.state_dict() for student in students]))
    return mean


def mean_state(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of every floating-point tensor; of counters the first."""
    return {
        name: torch.stack([state[name] for state in states]).mean(dim=0) if first.is_floating_point() else first
        for name, first in states[0].items()
    }


def main(config: AverageConfig) -> None:
    """Average, calibrate again and save."""
    if len(config.runs) < 2:
        raise CheckpointError(f"expected two runs or more, got {len(config.runs)}")
    averaged = [path for folder in config.runs for path in made_files(folder)]
    run = Run(config.out, config, [*averaged, *labelled_files(config.data, *PAIRS)])
    student = average([load_student(run) for run in config.runs]).eval()
    tokenizer = Tokenizer(config.runs[0] / TOKENIZER, config.max_tokens)
    run.begin()
    run.log(event="done", **calibrate(student, config.data, tokenizer))
    save_student(student, config.out)
    shutil.copy(config.runs[0] / TOKENIZER, config.out)
    recipe = reduce(lambda before, after: after.after(before), map(Recipe.read, config.runs))
    recipe.then("python -m training.average --runs RUNS --data DATA", []).write(config.out)
