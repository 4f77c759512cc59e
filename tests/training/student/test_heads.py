"""The heads: what must not change their answers, and what must."""

import pytest
import torch

from training.student.heads import Alignment, ParaphraseHead
from training.student.model import PAPER, Student, StudentConfig

SIZES = {"vocab_size": 30, "hidden_dim": 8, "paraphrase_dim": 8, "similarity_dim": 4}
TOKENS = torch.tensor([3, 4, 5, 9, 8, 7, 6, 3, 4])
OFFSETS = torch.tensor([0, 3, 3, 7, 9])
PAIRS = torch.tensor([[0, 2], [2, 3], [1, 0], [3, 3]])


@pytest.fixture(scope="module")
def student() -> Student:
    torch.manual_seed(0)
    return Student(StudentConfig(**SIZES, init_noise=0.3)).eval()


def test_paraphrase_and_similarity_do_not_depend_on_the_order(student: Student) -> None:
    there, back = student(TOKENS, OFFSETS, PAIRS), student(TOKENS, OFFSETS, PAIRS.flip(1))
    torch.testing.assert_close(there.paraphrase, back.paraphrase)
    torch.testing.assert_close(there.cosine, back.cosine)
    assert float((there.entailment - back.entailment)[0].detach().abs().max()) > 1e-4


def test_a_pair_does_not_depend_on_its_company(student: Student) -> None:
    together = student(TOKENS, OFFSETS, PAIRS)
    alone = student(TOKENS[:7], OFFSETS[:4], PAIRS[:1])
    for all_of_them, one in zip(together, alone, strict=True):
        torch.testing.assert_close(all_of_them[:1], one)


def test_tokens_mix_with_their_neighbours_within_a_sentence_alone() -> None:
    torch.manual_seed(1)
    alignment = Alignment(5, 4, 6, 3).eval()
    states = torch.randn(9, 5)
    whole = alignment.values(alignment.own(states), OFFSETS)
    parts = [
        alignment.values(alignment.own(states[start:end]), torch.tensor([0, end - start]))
        for start, end in zip(OFFSETS.tolist(), OFFSETS[1:].tolist(), strict=False)
    ]
    torch.testing.assert_close(whole, torch.cat(parts))
    changed = states.clone()
    changed[1] += 1
    moved = (alignment.values(alignment.own(changed), OFFSETS) - whole).abs().sum(dim=1) > 0
    assert moved.tolist() == [True] * 3 + [False] * 6


def test_the_papers_head_has_neither_product_nor_alignment() -> None:
    student = Student(PAPER)
    assert student.alignment is None
    assert isinstance(student.entailment_head.hidden, torch.nn.Linear)
    assert student.entailment_head.hidden.weight.shape == (1000, 3 * 1200)
    assert isinstance(student.entailment_head.standardise, torch.nn.Identity)


def test_gradients_reach_every_weight_of_a_pair_loss() -> None:
    torch.manual_seed(2)
    student = Student(StudentConfig(**SIZES))
    found = student(TOKENS, OFFSETS, PAIRS)
    (found.entailment.square().sum() + found.cosine.sum() + found.paraphrase.sum()).backward()
    assert all(weight.grad is not None for weight in student.parameters())


def test_a_paraphrase_head_without_alignment() -> None:
    head = ParaphraseHead(6, 4, dropout=0.0, aligned_dim=0).eval()
    left, right = torch.randn(2, 3, 6)
    torch.testing.assert_close(head(left, right), head(right, left))
