"""The student as it is served: one encoder, and heads for similarity, entailment, paraphrase and relatedness."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from training.bundle.projection import Projection
from training.student.heads import Standardise
from training.student.model import HybridEncoder, StudentConfig
from training.student.pair_model import PairConfig, PairModel


@dataclass(frozen=True)
class Calibration:
    """What is fitted on the exported model: what its logits are divided by, multiplied with, and moved by."""

    entailment_temperature: float = 1.0
    paraphrase_scale: float = 1.0
    paraphrase_shift: float = 0.0
    paraphrase_threshold: float = 0.5  # a cosine


class Scorer(nn.Module):
    """Encoder, similarity head and pair model, and what was fitted once they were trained."""

    def __init__(self, encoder: HybridEncoder, projection: Projection, pairs: PairModel) -> None:
        super().__init__()
        self.encoder, self.pairs = encoder, pairs
        # Its linear layer takes what is standardised before it.
        self.standardise, self.similarity = Standardise(projection.mean, projection.inverse), projection.head()
        self.calibrate(Calibration())
        heads = (pairs.heads.entailment, pairs.heads.same)
        self.balance(*(torch.ones(cast(nn.Linear, head[0]).in_features) for head in heads))

    def calibrate(self, known: Calibration) -> None:
        """Take over what is ``known``."""
        self.calibration = known
        self.entailment_temperature = nn.Buffer(torch.tensor(known.entailment_temperature))
        self.paraphrase_scale = nn.Buffer(torch.tensor(known.paraphrase_scale))
        self.paraphrase_shift = nn.Buffer(torch.tensor(known.paraphrase_shift))

    def balance(self, entailment: Tensor, same: Tensor) -> None:
        """What the features of the two heads are multiplied with before they are rounded, [F] each."""
        self.entailment_balance, self.same_balance = nn.Buffer(entailment), nn.Buffer(same)

    @property
    def sizes(self) -> dict[str, Any]:
        """The numbers from which ``empty`` makes a scorer of the same shape."""
        tables = self.encoder.vectors.shape[1], self.encoder.forward_deltas.shape[1]
        similarity_dim = cast(nn.Linear, self.similarity.projection).out_features
        own = {"vector_dim": tables[0], "matrix_dim": tables[1], "similarity_dim": similarity_dim}
        return own | asdict(self.pairs.config)

    @staticmethod
    def empty(sizes: dict[str, Any]) -> Scorer:
        """One with weights of no meaning, to read others into."""
        own = {name: sizes[name] for name in ("vector_dim", "matrix_dim", "similarity_dim")}
        pairs = PairConfig(**{name: value for name, value in sizes.items() if name not in own})
        config = StudentConfig(vocab_size=pairs.vocab_size, **own)
        weight = torch.zeros(own["similarity_dim"], pairs.embedding_dim)
        projection = Projection(weight, weight[:, 0], mean=weight[0], inverse=weight[0] + 1)
        return Scorer(HybridEncoder(config), projection, PairModel(pairs))
