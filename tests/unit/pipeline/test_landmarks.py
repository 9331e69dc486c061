import numpy as np
import pytest

from service.domain.geometry import SpacingMm, VolumeGeometry
from service.pipeline.distance_field import DistanceField
from service.pipeline.head_sphere import head_candidates
from service.pipeline.landmarks import MIN_CAP_SEEN, find_landmarks
from service.pipeline.neck import NeckOutcome
from tests.builders.femur_shapes import exact_field, femur, grid_points

SPACING = SpacingMm(1.5, 1.5, 1.5)


def seen(*, top_mm: float, lateral_mm: float) -> DistanceField:
    """What a scan shows of a femur below and medial of two planes, from z = -60 mm on."""
    shape = (int((top_mm + 60) / 1.5) + 1, 56, int((lateral_mm + 32) / 1.5) + 1)
    grid = VolumeGeometry.axis_aligned(shape, SPACING, (-32.0, -42.0, -60.0))
    return exact_field(femur(grid_points(grid)), grid)


def test_a_whole_femur_has_head_and_neck() -> None:
    landmarks = find_landmarks(seen(top_mm=30.0, lateral_mm=94.0))
    assert landmarks.head is not None
    assert landmarks.head.centre_mm == pytest.approx((0, 0, 0), abs=0.3)
    assert landmarks.head.cap_seen > 0.95
    assert landmarks.neck is not None
    assert landmarks.neck.found


def test_a_whole_head_counts_where_the_scan_cuts_the_neck() -> None:
    landmarks = find_landmarks(seen(top_mm=30.0, lateral_mm=18.0))
    assert landmarks.head is not None
    assert landmarks.neck is not None
    assert landmarks.neck.outcome is NeckOutcome.OUT_OF_VIEW


def test_the_rim_of_a_sphere_without_a_neck_in_view_is_no_head() -> None:
    rim = seen(top_mm=-3.0, lateral_mm=18.0)
    (candidate, *_) = head_candidates(rim, rim.surface())
    assert candidate.cap_coverage > 0.8
    assert candidate.cap_seen < MIN_CAP_SEEN
    assert find_landmarks(rim).head is None


def test_the_rim_of_a_sphere_above_a_neck_is_a_head() -> None:
    landmarks = find_landmarks(seen(top_mm=2.0, lateral_mm=94.0))
    assert landmarks.head is not None
    assert landmarks.head.cap_seen == pytest.approx(0.5, abs=0.15)
    assert landmarks.neck is not None
    assert landmarks.neck.found


def test_no_bone_has_no_landmarks() -> None:
    grid = VolumeGeometry.axis_aligned((20, 20, 20), SPACING, (0.0, 0.0, 0.0))
    landmarks = find_landmarks(exact_field(np.full(grid.shape_zyx, -5.0), grid))
    assert landmarks.head is None
    assert landmarks.shaft is None
