import math

import numpy as np
import pytest

from model_export.metrics import dice, mean_surface_distance_mm
from service.domain.geometry import SpacingMm


def _slab(first: int, last: int) -> np.ndarray:
    """Slices first..last of a 9 x 4 x 4 grid, whole."""
    mask = np.zeros((9, 4, 4), dtype=bool)
    mask[first : last + 1] = True
    return mask


def test_dice_is_twice_the_overlap_over_the_sum_of_both():
    # 2 * 2 slices shared / (3 + 3 slices)
    assert dice(_slab(1, 3), _slab(2, 4)) == pytest.approx(2 / 3)


def test_dice_of_two_empty_masks_is_one():
    empty = np.zeros((2, 2, 2), dtype=bool)
    assert dice(empty, empty) == 1.0


def test_dice_of_masks_that_do_not_touch_is_zero():
    assert dice(_slab(0, 1), _slab(5, 6)) == 0.0


def test_surface_distance_of_equal_masks_is_zero():
    assert mean_surface_distance_mm(_slab(1, 3), _slab(1, 3), SpacingMm(1, 1, 1)) == 0.0


def test_surface_distance_between_two_voxels_is_their_distance_in_mm():
    a, b = np.zeros((2, 9, 9, 9), dtype=bool)
    a[2, 2, 2] = True
    b[2, 5, 6] = True  # 3 rows of 1 mm and 4 columns of 2 mm apart: sqrt(9 + 64)
    expected = math.sqrt(73)
    assert mean_surface_distance_mm(a, b, SpacingMm(3, 1, 2)) == pytest.approx(expected)


def test_surface_distance_averages_over_the_voxels_of_both_surfaces():
    a, b = np.zeros((2, 5, 5, 5), dtype=bool)
    a[2, 2, 2] = True
    b[2, 2, 2] = b[2, 2, 3] = True
    # from a: 0; from b: 0 and 1 mm; three surface voxels in all
    assert mean_surface_distance_mm(a, b, SpacingMm(1, 1, 1)) == pytest.approx(1 / 3)


def test_surface_distance_to_an_empty_mask_is_infinite():
    empty = np.zeros((9, 4, 4), dtype=bool)
    assert mean_surface_distance_mm(_slab(1, 3), empty, SpacingMm(1, 1, 1)) == math.inf
    assert mean_surface_distance_mm(empty, empty, SpacingMm(1, 1, 1)) == 0.0
