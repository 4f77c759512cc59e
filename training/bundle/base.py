"""What pair models stand upon: encoder, tokenizer and similarity head, of a student's run or back from a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import nn

from cmow.service.model.bundle import MANIFEST, TOKENIZER, load_bundle
from training.bundle.from_bundle import encoder_from, read_projection
from training.bundle.projection import Projection
from training.data.recipe import Recipe
from training.student.heads import Standardise
from training.student.model import HybridEncoder, Student, load_student


@dataclass(frozen=True)
class Base:
    """The encoder, the file of its tokenizer, and how they came to be."""

    encoder: HybridEncoder
    tokenizer: Path
    recipe: Recipe


def load_base(path: Path) -> Base:
    """Of a bundle or a student's run; raises ``BundleError`` or ``CheckpointError``."""
    if not (path / MANIFEST).exists():
        return Base(load_student(path).encoder, path / TOKENIZER, Recipe.read(path))
    bundle = load_bundle(path)
    known = bundle.manifest.training
    recipe = Recipe(commands=known.recipe, sources=known.sources)
    return Base(encoder_from(bundle), bundle.tokenizer_path, recipe)


def load_base_projection(path: Path) -> Projection:
    """What projects the states of a bundle or a student's run to embeddings; raises as ``load_base`` does."""
    return read_projection(load_bundle(path)) if (path / MANIFEST).exists() else _folded(load_student(path))


@torch.no_grad()
def _folded(student: Student) -> Projection:
    """A student's projection takes states as they are; this one takes them standardised as for its paraphrase head."""
    standardise = Standardise.of(cast(nn.BatchNorm1d, student.paraphrase_head.standardise))
    linear = cast(nn.Linear, student.similarity_head.projection)
    weight, mean = linear.weight.double(), standardise.mean.double()
    folded = (weight / standardise.inverse.double()).float(), (linear.bias.double() + weight @ mean).float()
    return Projection(*folded, standardise.mean, standardise.inverse)
