"""How related two texts are, on the scale of people who were asked, from two answers of one run of the model.

    relatedness = intercept + cosine * c + head * h, within 0 and 1

``c`` is the cosine and ``h`` what the relatedness head says, from 0 to 1: the same for both orders of a pair. The
manifest has the weights, which `training.calibration` fits. A cosine takes a sentence for close to its negation; the
head has read both sentences beside each other.

Letter: P pairs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmow.service.model.bundle import Relatedness

Floats = NDArray[np.float32]


def relatedness(weights: Relatedness, evidence: Floats) -> Floats:
    """Relatedness float32 [P], from 0 to 1; the columns of ``evidence`` [P, 2] are the cosine and the head's answer."""
    by = np.array([weights.cosine, weights.head], np.float32)
    score: Floats = np.float32(weights.intercept) + (evidence * by).sum(axis=1)
    return score.clip(0, 1)
