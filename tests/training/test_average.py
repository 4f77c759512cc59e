"""Averages of students."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.tiny_bundle import make_tokenizer
from training.student.model import CheckpointError, Student, StudentConfig
from training.work.average import average

SHAPE = StudentConfig(
    vocab_size=make_tokenizer().get_vocab_size(), matrix_dim=4, vector_dim=8, similarity_dim=4, hidden_dim=8
)


def seeded(seed: int, config: StudentConfig = SHAPE) -> Student:
    torch.manual_seed(seed)
    return Student(config)


def test_every_weight_is_the_mean() -> None:
    students = [seeded(seed) for seed in range(3)]
    mean = average(students).state_dict()
    states = [student.state_dict() for student in students]
    for name, value in mean.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, (states[0][name] + states[1][name] + states[2][name]) / 3)


def test_of_equals_nothing_changes() -> None:
    student = seeded(0)
    for name, value in average([student, student]).state_dict().items():
        torch.testing.assert_close(value, student.state_dict()[name])


def test_students_of_two_shapes() -> None:
    with pytest.raises(CheckpointError, match=r"expected students of one shape, got .*hidden_dim=9"):
        average([seeded(0), seeded(0, replace(SHAPE, hidden_dim=9))])
