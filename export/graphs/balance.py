"""How the features of the heads are balanced before they are rounded to int8.

A product of two standardised states may be a hundred times what other features are, and one step of int8 with it. Each
feature is divided by the square root of the most that it comes to in general pairs (Xiao et al., "SmoothQuant", ICML
2023, with an exponent of one half).

Letter: F features of a head.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from cmow.service.text.tokenizer import Tokenizer
from training.adapt.features import PairFeatures, read_pairs
from training.adapt.general import general_pairs
from training.bundle.scorer import Scorer
from training.pairs.pairset import PairSet
from training.student.pair_encoder import entailment_features, same_features

PAIRS, BLOCK = 600, 100
LEAST = 1e-2  # of a feature's largest number: what is next to nothing everywhere is not blown up


@torch.no_grad()
def balance_heads(scorer: Scorer, tokenizer: Tokenizer) -> None:
    """Set the balances of ``scorer``."""
    pairs = PairSet.of(general_pairs(PAIRS, seed=0), tokenizer)
    read = read_pairs(pairs, scorer.encoder, scorer.pairs, "balancing")
    features = PairFeatures(pairs, read["states"], read["read"], scorer.pairs)
    scorer.balance(*(largest.clamp_min(LEAST).rsqrt() for largest in _largest(features)))


def _largest(features: PairFeatures) -> Iterator[Tensor]:
    """The largest magnitude [F] of each feature of the entailment head, and of that of the others."""
    blocks = np.split(np.arange(len(features)), range(BLOCK, len(features), BLOCK))
    for of in (entailment_features, same_features):
        yield torch.stack([of(*features.batch(rows)).abs().amax(dim=0) for rows in blocks]).amax(dim=0)
