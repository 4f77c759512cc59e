"""The encoder as torch operators: pooled embeddings and per-token states of packed sentences, with gradients.

For the tokens t1 ... tn of a sentence, with F[t] = I + forward_deltas[t] and R[t] = I + backward_deltas[t]:

    unit(P)   = P sqrt(d) / ||P||
    embedding = [mean vectors[ti] | unit(F[t1] @ ... @ F[tn]) | unit(R[tn] @ ... @ R[t1])]
    state i   = [vectors[ti]      | unit(F[t1] @ ... @ F[ti]) | unit(R[tn] @ ... @ R[ti])]

``unit`` keeps a product of any length in range and is the one difference from Mai et al., "CBOW Is Not All You Need"
(ICLR 2019). ``hybrid_encode`` and ``hybrid_states`` are what a model calls. On a CPU with the native library they are
the fused operators ``cmow::hybrid_encode`` and ``cmow::hybrid_states``; elsewhere ``scan_encode`` and ``scan_states``,
their portable twins in plain torch. ``torch.export`` always sees the operators.

Letters: B sentences, N packed tokens, V vocabulary, d matrix side, e vector size, D = e + 2 d^2, L longest sentence,
U distinct tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction, FunctionCtx

from training.kernels import native
from training.kernels.native import Tables

_TINY = torch.finfo(torch.float32).tiny


def hybrid_encode(
    token_ids: Tensor, cu_seqlens: Tensor, vectors: Tensor, forward_deltas: Tensor, backward_deltas: Tensor
) -> Tensor:
    """Embeddings float32 [B, D] of packed sentences: int64 ``token_ids`` [N], ``cu_seqlens`` [B+1].

    The gradients of the tables are sparse (``torch.sparse_coo``): one row for each distinct token. ``ValueError`` names
    the input that is wrong.
    """
    tables = Tables(vectors, forward_deltas, backward_deltas)
    if _takes_operator(vectors):
        out: Tensor = encode_op(token_ids, cu_seqlens, *tables)
        return out
    return scan_encode(token_ids, cu_seqlens, tables)


def hybrid_states(
    token_ids: Tensor, cu_seqlens: Tensor, vectors: Tensor, forward_deltas: Tensor, backward_deltas: Tensor
) -> Tensor:
    """Per-token states float32 [N, D] of packed sentences; otherwise as ``hybrid_encode``."""
    tables = Tables(vectors, forward_deltas, backward_deltas)
    if _takes_operator(vectors):
        out: Tensor = states_op(token_ids, cu_seqlens, *tables)
        return out
    return scan_states(token_ids, cu_seqlens, tables)


def is_fused(device: torch.device | str) -> bool:
    """Whether tensors on ``device`` take the native library."""
    return torch.device(device).type == "cpu" and native.available()


def _takes_operator(table: Tensor) -> bool:
    return torch.compiler.is_compiling() or is_fused(table.device)


@torch.library.custom_op("cmow::hybrid_encode", mutates_args=())
def encode_op(
    token_ids: Tensor, cu_seqlens: Tensor, vectors: Tensor, forward_deltas: Tensor, backward_deltas: Tensor
) -> Tensor:
    """``cmow::hybrid_encode``: see ``hybrid_encode``."""
    tables = Tables(vectors, forward_deltas, backward_deltas)
    if is_fused(vectors.device):
        return native.forward(token_ids, cu_seqlens, tables, False, torch.get_num_threads())
    return scan_encode(token_ids, cu_seqlens, tables)


@torch.library.custom_op("cmow::hybrid_states", mutates_args=())
def states_op(
    token_ids: Tensor, cu_seqlens: Tensor, vectors: Tensor, forward_deltas: Tensor, backward_deltas: Tensor
) -> Tensor:
    """``cmow::hybrid_states``: see ``hybrid_states``."""
    tables = Tables(vectors, forward_deltas, backward_deltas)
    if is_fused(vectors.device):
        return native.forward(token_ids, cu_seqlens, tables, True, torch.get_num_threads())
    return scan_states(token_ids, cu_seqlens, tables)


@torch.library.custom_op("cmow::hybrid_backward", mutates_args=())
def backward_op(
    grad: Tensor,
    token_ids: Tensor,
    cu_seqlens: Tensor,
    vectors: Tensor,
    forward_deltas: Tensor,
    backward_deltas: Tensor,
    per_token: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Distinct tokens int64 [U] and their gradients [U, e], [U, d, d], [U, d, d]; native library only."""
    tables = Tables(vectors, forward_deltas, backward_deltas)
    threads = torch.get_num_threads()
    rows, *gradients = native.backward(grad, token_ids, cu_seqlens, tables, per_token, threads)
    return rows, gradients[0], gradients[1], gradients[2]


@encode_op.register_fake
def _(
    token_ids: Tensor, cu_seqlens: Tensor, vectors: Tensor, forward_deltas: Tensor, backward_deltas: Tensor
) -> Tensor:
    D = Tables(vectors, forward_deltas, backward_deltas).embedding_dim
    return vectors.new_empty(cu_seqlens.shape[0] - 1, D)


@states_op.register_fake
def _(
    token_ids: Tensor, cu_seqlens: Tensor, vectors: Tensor, forward_deltas: Tensor, backward_deltas: Tensor
) -> Tensor:
    D = Tables(vectors, forward_deltas, backward_deltas).embedding_dim
    return vectors.new_empty(token_ids.shape[0], D)


@backward_op.register_fake
def _(
    grad: Tensor,
    token_ids: Tensor,
    cu_seqlens: Tensor,
    vectors: Tensor,
    forward_deltas: Tensor,
    backward_deltas: Tensor,
    per_token: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    U = torch.library.get_ctx().new_dynamic_size()
    tables = (vectors, forward_deltas, backward_deltas)
    rows = [table.new_empty(U, *table.shape[1:]) for table in tables]
    return token_ids.new_empty(U), rows[0], rows[1], rows[2]


def _sparse_gradients(saved: tuple[Tensor, ...], grad: Tensor, per_token: bool) -> tuple[Tensor | None, ...]:
    """Gradients of (token_ids, cu_seqlens, *tables), recomputing the products."""
    token_ids, cu_seqlens, *tables = saved
    if not is_fused(grad.device):
        return None, None, *_scan_gradients(saved, grad, per_token)
    rows, *values = backward_op(grad.contiguous(), token_ids, cu_seqlens, *tables, per_token)
    gradients = (_sparse_rows(rows, value, table) for value, table in zip(values, tables, strict=True))
    return None, None, *gradients


def _sparse_rows(rows: Tensor, values: Tensor, table: Tensor) -> Tensor:
    return torch.sparse_coo_tensor(rows[None], values, table.shape, is_coalesced=True, check_invariants=False)


def _scan_gradients(saved: tuple[Tensor, ...], grad: Tensor, per_token: bool) -> tuple[Tensor, ...]:
    token_ids, cu_seqlens, *tables = saved
    with torch.enable_grad():
        leaves = Tables(*(table.detach().requires_grad_() for table in tables))
        out = (scan_states if per_token else scan_encode)(token_ids, cu_seqlens, leaves)
    return torch.autograd.grad(out, leaves, grad)


def _save_inputs(ctx: FunctionCtx, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _encode_backward(ctx: BackwardCFunction, grad: Tensor) -> tuple[Tensor | None, ...]:
    return _sparse_gradients(ctx.saved_tensors, grad, per_token=False)


def _states_backward(ctx: BackwardCFunction, grad: Tensor) -> tuple[Tensor | None, ...]:
    return _sparse_gradients(ctx.saved_tensors, grad, per_token=True)


encode_op.register_autograd(_encode_backward, setup_context=_save_inputs)
states_op.register_autograd(_states_backward, setup_context=_save_inputs)


def scan_encode(token_ids: Tensor, cu_seqlens: Tensor, tables: Tables) -> Tensor:
    """The portable twin of ``hybrid_encode``, for any device and floating dtype."""
    native.check_tokens(token_ids, cu_seqlens, len(tables.vectors))
    lengths = cu_seqlens.diff()
    sentences = _sentence_of_token(lengths)
    vectors = gather_rows(tables.vectors, token_ids)  # [N, e]
    totals = vectors.new_zeros(len(lengths), vectors.shape[1]).index_add(0, sentences, vectors)
    mean = totals / lengths.clamp_min(1)[:, None]  # [B, e]
    # The last inclusive prefix is the product of the whole sentence, since the padding after it is the identity.
    forward = _prefixes(_padded_matrices(token_ids, lengths, tables.forward_deltas))[:, -1]  # [B, d, d]
    backward = _suffixes(_padded_matrices(token_ids, lengths, tables.backward_deltas))[:, 0]
    return torch.cat([mean, forward.flatten(1), backward.flatten(1)], dim=1)


def scan_states(token_ids: Tensor, cu_seqlens: Tensor, tables: Tables) -> Tensor:
    """The portable twin of ``hybrid_states``, for any device and floating dtype."""
    native.check_tokens(token_ids, cu_seqlens, len(tables.vectors))
    lengths = cu_seqlens.diff()
    vectors = gather_rows(tables.vectors, token_ids)  # [N, e]
    forward = _prefixes(_padded_matrices(token_ids, lengths, tables.forward_deltas))  # [B, L, d, d]
    backward = _suffixes(_padded_matrices(token_ids, lengths, tables.backward_deltas))
    filled = _filled(lengths)
    return torch.cat([vectors, forward[filled].flatten(1), backward[filled].flatten(1)], dim=1)


class _GatherRows(torch.autograd.Function):
    """``table[rows]`` with a sparse gradient; ``torch.nn.functional.embedding`` has one for tables of rank 2 alone."""

    @staticmethod
    def forward(ctx: FunctionCtx, table: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(table, rows)
        return table[rows]

    @staticmethod
    def backward(ctx: BackwardCFunction, grad: Tensor) -> tuple[Tensor, None]:
        saved: tuple[Tensor, ...] = ctx.saved_tensors
        table, rows = saved
        return torch.sparse_coo_tensor(rows[None], grad, table.shape, check_invariants=False), None


def gather_rows(table: Tensor, rows: Tensor) -> Tensor:
    """``table[rows]``, [N, ...] of [V, ...] and int64 [N], whose gradient for ``table`` is sparse."""
    gathered: Tensor = _GatherRows.apply(table, rows)  # type: ignore[no-untyped-call]
    return gathered


def unit(products: Tensor) -> Tensor:
    """Scale matrices [..., d, d] to the identity's Frobenius norm, sqrt(d); zero stays zero, with no gradient."""
    squares = products.square().sum((-2, -1), keepdim=True)
    nonzero = squares > _TINY
    scales = (products.shape[-1] / squares.where(nonzero, torch.ones_like(squares))).sqrt()
    return products * scales.where(nonzero, torch.zeros_like(scales))


def _sentence_of_token(lengths: Tensor) -> Tensor:
    return torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)  # [N]


def _filled(lengths: Tensor) -> Tensor:
    """True where a padded position holds a token: bool [B, L], L at least 1."""
    longest = max(1, int(lengths.max()) if len(lengths) else 1)
    return torch.arange(longest, device=lengths.device) < lengths[:, None]


def _padded_matrices(token_ids: Tensor, lengths: Tensor, deltas: Tensor) -> Tensor:
    """Matrices of the tokens [B, L, d, d], the identity after a sentence's end."""
    filled = _filled(lengths)
    d = deltas.shape[-1]
    rows = gather_rows(deltas, token_ids)  # [N, d, d]
    padded = rows.new_zeros(*filled.shape, d, d).masked_scatter(filled[..., None, None], rows)
    return padded + torch.eye(d, dtype=deltas.dtype, device=deltas.device)


def _prefixes(matrices: Tensor) -> Tensor:
    """unit(M[0] @ ... @ M[i]) at every i of [B, L, d, d], by an inclusive scan (Hillis and Steele) in log2(L) steps."""
    products, span = unit(matrices), 1
    while span < products.shape[1]:
        joined = unit(products[:, :-span] @ products[:, span:])
        products = torch.cat([products[:, :span], joined], dim=1)
        span *= 2
    return products


def _suffixes(matrices: Tensor) -> Tensor:
    """unit(M[L-1] @ ... @ M[i]) at every i of [B, L, d, d]."""
    return _prefixes(matrices.flip(1)).flip(1)
