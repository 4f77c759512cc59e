"""Pair encoder and heads as one model, as a run leaves it and as export takes it.

Letters: P pairs, D state size, V vocabulary, w width of the pair encoder.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from training.data.atomic import make_folder, replace_bytes
from training.student.heads import Standardise
from training.student.model import CheckpointError
from training.student.pair_encoder import PairEncoder, PairHeads

WEIGHTS = "pair_heads.safetensors"


@dataclass(frozen=True)
class PairConfig:
    """Sizes of the pair encoder and its heads."""

    vocab_size: int = 30_522
    embedding_dim: int = 1200  # D
    width: int = 128  # w
    blocks: int = 2
    key_dim: int = 64
    places: int = 64  # of a token in its sentence that are told apart
    hidden_dim: int = 320  # of the entailment head; that of the other two is half as wide
    dropout: float = 0.1  # of the hidden units


class PairModel(nn.Module):
    """Entailment, paraphrase and relatedness of pairs of sentences, whose states come from elsewhere."""

    def __init__(self, config: PairConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = PairEncoder(
            torch.zeros(config.vocab_size, config.width), config.blocks, config.key_dim, config.places
        )
        self.heads = PairHeads(config.embedding_dim, config.width, config.hidden_dim, config.dropout)
        # States come before the heads standardised: their parts differ in scale.
        self.standardise = Standardise(torch.zeros(config.embedding_dim), torch.ones(config.embedding_dim))

    def forward(
        self, states: Tensor, token_ids: Tensor, cu_seqlens: Tensor, pairs: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of entailment [P, 3], of paraphrase [P] and of relatedness [P], as trained.

        ``states`` [2 P, D] are those of the first and the second sentence of each pair in turn; ``token_ids`` [N],
        ``cu_seqlens`` [B+1] and ``pairs`` [P, 2] as in ``PairEncoder``.
        """
        u, v = self.standardise(states).view(-1, 2, states.shape[1]).unbind(dim=1)
        logits: tuple[Tensor, Tensor, Tensor] = self.heads(u, v, self.encoder(token_ids, cu_seqlens, pairs))
        return logits


def save_pair_model(model: PairModel, folder: Path) -> None:
    """Write ``model`` into ``folder``, as float16, with its sizes in the file's metadata."""
    make_folder(folder)
    weights = {name: values.half().contiguous() for name, values in model.state_dict().items()}
    replace_bytes(folder / WEIGHTS, save(weights, {"config": json.dumps(asdict(model.config))}))


def load_pair_model(folder: Path) -> PairModel:
    """The model that ``save_pair_model`` wrote; ``CheckpointError`` where ``folder`` holds none."""
    path = folder / WEIGHTS
    try:
        with safe_open(path, "pt") as file:
            model = PairModel(PairConfig(**json.loads(file.metadata()["config"])))
        model.load_state_dict(load_file(path))
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        message = " ".join(str(error).split())  # a line for each weight otherwise
        raise CheckpointError(f"{path}: expected a pair model that training.pair_heads wrote: {message}") from error
    return model
