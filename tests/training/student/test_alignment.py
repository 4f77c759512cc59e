"""Alignment in plain torch against a naive loop, its gradients, and the operator around it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from training.student import alignment
from training.student.alignment import Inputs, align_pairs
from training.student.model import Student, StudentConfig

LENGTHS = (0, 1, 2, 15, 0, 16, 17, 63, 64, 65, 129, 3)


def make_inputs(lengths: tuple[int, ...], q: int = 5, k: int = 4, h: int = 6) -> Inputs:
    """Sentences of ``lengths``, each paired with the next one and the last with the first."""
    generator = torch.Generator().manual_seed(3)
    N, B = sum(lengths), len(lengths)
    keys, values, weight, bias = (
        torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((N, q), (N, k), (4 * k, h), (h,))
    )
    pairs = torch.stack([torch.arange(B), torch.arange(B).roll(-1)], dim=1)
    return Inputs(keys, values, torch.tensor([0, *lengths]).cumsum(0), pairs, weight, bias)


def naive(inputs: Inputs) -> Tensor:
    """The definition, pair by pair."""
    keys, values, cu_seqlens, pairs, weight, bias = inputs
    bounds = cu_seqlens.tolist()
    rows = []
    for pair in pairs.tolist():
        for own, other in (pair, pair[::-1]):
            mine, others = slice(bounds[own], bounds[own + 1]), slice(bounds[other], bounds[other + 1])
            u = values[mine]
            if len(u) == 0:
                rows.append(bias.new_zeros(2 * len(bias)))
                continue
            v = (keys[mine] @ keys[others].T).softmax(1) @ values[others]
            compared = F.relu(torch.cat([u, v, (u - v).abs(), u * v], dim=1) @ weight + bias)
            rows.append(torch.cat([compared.mean(0), compared.amax(0)]))
    return torch.stack(rows).view(len(pairs), 2, -1)


def differentiable(inputs: Inputs) -> tuple[Inputs, list[Tensor]]:
    """Copies of the inputs that collect gradients, and those alone."""
    copies = Inputs(*(tensor.clone().requires_grad_(tensor.is_floating_point()) for tensor in inputs))
    return copies, [tensor for tensor in copies if tensor.requires_grad]


@pytest.mark.parametrize("at_once", [1, 500, alignment.LOGITS_AT_ONCE])
def test_values_and_gradients(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """However many pairs and rows are padded together."""
    monkeypatch.setattr(alignment, "LOGITS_AT_ONCE", at_once)
    (inputs, leaves), (plain, plain_leaves) = differentiable(make_inputs(LENGTHS)), differentiable(make_inputs(LENGTHS))
    pooled, expected = align_pairs(*inputs), naive(plain)
    torch.testing.assert_close(pooled, expected)
    grad = torch.linspace(-1, 1, pooled.numel(), dtype=pooled.dtype).view_as(pooled)
    pooled.backward(grad)
    expected.backward(grad)
    for found, wanted in zip(leaves, plain_leaves, strict=True):
        torch.testing.assert_close(found.grad, wanted.grad)


def test_gradcheck() -> None:
    inputs, _ = differentiable(make_inputs((2, 0, 3), q=2, k=2, h=3))
    assert torch.autograd.gradcheck(align_pairs, tuple(inputs))


@pytest.mark.parametrize("lengths", [(), (0, 0), (3, 2)])
def test_no_pairs_or_no_tokens(lengths: tuple[int, ...]) -> None:
    inputs = make_inputs(lengths)
    inputs = inputs._replace(pairs=inputs.pairs[: 0 if any(lengths) else None])
    pooled = align_pairs(*inputs)
    assert pooled.shape == (len(inputs.pairs), 2, 12)
    assert not pooled.any()


def test_a_transposed_weight_of_a_linear_layer() -> None:
    inputs = make_inputs((4, 5))
    transposed = inputs._replace(weight=inputs.weight.T.contiguous().T)
    torch.testing.assert_close(align_pairs(*transposed), align_pairs(*inputs))


def test_autocast_comes_to_the_same_but_for_rounding() -> None:
    inputs = make_inputs((2, 0, 3, 5))._asdict()
    inputs = Inputs(**{name: one.float() if one.is_floating_point() else one for name, one in inputs.items()})
    copies, _ = differentiable(inputs)
    with torch.autocast("cpu", torch.bfloat16):
        found = align_pairs(*copies)
    found.float().sum().backward()
    torch.testing.assert_close(found.float(), align_pairs(*inputs), atol=0.1, rtol=0.1)


def test_a_whole_student_judges_and_learns_under_autocast() -> None:
    torch.manual_seed(0)
    student = Student(StudentConfig(vocab_size=9, matrix_dim=2, vector_dim=4, init_noise=0.1)).train()
    packed = torch.arange(8), torch.tensor([0, 3, 8]), torch.tensor([[0, 1], [1, 0]])
    with torch.autocast("cpu", torch.bfloat16):
        found = student(*packed)
        sum(part.float().sum() for part in found).backward()
    assert all(part.isfinite().all() for part in found)
    assert student.alignment.compare_weight.grad.any()


WRONG_INPUTS = {
    "values": (lambda x: x._replace(values=x.values[1:]), r"values: expected shape \[9, 4\], found \[8, 4\]"),
    "dtypes": (lambda x: x._replace(bias=x.bias.float()), "bias: expected one floating dtype.*float32"),
    "integers": (lambda x: x._replace(keys=x.keys.long()), "keys: expected one floating dtype.*int64"),
    "rank": (lambda x: x._replace(weight=x.weight[0]), r"weight: .* rank 2, found .* \[6\]"),
    "weight": (lambda x: x._replace(weight=x.weight[1:]), r"weight: expected shape \[16, 6\], found \[15, 6\]"),
    "bias": (lambda x: x._replace(bias=x.bias[1:]), r"weight: expected shape \[16, 5\], found \[16, 6\]"),
    "offsets": (lambda x: x._replace(cu_seqlens=torch.tensor([0, 5, 3, 9])), "found 3 after 5 at position 2"),
    "end": (lambda x: x._replace(cu_seqlens=torch.tensor([0, 2, 5, 8])), "from 0 to 9"),
    "pairs": (lambda x: x._replace(pairs=x.pairs + 1), r"pairs: expected rows in \[0, 3\), found 3 at \[1, 1\]"),
    "pairs' rank": (lambda x: x._replace(pairs=x.pairs[0]), r"pairs: expected int64 \[P, 2\].*\[2\]"),
}


@pytest.mark.parametrize(("change", "message"), WRONG_INPUTS.values(), ids=WRONG_INPUTS.keys())
def test_wrong_inputs_are_refused(change: Callable[[Inputs], Inputs], message: str) -> None:
    inputs = change(make_inputs((2, 3, 4)))
    with pytest.raises(ValueError, match=message):
        align_pairs(*inputs)
