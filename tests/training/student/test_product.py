"""The fused operators, their portable twins and a naive float64 loop agree, in values and gradients."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch._library.custom_ops import CustomOpDef

from training.kernels import native
from training.kernels.native import Tables
from training.student import product

LENGTHS = (0, 1, 2, 63, 64, 65, 129, 1000, 0)
V = 97
# Largest error relative to the largest number compared; float32 against float64.
VALUE_TOLERANCE, GRADIENT_TOLERANCE = 1e-4, 1e-3

needs_library = pytest.mark.skipif(not native.available(), reason="the native library is not installed")
IMPLEMENTATIONS = [pytest.param("fused", marks=needs_library), "scan"]


def make_tables(d: int, e: int, noise: float = 0.05) -> Tables:
    generator = torch.Generator().manual_seed(d)
    shapes = ((V, e), (V, d, d), (V, d, d))
    return Tables(*(noise * torch.randn(shape, generator=generator) for shape in shapes))


def make_tokens(lengths: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    cu_seqlens = torch.tensor([0, *lengths]).cumsum(0)
    generator = torch.Generator().manual_seed(1)
    return torch.randint(V - 1, (sum(lengths),), generator=generator), cu_seqlens  # the last row stays unused


def naive(token_ids: Tensor, cu_seqlens: Tensor, tables: Tables, per_token: bool) -> Tensor:
    """The definition, token by token: embeddings [B, D] or states [N, D]."""
    eye = torch.eye(tables.matrix_dim, dtype=tables.vectors.dtype)
    rows = []
    for begin, end in zip(cu_seqlens.tolist(), cu_seqlens.tolist()[1:], strict=False):
        ids = token_ids[begin:end].tolist()
        vectors = tables.vectors[ids]
        forward, backward = [eye], [eye]
        for t in ids:
            forward.append(naive_unit(forward[-1] @ (eye + tables.forward_deltas[t])))
        for t in reversed(ids):
            backward.append(naive_unit(backward[-1] @ (eye + tables.backward_deltas[t])))
        if per_token:
            states = zip(vectors, forward[1:], reversed(backward[1:]), strict=True)
        else:
            mean = vectors.mean(0) if ids else vectors.sum(0)
            states = zip([mean], forward[-1:], backward[-1:], strict=True)
        rows += [torch.cat([part.flatten() for part in state]) for state in states]
    return torch.stack(rows)


def naive_unit(product: Tensor) -> Tensor:
    scale: Tensor = len(product) ** 0.5 / product.square().sum().sqrt()
    return product * scale


def run(implementation: str, token_ids: Tensor, cu_seqlens: Tensor, tables: Tables, per_token: bool) -> Tensor:
    if implementation == "scan":
        return (product.scan_states if per_token else product.scan_encode)(token_ids, cu_seqlens, tables)
    return (product.hybrid_states if per_token else product.hybrid_encode)(token_ids, cu_seqlens, *tables)


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("per_token", [False, True])
@pytest.mark.parametrize(
    ("d", "e", "lengths"),
    [(20, 400, LENGTHS), (6, 10, LENGTHS), (1, 0, LENGTHS), (33, 7, LENGTHS[:5]), (64, 1, LENGTHS[:3])],
)
def test_values_match_the_definition(
    implementation: str, per_token: bool, d: int, e: int, lengths: tuple[int, ...]
) -> None:
    tables = make_tables(d, e)
    token_ids, cu_seqlens = make_tokens(lengths)
    expected = naive(token_ids, cu_seqlens, Tables(*(table.double() for table in tables)), per_token)
    found = run(implementation, token_ids, cu_seqlens, tables, per_token)
    assert found.dtype == torch.float32
    assert relative_error(found, expected) < VALUE_TOLERANCE


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("per_token", [False, True])
@pytest.mark.parametrize(("d", "e"), [(20, 400), (6, 10)])
def test_gradients_match_the_definition(implementation: str, per_token: bool, d: int, e: int) -> None:
    tables = Tables(*(table.requires_grad_() for table in make_tables(d, e)))
    token_ids, cu_seqlens = make_tokens((0, 1, 2, 33, 65, 3))
    exact = Tables(*(table.detach().double().requires_grad_() for table in tables))
    out = naive(token_ids, cu_seqlens, exact, per_token)
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(2))
    expected = torch.autograd.grad((out * weights).sum(), exact)
    found = torch.autograd.grad(run(implementation, token_ids, cu_seqlens, tables, per_token), tables, weights)
    for gradient, reference in zip(found, expected, strict=True):
        assert gradient.is_sparse
        assert relative_error(gradient.to_dense(), reference) < GRADIENT_TOLERANCE


@needs_library
@pytest.mark.parametrize("per_token", [False, True])
def test_results_do_not_depend_on_the_number_of_threads(per_token: bool) -> None:
    tables = make_tables(20, 24)
    # More tokens than one block of the library, and tokens that occur in several blocks.
    token_ids, cu_seqlens = make_tokens((7, 1500, 0, 900, *range(60), 2500))
    rows = len(token_ids) if per_token else len(cu_seqlens) - 1
    grad = torch.randn(rows, tables.embedding_dim, generator=torch.Generator().manual_seed(3))
    first, *others = (native.backward(grad, token_ids, cu_seqlens, tables, per_token, n) for n in (1, 2, 3, 8))
    assert torch.equal(first.rows, torch.unique(token_ids))
    for other in others:
        assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    values = [native.forward(token_ids, cu_seqlens, tables, per_token, threads) for threads in (1, 3)]
    assert torch.equal(*values)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("noise", [0.05, 1.0])
def test_100_000_tokens_stay_finite(implementation: str, noise: float) -> None:
    d, e = 4, 4
    tables = Tables(*(table.requires_grad_() for table in make_tables(d, e, noise)))
    out = run(implementation, *make_tokens((100_000,)), tables, per_token=False)
    gradients = torch.autograd.grad(out[:, ::2].sum(), tables)
    assert out.isfinite().all()
    assert torch.allclose(out[:, e:].reshape(2, -1).norm(dim=1), torch.full((2,), d**0.5))
    assert all(gradient.to_dense().isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_zero_product_gives_zeros_and_no_gradient(implementation: str) -> None:
    tables = make_tables(6, 4)
    tables.forward_deltas[5] = -torch.eye(6)
    tables = Tables(*(table.requires_grad_() for table in tables))
    out = run(implementation, torch.tensor([5, 1]), torch.tensor([0, 2]), tables, per_token=False)
    assert (out[:, 4:40] == 0).all()
    gradients = torch.autograd.grad(out.sum(), tables)
    assert (gradients[1].to_dense() == 0).all()
    assert all(gradient.to_dense().isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("lengths", [(), (0,), (0, 0)])
def test_no_tokens(implementation: str, lengths: tuple[int, ...]) -> None:
    tables = Tables(*(table.requires_grad_() for table in make_tables(6, 4)))
    token_ids, cu_seqlens = make_tokens(lengths)
    out = run(implementation, token_ids, cu_seqlens, tables, per_token=False)
    identity = torch.cat([torch.zeros(4), torch.eye(6).flatten(), torch.eye(6).flatten()])
    assert torch.allclose(out, identity.expand(len(lengths), -1))
    assert run(implementation, token_ids, cu_seqlens, tables, per_token=True).shape == (0, 76)
    assert all((gradient.to_dense() == 0).all() for gradient in torch.autograd.grad(out.sum(), tables))


@pytest.mark.parametrize("op", [product.encode_op, product.states_op])
@pytest.mark.parametrize("differentiable", [pytest.param(True, marks=needs_library), False])
def test_opcheck(op: CustomOpDef, differentiable: bool) -> None:
    tables = (table.requires_grad_(differentiable) for table in make_tables(6, 4))
    torch.library.opcheck(op, (*make_tokens((2, 0, 3)), *tables))


@pytest.mark.parametrize("per_token", [False, True])
def test_export_keeps_one_operator_and_dynamic_sizes(per_token: bool) -> None:
    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tables = torch.nn.ParameterList(make_tables(6, 4))

        def forward(self, token_ids: Tensor, cu_seqlens: Tensor) -> Tensor:
            return run("fused", token_ids, cu_seqlens, Tables(*self.tables), per_token)

    encoder = Encoder()
    sizes = ({0: torch.export.Dim.DYNAMIC}, {0: torch.export.Dim.DYNAMIC})
    program = torch.export.export(encoder, make_tokens((2, 3, 4)), dynamic_shapes=sizes)
    calls = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    assert calls.count("cmow.hybrid_states.default" if per_token else "cmow.hybrid_encode.default") == 1
    other = make_tokens((5, 0, 1, 7))
    assert torch.equal(program.module()(*other), encoder(*other))


BAD_TOKENS = {
    r"token_ids: expected numbers in \[0, 97\), found 97 at position 1": ([0, 97], [0, 2]),
    r"token_ids: expected numbers in \[0, 97\), found -1 at position 0": ([-1, 0], [0, 2]),
    "cu_seqlens: expected it to run from 0 to 2 .*, found 1 ... 2": ([0, 1], [1, 2]),
    "cu_seqlens: expected it to run from 0 to 2 .*, found 0 ... 1": ([0, 1], [0, 1]),
    "cu_seqlens: expected it to run from 0 to 2 .*, found nothing": ([0, 1], []),
    "cu_seqlens: expected no decrease, found 1 after 2 at position 2": ([0, 1], [0, 2, 1, 2]),
}


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("message", BAD_TOKENS)
def test_bad_tokens_are_named(implementation: str, message: str) -> None:
    token_ids, cu_seqlens = (torch.tensor(values, dtype=torch.int64) for values in BAD_TOKENS[message])
    with pytest.raises(ValueError, match=message):
        run(implementation, token_ids, cu_seqlens, make_tables(6, 4), per_token=False)


@needs_library
def test_bad_tables_are_named() -> None:
    tokens, tables = make_tokens((2,)), make_tables(6, 4)
    cases = {
        r"token_ids: expected int64 of rank 1, found torch.int32": ((tokens[0].int(), tokens[1]), tables),
        r"vectors: expected float32 \[97, 4\], found torch.float64": (
            tokens,
            tables._replace(vectors=tables.vectors.double()),
        ),
        r"backward_deltas: expected float32 \[97, 6, 6\], found .* \[96, 6, 6\]": (
            tokens,
            tables._replace(backward_deltas=tables.backward_deltas[1:]),
        ),
        r"forward_deltas: expected a contiguous tensor": (tokens, tables._replace(forward_deltas=tables[1].mT)),
        r"expected a matrix side of 1 to 64, found 65": (tokens, make_tables(65, 4)),
    }
    for message, (packed, wrong) in cases.items():
        with pytest.raises(ValueError, match=message):
            product.hybrid_encode(*packed, *wrong)


# CMOW_ISA is read once a process. The longest sentence is of the length where rescaling has happened.
ISA_SCRIPT = """
import sys, torch
from tests.training.student.test_product import make_tables, make_tokens, native
tables, tokens = make_tables(int(sys.argv[1]), 10, 0.3), make_tokens((1, 400))
out = native.forward(*tokens, tables, True, 1)
grad = torch.randn(out.shape, generator=torch.Generator().manual_seed(4))
rows = native.backward(grad, *tokens, tables, True, 1)
torch.save([native.isa(), out, *rows], sys.argv[2])
"""


@needs_library
@pytest.mark.parametrize("d", [20, 6])
@pytest.mark.parametrize("isa", ["avx2", "portable"])
def test_instruction_sets_agree(isa: str, d: int, tmp_path: Path) -> None:
    results = []
    for environment in ({}, {"CMOW_ISA": isa}):
        path = tmp_path / "result.pt"
        command = [sys.executable, "-c", ISA_SCRIPT, str(d), str(path)]
        done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
        if "CMOW_ISA: expected" in done.stderr:
            pytest.skip(f"this machine has no {isa}")
        assert done.returncode == 0, done.stderr
        results.append(torch.load(path))
    (_, *best), (name, *forced) = results
    assert name == isa
    for found, reference in zip(forced, best, strict=True):
        assert relative_error(found, reference.double()) < GRADIENT_TOLERANCE


def test_without_the_library_the_twin_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "available", lambda: False)
    tables = Tables(*(table.requires_grad_() for table in make_tables(6, 4)))
    tokens = make_tokens((2, 0, 3))
    out = product.hybrid_encode(*tokens, *tables)
    assert torch.equal(out, product.scan_encode(*tokens, tables))
    # A graph that was exported, or compiled, calls the operator itself.
    by_operator = product.encode_op(*tokens, *tables)
    assert torch.equal(out, by_operator)
    pairs = zip(torch.autograd.grad(out.sum(), tables), torch.autograd.grad(by_operator.sum(), tables), strict=True)
    assert all(torch.equal(a.to_dense(), b.to_dense()) for a, b in pairs)
