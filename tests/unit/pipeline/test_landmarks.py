import numpy as np
import pytest

from service.domain.geometry import FloatArray, SpacingMm, VolumeGeometry
from service.pipeline.distance_field import DistanceField
from service.pipeline.head_sphere import head_candidates
from service.pipeline.landmarks import MIN_CAP_SEEN, find_landmarks
from service.pipeline.neck import NeckOutcome
from tests.builders.femur_shapes import (
    LESSER_TROCHANTER,
    SHAFT_RADIUS_MM,
    SHAFT_X_MM,
    exact_field,
    femur,
    grid_points,
    sphere,
)

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


def trumpet(points: FloatArray, bow_mm: float) -> FloatArray:
    """A shaft that widens above -75 mm and bows backward below -75 mm, by ``bow_mm`` at -225 mm."""
    z = points[..., 2]
    radius = SHAFT_RADIUS_MM + 0.3 * np.maximum(z + 75.0, 0.0)
    backward = bow_mm * (np.minimum(z + 75.0, 0.0) / 150.0) ** 2
    return radius - np.hypot(points[..., 0] - SHAFT_X_MM, points[..., 1] - backward)


def headless_grid(*, posterior_mm: float = 60.0, top_mm: float = -20.0) -> VolumeGeometry:
    """From -225 mm up; the field of view ends behind the bone, or in it."""
    shape = (int((top_mm + 225) / 1.5) + 1, int((posterior_mm + 42) / 1.5) + 1, 64)
    return VolumeGeometry.axis_aligned(shape, SPACING, (0.0, -42.0, -225.0))


LESSER = (SHAFT_X_MM - 15 / np.sqrt(2), 15 / np.sqrt(2), -68.0)


def test_without_a_head_the_lesser_trochanter_of_a_bowed_shaft_is_found() -> None:
    grid = headless_grid()
    points = grid_points(grid)
    bone = np.maximum(trumpet(points, bow_mm=30.0), sphere(points, LESSER, 8.0))
    landmarks = find_landmarks(exact_field(bone, grid))
    assert landmarks.head is None
    assert landmarks.shaft is not None
    found = landmarks.shaft.lesser_trochanter.point_mm
    assert found == pytest.approx(tuple(LESSER_TROCHANTER), abs=2.0)


def test_without_a_head_a_piece_of_neck_above_is_passed_over() -> None:
    grid = headless_grid(posterior_mm=21.0)
    points = grid_points(grid)
    # farther off the axis than the lesser trochanter, and cut by the field of view
    piece = np.minimum(
        8.0 - np.hypot(points[..., 0] - 30.0, points[..., 1] - 18.0),
        15.0 - np.abs(points[..., 2] + 40.0),
    )
    parts = [trumpet(points, bow_mm=0.0), sphere(points, LESSER, 8.0), piece]
    landmarks = find_landmarks(exact_field(np.maximum.reduce(parts), grid))
    assert landmarks.shaft is not None
    found = landmarks.shaft.lesser_trochanter.point_mm
    assert found == pytest.approx(tuple(LESSER_TROCHANTER), abs=2.0)


@pytest.mark.parametrize("bow_mm", [0.0, 30.0])
def test_a_shaft_that_ends_below_the_trochanters_has_none(bow_mm: float) -> None:
    grid = headless_grid(top_mm=-76.0)
    landmarks = find_landmarks(exact_field(trumpet(grid_points(grid), bow_mm), grid))
    assert landmarks.head is None
    assert landmarks.shaft is None


def test_a_bump_above_an_uneven_piece_of_bone_is_no_lesser_trochanter() -> None:
    grid = headless_grid()
    points = grid_points(grid)
    whole = np.maximum(trumpet(points, bow_mm=0.0), sphere(points, LESSER, 8.0))
    # as the masked part of a condyle: a waist of 0.55 x 0.55 = 0.3 of the area, 20 mm below
    waisted = np.where(np.abs(points[..., 2] + 88.0) < 4.0, whole - 0.45 * SHAFT_RADIUS_MM, whole)
    assert find_landmarks(exact_field(whole, grid)).shaft is not None
    assert find_landmarks(exact_field(waisted, grid)).shaft is None


def test_a_bump_far_below_the_top_of_a_headless_bone_is_no_lesser_trochanter() -> None:
    grid = headless_grid(top_mm=90.0)
    points = grid_points(grid)
    thin_above = SHAFT_RADIUS_MM - np.hypot(points[..., 0] - SHAFT_X_MM, points[..., 1])
    parts = [
        np.where(points[..., 2] < -20.0, trumpet(points, bow_mm=0.0), thin_above),
        sphere(points, LESSER, 8.0),
    ]
    assert find_landmarks(exact_field(np.maximum.reduce(parts), grid)).shaft is None
