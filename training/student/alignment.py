"""Soft alignment of sentence pairs: tokens attend to the other sentence, are compared with what they find, and pooled.

Parikh et al., "A Decomposable Attention Model for Natural Language Inference" (EMNLP 2016). For the tokens of a
sentence with keys K [n, q] and values V [n, k], beside another with K' [m, q] and V' [m, k]:

    A = softmax(K @ K'.T) @ V'                                      [n, k]
    C = relu([V | A | |V - A| | V * A] @ weight + bias)             [n, h]
    half of the pair's result = [mean of C | maximum of C]          [2 h]

A sentence without tokens gives zeros, and is a zero vector to attend to.

Letters: B sentences, N packed tokens, P pairs, G halves of pairs computed at once, n and m their most tokens, q key
size, k value size, h comparison size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from training.kernels.native import check_offsets

LOGITS_AT_ONCE = 2**22  # numbers that the largest padded tensor of logits may have: 16 MiB


class Inputs(NamedTuple):
    """Inputs of ``align_pairs``, in order."""

    keys: Tensor
    values: Tensor
    cu_seqlens: Tensor
    pairs: Tensor
    weight: Tensor
    bias: Tensor


def align_pairs(
    keys: Tensor, values: Tensor, cu_seqlens: Tensor, pairs: Tensor, weight: Tensor, bias: Tensor
) -> Tensor:
    """What the tokens of each of ``pairs`` show compared with each other, [P, 2, 2 h], the pair's first sentence first.

    ``keys`` [N, q], ``values`` [N, k], ``weight`` [4 k, h] and ``bias`` [h] of one floating dtype; int64 ``cu_seqlens``
    [B+1] and ``pairs`` [P, 2], rows of the B sentences. ``ValueError`` names the input that is wrong.
    """
    return padded_align(Inputs(keys, values, cu_seqlens, pairs, weight, bias))


def padded_align(inputs: Inputs) -> Tensor:
    """``align_pairs`` with halves of pairs of about the same length padded together."""
    check_inputs(inputs)
    own, other = inputs.pairs.flatten(), inputs.pairs.flip(1).flatten()  # [2 P]
    lengths = inputs.cu_seqlens.diff()
    order = torch.maximum(lengths[own], lengths[other]).argsort(descending=True, stable=True)
    halves = [align_halves(inputs, own[rows], other[rows]) for rows in _groups(order, lengths[own], lengths[other])]
    empty = inputs.values.new_zeros(0, 2 * len(inputs.bias))
    pooled = torch.cat([empty, *halves])[order.argsort()]
    return pooled.view(len(inputs.pairs), 2, 2 * len(inputs.bias))


def _groups(order: Tensor, own_lengths: Tensor, other_lengths: Tensor) -> Iterator[Tensor]:
    """``order`` in consecutive parts, whose padded logits are few enough; at least one half each."""
    longest = torch.maximum(own_lengths, other_lengths)[order].tolist()
    start = 0
    while start < len(longest):
        count = max(1, LOGITS_AT_ONCE // max(1, longest[start]) ** 2)
        yield order[start : start + count]
        start += count


def align_halves(inputs: Inputs, own: Tensor, other: Tensor) -> Tensor:
    """[G, 2 h] for the sentences ``own`` [G], each beside its partner in ``other`` [G]."""
    own_rows, filled = _padded_rows(inputs.cu_seqlens, own)  # [G, n]
    other_rows, other_filled = _padded_rows(inputs.cu_seqlens, other)  # [G, m]
    keys, values = (F.pad(table, (0, 0, 0, 1)) for table in (inputs.keys, inputs.values))  # row N is zeros
    attended = _attend(_pick(keys, own_rows), _pick(keys, other_rows), _pick(values, other_rows), other_filled)
    u, v = values.index_select(0, own_rows[filled]), attended[filled]  # [T, k], the tokens without padding
    features = torch.cat([u, v, (u - v).abs(), u * v], dim=1)
    compared = F.relu(torch.addmm(inputs.bias, features, inputs.weight))  # [T, h]
    padded = compared.new_zeros(*filled.shape, compared.shape[1]).masked_scatter(filled[..., None], compared)
    mean = padded.sum(1) / filled.sum(1, keepdim=True).clamp_min(1)
    return torch.cat([mean, padded.amax(1)], dim=1)  # comparisons are not negative, so zeros change no maximum


def _padded_rows(cu_seqlens: Tensor, sentences: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of the packed tokens of ``sentences`` [G], N where there is none, and where there is one: [G, L], L >= 1."""
    starts, lengths = cu_seqlens[sentences], cu_seqlens.diff()[sentences]
    places = torch.arange(max(1, int(lengths.max())), device=cu_seqlens.device)
    filled = places < lengths[:, None]
    return torch.where(filled, starts[:, None] + places, cu_seqlens[-1]), filled


def _pick(table: Tensor, rows: Tensor) -> Tensor:
    """``table[rows]`` by ``index_select``, whose gradient is the faster one."""
    return table.index_select(0, rows.flatten()).view(*rows.shape, table.shape[1])


def _attend(own_keys: Tensor, other_keys: Tensor, other_values: Tensor, other_filled: Tensor) -> Tensor:
    """Softmax-weighted sums of the other values, [G, n, k], with a part of the logits at a time."""
    rows_at_once = max(1, LOGITS_AT_ONCE // other_filled.numel())
    parts = []
    for keys in own_keys.split(rows_at_once, dim=1):
        logits = keys @ other_keys.transpose(1, 2)  # of a lower precision than the keys under autocast
        # The lowest number, not minus infinity: padding beside tokens weighs exactly zero, and where there is padding
        # alone its zeros are averaged, with no NaN in values or gradients.
        masked = logits.masked_fill(~other_filled[:, None], torch.finfo(logits.dtype).min)
        parts.append(masked.softmax(-1) @ other_values)
    return torch.cat(parts, dim=1)


def check_inputs(inputs: Inputs) -> None:
    """``ValueError`` unless the inputs have the shapes, dtypes and ranges that ``align_pairs`` states."""
    keys, values, cu_seqlens, pairs, weight, bias = inputs
    for name, tensor, rank in (("keys", keys, 2), ("values", values, 2), ("weight", weight, 2), ("bias", bias, 1)):
        if tensor.dim() != rank or tensor.dtype != keys.dtype or not tensor.is_floating_point():
            found = f"{tensor.dtype} {list(tensor.shape)}"
            raise ValueError(f"{name}: expected one floating dtype for all and rank {rank}, found {found}")
    expected = {"values": (len(keys), values.shape[1]), "weight": (4 * values.shape[1], len(bias))}
    for name, shape in expected.items():
        if getattr(inputs, name).shape != shape:
            raise ValueError(f"{name}: expected shape {list(shape)}, found {list(getattr(inputs, name).shape)}")
    check_offsets(cu_seqlens, len(keys))
    B = len(cu_seqlens) - 1
    if pairs.dtype != torch.int64 or pairs.dim() != 2 or pairs.shape[1] != 2:
        raise ValueError(f"pairs: expected int64 [P, 2], found {pairs.dtype} {list(pairs.shape)}")
    if len(outside := ((pairs < 0) | (pairs >= B)).nonzero()):
        pair, side = outside[0].tolist()
        raise ValueError(f"pairs: expected rows in [0, {B}), found {int(pairs[pair, side])} at [{pair}, {side}]")
