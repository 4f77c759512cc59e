"""The similarity head in a file of its own: what is written is read, and rounding is the served head's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from training.bundle.projection import FILE, Projection, RoundedStates, load_projection, save_projection
from training.student.model import CheckpointError


@pytest.fixture
def projection() -> Projection:
    torch.manual_seed(0)
    return Projection(torch.randn(3, 5), torch.randn(3), torch.randn(5), torch.rand(5) + 0.5)


def test_what_is_saved_is_loaded(projection: Projection, tmp_path: Path) -> None:
    save_projection(projection, tmp_path / "new")
    for name, values in load_projection(tmp_path / "new")._asdict().items():
        assert torch.equal(values, getattr(projection, name)), name


def test_the_head_is_the_formula(projection: Projection) -> None:
    states = torch.randn(4, 5)
    expected = ((states - projection.mean) * projection.inverse) @ projection.weight.T + projection.bias
    expected = expected / expected.norm(dim=1, keepdim=True)
    torch.testing.assert_close(projection.head()(projection.standardise(states)), expected)


def test_rounded_states_are_within_half_a_step() -> None:
    states = torch.cat([torch.randn(6, 5) * 3, torch.zeros(1, 5)])
    rounded = RoundedStates.joined([RoundedStates.of(states[:2]), RoundedStates.of(states[2:])])
    assert len(rounded) == 7
    rows = torch.tensor([6, 0, 0, 3])
    found = rounded.take(rows)
    assert ((found - states[rows]).abs() <= states[rows].abs().amax(dim=1, keepdim=True) / 127 / 2 + 1e-6).all()


def test_what_is_wrong_with_a_file_is_said(projection: Projection, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"expected a head that training\.similarity_head wrote"):
        load_projection(tmp_path)
    save_file({"weight": torch.zeros(3, 5)}, tmp_path / FILE)
    with pytest.raises(CheckpointError, match=r"expected a head that training\.similarity_head wrote"):
        load_projection(tmp_path)
    save_projection(projection._replace(bias=torch.zeros(4)), tmp_path)
    with pytest.raises(CheckpointError, match=r"expected a weight \[m, D\].*'weight': \[3, 5\]"):
        load_projection(tmp_path)
