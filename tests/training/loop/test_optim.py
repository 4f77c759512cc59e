"""RowAdam follows torch.optim.SparseAdam, on the fused path and on its portable twin."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from training.kernels import native
from training.loop.optim import RowAdam

V, SHAPE = 50, (4, 5)


@pytest.fixture(params=["fused", "portable"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "portable":
        monkeypatch.setattr(native, "available", lambda: False)
    elif not native.available():
        pytest.skip("the native library is not installed")
    return str(request.param)


def make_parameter() -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.randn(V, *SHAPE, generator=torch.Generator().manual_seed(0)))


def gradients(steps: int) -> Iterator[Tensor]:
    """Sparse gradients, not coalesced: rows repeat and come in any order."""
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        rows = torch.randint(V, (1, 20), generator=generator)
        values = torch.randn(20, *SHAPE, generator=generator)
        yield torch.sparse_coo_tensor(rows, values, (V, *SHAPE), check_invariants=True)


def train(optimiser: torch.optim.Optimizer, parameter: torch.nn.Parameter, grads: list[Tensor]) -> None:
    for grad in grads:
        parameter.grad = grad
        optimiser.step()


@pytest.mark.parametrize("lr", [1e-3, 0.5])
def test_equals_sparse_adam(path: str, lr: float) -> None:
    ours, theirs = make_parameter(), make_parameter()
    train(RowAdam([ours], lr=lr), ours, list(gradients(7)))
    train(torch.optim.SparseAdam([theirs], lr=lr), theirs, list(gradients(7)))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_untouched_rows_stay(path: str) -> None:
    parameter = make_parameter()
    before = parameter.detach().clone()
    grad = torch.sparse_coo_tensor(torch.tensor([[3, 7]]), torch.ones(2, *SHAPE), (V, *SHAPE), check_invariants=True)
    train(RowAdam([parameter], lr=0.1, weight_decay=0.1), parameter, [grad, grad])
    changed = (parameter != before).flatten(1).any(1)
    assert changed.nonzero().flatten().tolist() == [3, 7]


def test_weight_decay_is_decoupled(path: str) -> None:
    decayed, plain = make_parameter(), make_parameter()
    grad = torch.sparse_coo_tensor(torch.tensor([[3]]), torch.ones(1, *SHAPE), (V, *SHAPE), check_invariants=True)
    expected = plain.detach()[3] * 0.1 * 0.2
    train(RowAdam([decayed], lr=0.1, weight_decay=0.2), decayed, [grad])
    train(RowAdam([plain], lr=0.1), plain, [grad])
    torch.testing.assert_close(plain[3] - decayed[3], expected, rtol=1e-4, atol=1e-6)


def test_state_dict_round_trip_is_exact(path: str) -> None:
    straight, resumed = make_parameter(), make_parameter()
    grads = list(gradients(6))
    train(RowAdam([straight], lr=0.1), straight, grads)
    first = RowAdam([resumed], lr=0.1)
    train(first, resumed, grads[:3])
    second = RowAdam([resumed], lr=0.7)
    second.load_state_dict(first.state_dict())
    train(second, resumed, grads[3:])
    assert torch.equal(straight, resumed)


def test_closure_and_missing_gradients(path: str) -> None:
    parameter = make_parameter()
    optimiser = RowAdam([parameter])
    before = parameter.detach().clone()
    assert optimiser.step(lambda: 1.5) == 1.5
    assert torch.equal(parameter, before)


def test_dense_gradients_are_refused() -> None:
    parameter = make_parameter()
    parameter.grad = torch.ones_like(parameter)
    with pytest.raises(ValueError, match=r"expected a sparse_coo gradient .*, found torch"):
        RowAdam([parameter]).step()


@pytest.mark.parametrize("wrong", [{"lr": -1.0}, {"betas": (0.9, 1.0)}, {"eps": 0.0}, {"weight_decay": -0.1}])
def test_settings_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected lr >= 0"):
        RowAdam([make_parameter()], **wrong)  # type: ignore[arg-type]
