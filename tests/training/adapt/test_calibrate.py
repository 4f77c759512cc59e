"""Scale and shift give back what logits were made of; without a shift no answer changes."""

from __future__ import annotations

import pytest
import torch

from training.adapt.calibrate import fitted_scale
from training.adapt.tasks import ENTAILMENT, PARAPHRASE


def test_a_known_scale_and_shift_are_found() -> None:
    torch.manual_seed(0)
    true = torch.randn(20_000, 1) * 2
    same = torch.bernoulli(true.sigmoid())
    scale, shift = fitted_scale(PARAPHRASE, (true - 0.5) / 3, same, with_shift=True)
    assert scale.tolist() == pytest.approx([3], rel=0.1)
    assert shift.tolist() == pytest.approx([0.5], abs=0.1)


def test_overconfident_classes_are_held_back_and_stay_the_same() -> None:
    torch.manual_seed(0)
    logits = torch.randn(5000, 3)
    labels = torch.distributions.Categorical(logits=logits).sample()
    accepted = torch.nn.functional.one_hot(labels, 3).bool()
    scale, shift = fitted_scale(ENTAILMENT, logits * 4, accepted, with_shift=False)
    assert scale.tolist() == pytest.approx([0.25], rel=0.1)
    assert shift.tolist() == [0, 0, 0]


def test_pairs_that_are_told_apart_without_an_error_give_numbers() -> None:
    logits = torch.tensor([[5.0], [-5.0]] * 10)
    scale, shift = fitted_scale(PARAPHRASE, logits, (logits > 0).float(), with_shift=True)
    assert torch.isfinite(scale).all()
    assert torch.isfinite(shift).all()
    assert scale > 0
