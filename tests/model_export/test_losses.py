import math

import pytest
import torch

from model_export.losses import cross_entropy, soft_dice_loss, training_loss

# One row of two voxels; the first is foreground. Logits give foreground probabilities 3/4 and 1/2.
LOGITS = torch.log(torch.tensor([[1.0, 1.0], [3.0, 1.0]])).reshape(1, 2, 1, 1, 2)
TARGET = torch.tensor([1, 0]).reshape(1, 1, 1, 2)
BOTH = torch.ones(1, 1, 1, 2)
FIRST = torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2)


def test_cross_entropy_is_the_mean_of_minus_log_of_the_truth_s_probability():
    expected = (-math.log(3 / 4) - math.log(1 / 2)) / 2
    assert cross_entropy(LOGITS, TARGET, BOTH).item() == pytest.approx(expected)


def test_voxels_without_weight_do_not_count():
    assert cross_entropy(LOGITS, TARGET, FIRST).item() == pytest.approx(-math.log(3 / 4))


def test_a_patch_without_any_weight_costs_nothing():
    nothing = torch.zeros_like(BOTH)
    assert cross_entropy(LOGITS, TARGET, nothing).item() == 0.0
    assert soft_dice_loss(LOGITS, TARGET, nothing).item() == 0.0


def test_soft_dice_is_smoothed_by_one():
    # overlap 3/4; sums 5/4 and 1: 1 - (3/2 + 1) / (9/4 + 1)
    assert soft_dice_loss(LOGITS, TARGET, BOTH).item() == pytest.approx(1 - 2.5 / 3.25)


def test_the_dice_term_is_added_by_its_weight():
    entropy = cross_entropy(LOGITS, TARGET, BOTH).item()
    overlap = soft_dice_loss(LOGITS, TARGET, BOTH).item()
    assert training_loss(LOGITS, TARGET, BOTH, 0.0).item() == pytest.approx(entropy)
    assert training_loss(LOGITS, TARGET, BOTH, 2.0).item() == pytest.approx(entropy + 2 * overlap)
