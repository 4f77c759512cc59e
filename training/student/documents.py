"""Long documents made of sentences, so that the student's products keep their meaning far beyond one sentence.

A product of many matrices comes down to one direction, whose sign is chance: a projection that has only seen sentences
follows it. Documents teach it to rely on the mean of vectors there.

Letters: B sentences, G documents, m similarity width.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from cmow.service.text.tokenizer import PackedTokens
from training.options import SHORTEST_DOCUMENT
from training.student.packing import PackedBatch, batch

TOPICS = 10  # distinct sentences of a document at most


def make_documents(
    sentences: PackedTokens, targets: NDArray[np.float16], count: int, longest: int, random: np.random.Generator
) -> tuple[PackedBatch, Tensor]:
    """``count`` documents of 100 to ``longest`` tokens and their targets float32 [G, m], of unit length.

    Each repeats a few of ``sentences`` in random order; its target is the mean of their ``targets`` [B, m].
    """
    drawn = [draw(sentences, longest, random) for _ in range(count)]
    token_ids, cu_seqlens = batch(sentences, np.concatenate(drawn))
    ends = np.cumsum([len(rows) for rows in drawn])
    packed = token_ids, torch.cat([cu_seqlens[:1], cu_seqlens[ends]])
    means = np.stack([targets[rows].astype(np.float32).mean(axis=0) for rows in drawn])
    return packed, F.normalize(torch.from_numpy(means), dim=1)


def draw(sentences: PackedTokens, longest: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Rows of the sentences of one document, about as long as a length drawn on a logarithmic scale."""
    tokens = math.exp(random.uniform(math.log(SHORTEST_DOCUMENT), math.log(longest)))
    topics = random.integers(0, len(sentences), random.integers(1, TOPICS + 1))
    mean = max(1.0, float(sentences.lengths[topics].mean()))
    return topics[random.integers(0, len(topics), max(1, round(tokens / mean)))]
