"""Losses of pairs and sentences, for the student and its pair teacher.

Letters: B sentences, m similarity width, P pairs.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def distill_loss(student: Tensor, teacher: Tensor, pair_weight: float) -> tuple[Tensor, Tensor, Tensor]:
    """(loss, cosine part, in-batch part) of unit-length embeddings [B, m] of student and teacher."""
    cosine = 1 - (student * teacher).sum(dim=1).mean()
    error = student @ student.T - teacher @ teacher.T  # [B, B], zero on the diagonal
    pairs = error.square().sum() / (len(error) * (len(error) - 1))
    return cosine + pair_weight * pairs, cosine, pairs


def entailment_losses(logits: Tensor, accepted: Tensor) -> Tensor:
    """Negative log probability [P] of the accepted labels, bool [P, 3]; 0 where none is accepted."""
    log_probabilities = logits.log_softmax(dim=1)
    none = ~accepted.any(dim=1, keepdim=True)
    return -log_probabilities.masked_fill(~(accepted | none), -torch.inf).logsumexp(dim=1)


def soft_losses(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Cross-entropy [P] against the teacher's logits [P, C], both at ``temperature``, times its square.

    0 where the teacher's are NaN. Hinton et al., "Distilling the Knowledge in a Neural Network" (2015), section 2.
    """
    target = (teacher / temperature).softmax(dim=1).nan_to_num()
    return -(target * (logits / temperature).log_softmax(dim=1)).sum(dim=1) * temperature**2


def binary_losses(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy [P] of ``logits`` against probabilities or labels ``target``; of no use where it is NaN."""
    return F.binary_cross_entropy_with_logits(logits, target.nan_to_num(), reduction="none")


def mixed(hard: Tensor, soft: Tensor, hard_known: Tensor, soft_known: Tensor, hard_weight: float) -> Tensor:
    """Mean [scalar] over the P pairs of which something is known of ``hard`` and ``soft`` losses [P].

    Where both are known, ``hard_weight`` and its rest weigh them; where one is known, it counts alone.
    """
    weight = torch.where(soft_known, torch.where(hard_known, hard_weight, 0.0), 1.0)
    known = hard_known | soft_known
    losses = torch.where(known, weight * hard + (1 - weight) * soft, 0.0)
    return losses.sum() / known.sum().clamp(min=1)


def correlation_loss(cosine: Tensor, scores: Tensor) -> Tensor:
    """One minus Pearson's correlation [scalar] of ``cosine`` and ``scores`` [P], where the scores are not NaN."""
    known = ~scores.isnan()
    if int(known.sum()) < 2:
        return cosine.sum() * 0.0
    centred = [values[known] - values[known].mean() for values in (cosine, scores)]
    return 1 - F.cosine_similarity(centred[0], centred[1], dim=0)
