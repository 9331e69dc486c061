"""Dice and surface distance over trusted voxels, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from service.domain.geometry import SpacingMm
from tests.benchmarks.agreement import agreement

SPACING = SpacingMm(2.0, 1.0, 1.0)


def cube(x_start: int) -> np.ndarray:
    """4 x 4 x 4 voxels in 12 x 12 x 12."""
    mask = np.zeros((12, 12, 12), dtype=bool)
    mask[4:8, 4:8, x_start : x_start + 4] = True
    return mask


EVERYWHERE = np.ones((12, 12, 12), dtype=bool)


def test_equal_masks_agree_fully() -> None:
    assert agreement(cube(4), cube(4), EVERYWHERE, SPACING) == (1.0, 0.0)


def test_a_cube_moved_by_one_of_four_voxels_has_dice_three_quarters() -> None:
    result = agreement(cube(4), cube(5), EVERYWHERE, SPACING)
    assert result.dice == pytest.approx(0.75)
    # No surface voxel is further than 1 mm (a step in x) from the other surface.
    assert 0 < result.mean_surface_distance_mm < 1


def test_voxels_without_trust_count_neither_way() -> None:
    trusted = EVERYWHERE.copy()
    trusted[:, :, :5] = False
    trusted[:, :, 8:] = False
    result = agreement(cube(4), cube(5), trusted, SPACING)
    assert result.dice == 1.0


def test_the_edge_of_trust_is_no_surface() -> None:
    """Only the wrong end is trusted: its 16 voxels and the sides next to it, 1 mm off."""
    trusted = np.zeros_like(EVERYWHERE)
    trusted[:, :, 8] = True
    found, reference = cube(4), cube(5)
    assert agreement(found, reference, trusted, SPACING).mean_surface_distance_mm == 1.0


def test_two_empty_masks_agree_and_one_empty_mask_does_not() -> None:
    empty = np.zeros_like(EVERYWHERE)
    assert agreement(empty, empty, EVERYWHERE, SPACING) == (1.0, 0.0)
    assert agreement(cube(4), empty, EVERYWHERE, SPACING) == (0.0, float("inf"))


def test_where_nothing_is_trusted_nothing_can_be_said() -> None:
    result = agreement(cube(4), cube(5), ~EVERYWHERE, SPACING)
    assert result == pytest.approx((float("nan"), float("nan")), nan_ok=True)
