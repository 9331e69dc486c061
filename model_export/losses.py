"""Voxel-weighted losses; the weight carries what the annotators trust."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

DICE_SMOOTHING = 1.0
"""Added to both sides of the ratio, so that a patch without foreground has a Dice."""


def cross_entropy(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Softmax cross entropy (paper, equation 1), averaged over the weight.

    Args:
        logits: float ``[batch, 2, z, y, x]``.
        target: int64 ``[batch, z, y, x]``, 0 or 1.
        weight: float ``[batch, z, y, x]``, 0 where the label is not to be used.

    Returns:
        A scalar; 0 where no voxel has weight.
    """
    per_voxel = functional.cross_entropy(logits, target, reduction="none")
    return (per_voxel * weight).sum() / weight.sum().clamp_min(1.0)


def soft_dice_loss(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """One minus the soft Dice of the foreground; arguments as in ``cross_entropy``."""
    probability = torch.softmax(logits, dim=1)[:, 1] * weight
    truth = target * weight
    overlap = (probability * truth).sum()
    return 1 - (2 * overlap + DICE_SMOOTHING) / (probability.sum() + truth.sum() + DICE_SMOOTHING)


def training_loss(logits: Tensor, target: Tensor, weight: Tensor, dice_weight: float) -> Tensor:
    """Cross entropy, plus a Dice term unless its weight is 0; arguments as in ``cross_entropy``."""
    loss = cross_entropy(logits, target, weight)
    if dice_weight > 0:
        loss = loss + dice_weight * soft_dice_loss(logits, target, weight)
    return loss
