"""Blocks of rows through a model: whatever their size and order, each row has its own result."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.training.tiny_project import sentences, write_bert
from training.errors import TeacherError
from training.teachers import encoder as encoders
from training.teachers.blocks import Block, ahead, batch_tokens_on, blocks_of, results, sorted_block
from training.teachers.cross_encoder import PairTeacher

CPU = torch.device("cpu")
LENGTHS = np.array([0, 1, 2, 63, 64, 65, 129, 2, 2, 1, 64])
STARTS = LENGTHS.cumsum() - LENGTHS
TOKENS = np.random.default_rng(0).integers(0, 1000, LENGTHS.sum()).astype(np.int32)


def block(rows: np.ndarray, batch_tokens: int) -> Block:
    def put_together(order: np.ndarray) -> tuple[np.ndarray, ...]:
        parts = [TOKENS[STARTS[row] : STARTS[row] + LENGTHS[row]] for row in rows[order]]
        return (np.concatenate([np.zeros(0, np.int32), *parts]),)

    return sorted_block(LENGTHS[rows], batch_tokens, put_together)


def total(ids: Tensor) -> Tensor:
    return torch.stack([ids.sum(dim=1), ids.new_full((len(ids),), ids.shape[1])], dim=1).float()


@pytest.mark.parametrize("batch_tokens", [1, 5, 100, 100_000])
@pytest.mark.parametrize("size", [1, 2, 4, 11, 50])
def test_each_row_has_its_own_result(batch_tokens: int, size: int) -> None:
    order = np.random.default_rng(size).permutation(len(LENGTHS))
    blocks = [order[start : start + size] for start in range(0, len(order), size)]
    found = np.concatenate(list(results(total, (partial(block, rows, batch_tokens) for rows in blocks), 2, CPU)))
    expected = [[TOKENS[STARTS[row] : STARTS[row] + LENGTHS[row]].sum(), LENGTHS[row]] for row in order]
    np.testing.assert_array_equal(found, expected)


def test_batches_are_full_and_of_one_length() -> None:
    made = block(np.arange(len(LENGTHS)), 128)
    assert made.shapes == [(1, 0), (2, 1), (3, 2), (1, 63), (2, 64), (1, 65), (1, 129)]


def test_results_come_in_order_and_a_failed_one_is_not_lost() -> None:
    assert list(ahead(partial(int, text) for text in "123456789")) == list(range(1, 10))
    with pytest.raises(ValueError, match="invalid literal"):
        list(ahead(partial(int, text) for text in ("1", "x", "3")))


@pytest.mark.parametrize(
    ("rows", "block", "sizes"), [(0, 9, []), (9, 4, [4, 4, 1]), (5000, 2000, [512, 2000, 2000, 488])]
)
def test_the_first_block_is_short(rows: int, block: int, sizes: list[int]) -> None:
    blocks = list(blocks_of(rows, block))
    assert [len(each) for each in blocks] == sizes
    assert [row for each in blocks for row in each] == list(range(rows))


def test_too_little_memory_names_the_option() -> None:
    def full(ids: Tensor) -> Tensor:
        raise torch.OutOfMemoryError

    with pytest.raises(TeacherError, match="expected memory for 129 tokens at once: take a smaller --batch-tokens"):
        list(results(full, [partial(block, np.arange(len(LENGTHS)), 128)], 2, CPU))


def test_tokens_at_once_on_a_cpu_do_not_depend_on_memory() -> None:
    assert batch_tokens_on(CPU, 1) == batch_tokens_on(CPU, 1 << 40) == 4096


@pytest.fixture
def teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PairTeacher:
    """In float32, in which sums of another order still agree."""
    monkeypatch.setattr(encoders, "has_bfloat16", lambda device: False)
    PairTeacher.pretrained(str(write_bert(tmp_path / "bert")), 64).save(tmp_path / "teacher")
    return PairTeacher.load(tmp_path / "teacher")


def test_judgements_do_not_depend_on_batch_block_or_order(teacher: PairTeacher) -> None:
    texts = sentences(120, seed=4)
    tokens = teacher.tokenize(list(zip(texts[:60], texts[60:], strict=True)))
    alone = np.concatenate(list(teacher.judged(tokens, [np.array([row]) for row in range(60)], 1)))
    order = np.random.default_rng(0).permutation(60)
    for size, batch_tokens in ((60, 4096), (17, 64), (60, 1)):
        blocks = [order[start : start + size] for start in range(0, 60, size)]
        found = np.concatenate(list(teacher.judged(tokens, blocks, batch_tokens)))
        np.testing.assert_allclose(found, alone[order], atol=1e-5)
