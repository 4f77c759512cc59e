"""The similarity head apart from the encoder, in a file of its own: it can be trained while the tables stay.

    embedding = unit(((state - mean) * inverse) @ weight.T + bias)

Letters: B sentences, D state size, m similarity width.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from training.data.atomic import make_folder, replace_bytes
from training.student.heads import SimilarityHead
from training.student.model import CheckpointError

FILE = "similarity_head.safetensors"
LARGEST = 127  # of int8


class Projection(NamedTuple):
    """``weight`` [m, D] and ``bias`` [m] of standardised states; ``mean`` and ``inverse`` deviation [D], float32."""

    weight: Tensor
    bias: Tensor
    mean: Tensor
    inverse: Tensor

    def head(self) -> SimilarityHead:
        """The head that takes standardised states [B, D] and gives unit embeddings [B, m]."""
        width, states = self.weight.shape
        head = SimilarityHead(states, width)
        head.projection = nn.Linear(states, width)
        head.projection.load_state_dict({"weight": self.weight, "bias": self.bias})
        return head

    def standardise(self, states: Tensor) -> Tensor:
        """``states`` [B, D] with mean 0 and deviation 1 over the training text."""
        return (states - self.mean) * self.inverse


@dataclass(frozen=True)
class RoundedStates:
    """Standardised states as the served head takes them: int8 ``numbers`` [B, D], and what one is worth, [B, 1]."""

    numbers: Tensor
    steps: Tensor

    @staticmethod
    def of(standardised: Tensor) -> RoundedStates:
        """Each of ``standardised`` [B, D] rounded by its largest number."""
        largest = standardised.abs().amax(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
        steps = largest / LARGEST
        return RoundedStates((standardised / steps).round().to(torch.int8), steps)

    @staticmethod
    def joined(parts: list[RoundedStates]) -> RoundedStates:
        """The states of all ``parts``, of which there is one at least."""
        return RoundedStates(torch.cat([part.numbers for part in parts]), torch.cat([part.steps for part in parts]))

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: Tensor) -> Tensor:
        """The states ``rows`` int64 [R], float32 [R, D]."""
        return self.numbers[rows].float() * self.steps[rows]


def save_projection(projection: Projection, folder: Path) -> None:
    """Write ``similarity_head.safetensors`` into ``folder``."""
    make_folder(folder)
    replace_bytes(folder / FILE, save({name: values.contiguous() for name, values in projection._asdict().items()}))


def load_projection(folder: Path) -> Projection:
    """The projection saved in ``folder``; ``CheckpointError`` where there is none, or its parts do not fit."""
    path = folder / FILE
    try:
        found = load_file(path)
        projection = Projection(**found)
    except (OSError, TypeError, SafetensorError) as error:
        raise CheckpointError(f"{path}: expected a head that training.similarity_head wrote: {error}") from error
    shapes = {name: list(values.shape) for name, values in found.items()}
    width, states = len(projection.bias), len(projection.mean)
    if shapes != {"weight": [width, states], "bias": [width], "mean": [states], "inverse": [states]}:
        raise CheckpointError(f"{path}: expected a weight [m, D], bias [m], mean [D] and inverse [D], found {shapes}")
    return projection
