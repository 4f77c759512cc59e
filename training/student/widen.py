"""A pair model made wider without a change of what it answers, so that a longer training need not begin anew.

After Net2Net (Chen et al., "Net2Net: Accelerating Learning via Knowledge Transfer", ICLR 2016), with new channels
instead of doubled ones: they read everything, and what was there before does not listen to them yet.

Letters: w width of the narrow model, W of the wide one, D state size.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import cast

import torch
from torch import Tensor, nn

from training.student.pair_model import PairModel

Parts = Sequence[tuple[int, int]]  # sizes of an input's parts, narrow and wide


@torch.no_grad()
def widen(narrow: PairModel, wide: PairModel) -> None:
    """Give ``wide`` the answers of ``narrow``, which differs from it in no size but the width."""
    width = narrow.config.width
    read, state = (width, wide.config.width), (narrow.config.embedding_dim, wide.config.embedding_dim)
    pooled = [read, read]  # mean and maximum
    wide.encoder.tokens[:, :width] = narrow.encoder.tokens
    wide.encoder.places[:, :width] = narrow.encoder.places
    for old, new in zip(narrow.encoder.blocks, wide.encoder.blocks, strict=True):
        for name in ("before", "here", "after", "key"):
            _widen_layer(old.get_submodule(name), new.get_submodule(name), [read])
        _widen_layer(old.get_submodule("fuse"), new.get_submodule("fuse"), [read] * 4)
    entailment = [state, state, *pooled, *pooled, state, *pooled, state, *pooled]
    same = [*pooled, state, *pooled, state, *pooled]
    for name, parts in (("entailment", entailment), ("same", same)):
        old, new = narrow.heads.get_submodule(name), wide.heads.get_submodule(name)
        _widen_layer(old.get_submodule("0"), new.get_submodule("0"), parts)
        new.get_submodule("3").load_state_dict(old.get_submodule("3").state_dict())
    wide.standardise.load_state_dict(narrow.standardise.state_dict())


def _widen_layer(old: nn.Module, new: nn.Module, parts: Parts) -> None:
    """The outputs of ``old`` read of a wide input, which consists of ``parts``, what they read of the narrow one."""
    old, new = cast(nn.Linear, old), cast(nn.Linear, new)
    new.weight[: old.out_features] = 0
    new.weight[: old.out_features, _columns(parts)] = old.weight
    if old.bias is not None:
        new.bias[: old.out_features] = old.bias


def _columns(parts: Parts) -> Tensor:
    """Where a narrow input's columns lie in the wide one."""
    starts = accumulate((wide for _, wide in parts), initial=0)
    return torch.cat([torch.arange(start, start + narrow) for (narrow, _), start in zip(parts, starts, strict=False)])
