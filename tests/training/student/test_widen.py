"""A wider model answers as the narrow one did, and learns with what it has gained."""

from __future__ import annotations

from dataclasses import replace

import torch

from training.student.pair_model import PairConfig, PairModel
from training.student.widen import widen

NARROW = PairConfig(vocab_size=30, embedding_dim=10, width=6, blocks=2, key_dim=4, places=5, hidden_dim=8, dropout=0.0)


def _pairs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    lengths = torch.tensor([0, 3, 1, 9, 7, 7])
    return torch.randint(30, (int(lengths.sum()),)), torch.cat([torch.zeros(1).long(), lengths.cumsum(0)]), PAIRS


PAIRS = torch.tensor([[0, 1], [2, 3], [4, 5]])


def test_it_answers_as_the_narrow_one() -> None:
    torch.manual_seed(0)
    narrow, wide = PairModel(NARROW), PairModel(replace(NARROW, width=9))
    for model in (narrow, wide):
        torch.nn.init.normal_(model.encoder.tokens)
    narrow.standardise.mean.normal_()
    widen(narrow, wide)
    states, pairs = torch.randn(6, 10), _pairs()
    for found, expected in zip(wide(states, *pairs), narrow(states, *pairs), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_new_channels_are_trained() -> None:
    """Gradients reach all that reads them, and after a step they themselves."""
    torch.manual_seed(0)
    narrow, wide = PairModel(NARROW), PairModel(replace(NARROW, width=9))
    for model in (narrow, wide):
        torch.nn.init.normal_(model.encoder.tokens)
    widen(narrow, wide)
    states, pairs = torch.randn(6, 10), _pairs()
    optimiser = torch.optim.SGD([weight for name, weight in wide.named_parameters() if name != "encoder.tokens"], 0.1)
    for _ in range(2):
        optimiser.zero_grad()
        torch.stack([values.square().sum() for values in wide(states, *pairs)]).sum().backward()
        optimiser.step()
    learnt = wide.get_parameter("encoder.blocks.0.here.weight").grad
    assert learnt is not None
    assert learnt[:6, 6:].abs().sum() > 0
    assert learnt[6:].abs().sum() > 0
