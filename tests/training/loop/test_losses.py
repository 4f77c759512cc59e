"""Losses against their definitions."""

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr

from training.loop.losses import binary_losses, correlation_loss, distill_loss, entailment_losses, mixed, soft_losses


def test_the_distillation_loss_is_zero_only_at_the_teacher() -> None:
    teacher = torch.nn.functional.normalize(torch.randn(5, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    assert max(abs(float(part)) for part in distill_loss(teacher, teacher, 20.0)) < 1e-6
    rotated = teacher.roll(1, dims=1)  # all similarities as before, every vector elsewhere
    loss, cosine, pairs = distill_loss(rotated, teacher, 20.0)
    assert float(cosine) > 0.1
    assert float(pairs) < 1e-6
    torch.testing.assert_close(loss, cosine + 20.0 * pairs)


def test_all_accepted_labels_count_as_right_and_no_label_as_nothing() -> None:
    accepted = torch.tensor([[True, False, False], [False, True, True], [False, False, False]])
    logits = torch.tensor([[2.0, 0.0, 0.0], [1.0, 0.9, 0.9], [1.0, 2.0, 3.0]])
    probabilities = logits.softmax(1)
    expected = torch.stack([-probabilities[0, 0].log(), -(1 - probabilities[1, 0]).log(), torch.tensor(0.0)])
    torch.testing.assert_close(entailment_losses(logits, accepted), expected)


def test_the_soft_loss_is_least_at_the_teacher_and_nothing_without_one() -> None:
    teacher = torch.tensor([[1.0, 2.0, -1.0], [torch.nan] * 3])
    logits = torch.tensor([[1.0, 2.0, -1.0], [0.3, 0.2, 0.1]], requires_grad=True)
    losses = soft_losses(logits, teacher, temperature=2.0)
    losses.sum().backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, torch.zeros(2, 3), atol=1e-6, rtol=0)
    assert float(losses[1].detach()) == 0
    assert float(losses[0].detach()) > 0  # the entropy of the target


def test_what_is_known_decides_how_losses_mix() -> None:
    hard, soft = torch.tensor([1.0, 2.0, 4.0, torch.nan]), torch.tensor([10.0, 20.0, 40.0, torch.nan])
    hard_known, soft_known = torch.tensor([True, True, False, False]), torch.tensor([True, False, True, False])
    expected = ((0.25 * 1 + 0.75 * 10) + 2 + 40) / 3
    assert float(mixed(hard, soft, hard_known, soft_known, 0.25)) == pytest.approx(expected)
    nothing = torch.zeros(4, dtype=torch.bool)
    assert float(mixed(hard, soft, nothing, nothing, 0.25)) == 0


def test_the_correlation_loss_is_one_minus_pearson_of_what_is_known() -> None:
    random = np.random.default_rng(0)
    cosine, scores = random.standard_normal(20), random.standard_normal(20)
    expected = 1 - pearsonr(cosine[5:], scores[5:]).statistic
    scores[:5] = np.nan
    found = correlation_loss(torch.from_numpy(cosine), torch.from_numpy(scores))
    assert float(found) == pytest.approx(expected)
    assert float(correlation_loss(torch.ones(3), torch.tensor([1.0, torch.nan, torch.nan]))) == 0


def test_unknown_labels_leave_no_gradient_behind() -> None:
    logits = torch.tensor([0.5, -0.5], requires_grad=True)
    target = torch.tensor([1.0, torch.nan])
    known = ~target.isnan()
    loss = mixed(binary_losses(logits, target), torch.zeros(2), known, torch.zeros(2, dtype=torch.bool), 0.5)
    loss.backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, torch.tensor([float(torch.sigmoid(torch.tensor(0.5))) - 1, 0.0]))
