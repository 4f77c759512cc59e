"""A pair model on disk: what is written comes back, and what is not one is named."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from training.student.model import CheckpointError
from training.student.pair_model import WEIGHTS, PairConfig, PairModel, load_pair_model, save_pair_model

CONFIG = PairConfig(vocab_size=11, embedding_dim=6, width=8, key_dim=4, places=3, hidden_dim=8)


def test_a_model_comes_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = PairModel(CONFIG)
    save_pair_model(model, tmp_path)
    back = load_pair_model(tmp_path)
    assert back.config == CONFIG
    for name, values in model.state_dict().items():
        assert torch.equal(back.state_dict()[name], values.half().float()), name


def test_states_are_standardised_before_the_heads() -> None:
    torch.manual_seed(0)
    model = PairModel(CONFIG).eval()
    tokens = torch.arange(5), torch.tensor([0, 2, 5]), torch.tensor([[0, 1]])
    states = torch.randn(2, CONFIG.embedding_dim)
    expected = model(states, *tokens)
    model.standardise.mean += 3.0
    model.standardise.inverse *= 0.5
    for found, wanted in zip(model(2 * states + 3, *tokens), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_what_is_no_pair_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"expected a pair model that training\.pair_heads wrote"):
        load_pair_model(tmp_path)
    (tmp_path / WEIGHTS).write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="expected a pair model"):
        load_pair_model(tmp_path)
    save_file({"encoder.tokens": torch.zeros(2, 2)}, tmp_path / WEIGHTS, {"config": '{"width": 8}'})
    with pytest.raises(CheckpointError, match="expected a pair model"):
        load_pair_model(tmp_path)
    save_file({"encoder.tokens": torch.zeros(2, 2)}, tmp_path / WEIGHTS)
    with pytest.raises(CheckpointError, match="expected a pair model"):
        load_pair_model(tmp_path)
