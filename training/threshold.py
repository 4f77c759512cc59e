"""The cosine from which two sentences count as paraphrases, fitted on the paraphrase training splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from service.tokenizer import Tokenizer
from training.data import PARAPHRASE_LABELS, read_pairs, split_files
from training.packing import batch, tokenize
from training.student import Student


def best_threshold(
    cosine: NDArray[np.floating[Any]], positive: NDArray[np.bool_], weight: NDArray[np.float64]
) -> float:
    """The cut of ``cosine`` [P] with the most ``weight`` [P] on its right side: above iff ``positive``."""
    order = np.argsort(cosine)
    signed = np.where(positive, weight, -weight)[order]
    # Cutting below rank k calls the first k negative: k = 0 gets all positives right, each further one gains or loses.
    gain = np.concatenate([[0.0], -np.cumsum(signed)])
    padded = np.concatenate([[-1.0], cosine[order], [1.0]])
    cut = int(gain.argmax())
    return float((padded[cut] + padded[cut + 1]) / 2)


@torch.no_grad()
def fit_threshold(student: Student, data: Path, tokenizer: Tokenizer) -> float:
    """The best threshold where both classes and all training files weigh the same, whatever their shares."""
    cosines, positives, weights = [], [], []
    for path in split_files(data, "train", ("paraphrase",)):
        pairs = read_pairs(path, PARAPHRASE_LABELS)
        sentences = tokenize(tokenizer, [text for pair in pairs for text in (pair.sentence1, pair.sentence2)])
        blocks = np.array_split(np.arange(len(sentences)), len(sentences) // 4096 + 1)
        joined = torch.cat([student.embed(*batch(sentences, rows)) for rows in blocks])
        positive = np.array([pair.label == PARAPHRASE_LABELS[1] for pair in pairs])
        cosines.append((joined[0::2] * joined[1::2]).sum(dim=1).numpy())
        positives.append(positive)
        weights.append(np.where(positive, 1 / positive.sum(), 1 / (~positive).sum()))
    return best_threshold(np.concatenate(cosines), np.concatenate(positives), np.concatenate(weights))
