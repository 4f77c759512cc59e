"""The pair encoder beside its obvious twin, which takes one pair at a time and pads nothing."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from training.student.pair_encoder import Block, PairEncoder, PairHeads

LENGTHS = (0, 1, 2, 3, 0, 16, 63, 64, 65, 129, 7)
V, WIDTH = 50, 12


def encoder(places: int = 64) -> PairEncoder:
    torch.manual_seed(1)
    return PairEncoder(torch.randn(V, WIDTH), key_dim=5, places=places).double()


def packed(lengths: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    torch.manual_seed(2)
    return torch.randint(V, (sum(lengths),)), torch.tensor([0, *lengths]).cumsum(0)


def mixed(block: Block, tokens: Tensor) -> Tensor:
    """``Block.mix`` token by token."""
    rows = []
    for place, token in enumerate(tokens):
        found = block.here(token)
        if place > 0:
            found = found + block.before(tokens[place - 1])
        if place + 1 < len(tokens):
            found = found + block.after(tokens[place + 1])
        rows.append(token + F.hardswish(found))
    return torch.stack(rows) if rows else tokens


def fused(block: Block, own: Tensor, other: Tensor) -> Tensor:
    """A sentence after it has looked at the other one."""
    logits = block.key(own) @ block.key(other).T / block.key.out_features**0.5
    found = logits.softmax(dim=1) @ other if len(other) else torch.zeros_like(own)
    return own + F.hardswish(block.fuse(torch.cat([own, found, (own - found).abs(), own * found], dim=1)))


def twin(model: PairEncoder, left: Tensor, right: Tensor) -> Tensor:
    """[2, 2 w] of one pair of sentences, given by their ids."""
    sides = [model.features(ids, torch.arange(len(ids))) for ids in (left, right)]
    for block in model.blocks:
        assert isinstance(block, Block)
        x, y = (mixed(block, side) for side in sides)
        sides = [fused(block, x, y), fused(block, y, x)]
    nothing = torch.zeros(2 * model.width, dtype=torch.float64)
    return torch.stack([torch.cat([side.mean(0), side.amax(0)]) if len(side) else nothing for side in sides])


@pytest.mark.parametrize("places", [64, 4, 200])
def test_padding_changes_nothing(places: int) -> None:
    model, (ids, offsets) = encoder(places), packed(LENGTHS)
    pairs = torch.tensor([(row, (3 * row + 1) % len(LENGTHS)) for row in range(len(LENGTHS))] + [(0, 4), (9, 9)])
    found = model(ids, offsets, pairs)
    sentences = [ids[start:stop] for start, stop in pairwise(offsets.tolist())]
    for (left, right), row in zip(pairs.tolist(), found, strict=True):
        torch.testing.assert_close(row, twin(model, sentences[left], sentences[right]), rtol=1e-9, atol=1e-9)


def test_order_is_read() -> None:
    """Without places, and with them the more so, exchanged tokens give another result."""
    model = encoder()
    one, other = torch.tensor([1, 2, 3, 4, 5]), torch.tensor([5, 2, 3, 4, 1])
    ids, offsets = torch.cat([one, other]), torch.tensor([0, 5, 10])
    same, exchanged = model(ids, offsets, torch.tensor([[0, 0], [0, 1]]))
    assert (same - exchanged).abs().max() > 1e-3


def test_gradients_reach_every_weight() -> None:
    model, (ids, offsets) = encoder(), packed((5, 7))
    model(ids, offsets, torch.tensor([[0, 1]])).square().sum().backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        dense = weight.grad.to_dense()
        assert dense.isfinite().all(), name
        assert dense.abs().max() > 0, name
    assert model.tokens.grad is not None
    assert model.tokens.grad.layout == torch.sparse_coo
    assert set(model.tokens.grad.coalesce().indices()[0].tolist()) == set(ids.tolist())


def test_no_pairs() -> None:
    model, (ids, offsets) = encoder(), packed((5, 7))
    assert model(ids, offsets, torch.zeros(0, 2, dtype=torch.int64)).shape == (0, 2, 2 * WIDTH)


def test_paraphrase_and_relatedness_do_not_know_the_order() -> None:
    torch.manual_seed(3)
    heads = PairHeads(embedding_dim=6, width=WIDTH, hidden_dim=16, dropout=0.5).eval()
    u, v, read = torch.randn(4, 6), torch.randn(4, 6), torch.randn(4, 2, 2 * WIDTH)
    entailment, paraphrase, related = heads(u, v, read)
    back, paraphrase_back, related_back = heads(v, u, read.flip(1))
    assert (entailment.shape, paraphrase.shape, related.shape) == ((4, 3), (4,), (4,))
    torch.testing.assert_close(paraphrase, paraphrase_back)
    torch.testing.assert_close(related, related_back)
    assert (entailment - back).abs().max() > 1e-3
