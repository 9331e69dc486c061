import numpy as np
import pytest

from service.domain.geometry import SpacingMm, VolumeGeometry
from service.domain.imaging import FemurRegion
from service.pipeline.greater_trochanter import find_greater_trochanter
from service.pipeline.shaft import Line

UP = Line(np.array([100.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0]))
GRID = VolumeGeometry.axis_aligned((20, 15, 15), SpacingMm(1, 1, 1), (0.0, 0.0, 0.0))


def trochanter(*boxes: tuple[slice, slice, slice]) -> np.ndarray:
    labels = np.zeros(GRID.shape_zyx, np.uint8)
    for box in boxes:
        labels[box] = FemurRegion.TROCHANTER
    return labels


BODY = (slice(0, 6), slice(2, 13), slice(2, 13))


def test_the_tip_lies_over_the_middle_of_the_highest_bone() -> None:
    horn = (slice(0, 11), slice(4, 7), slice(8, 11))
    found = find_greater_trochanter(trochanter(BODY, horn), GRID, UP)
    assert found is not None
    assert found.point_mm == pytest.approx((9, 5, 10))
    # of nine voxels one is in the middle, four are 1 and four sqrt 2 mm away
    assert found.fit.residual_mm == pytest.approx(np.sqrt(12 / 9))
    assert found.fit.quality == 1.0


def test_a_second_peak_as_high_as_the_first_lowers_the_quality() -> None:
    one, other = ((slice(0, 15), slice(4, 7), slice(start, start + 3)) for start in (2, 10))
    found = find_greater_trochanter(trochanter(BODY, one, other), GRID, UP)
    assert found is not None
    assert found.fit.quality == pytest.approx(0.5)


def test_a_region_that_was_not_bounded_has_no_tip() -> None:
    assert find_greater_trochanter(trochanter(), GRID, UP) is None
