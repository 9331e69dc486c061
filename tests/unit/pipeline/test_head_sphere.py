import numpy as np
import pytest

from service.domain.geometry import SpacingMm, VolumeGeometry
from service.pipeline.distance_field import DistanceField
from service.pipeline.head_sphere import head_candidates
from tests.builders.femur_shapes import (
    HEAD_RADIUS_MM,
    exact_field,
    femur,
    femur_grid,
    grid_points,
    shaft,
    sphere,
)

GRID = femur_grid(SpacingMm(1.5, 1.5, 1.5), bottom_mm=-110.0)


def candidates(distance: np.ndarray, grid: VolumeGeometry = GRID) -> tuple:
    field = exact_field(distance, grid)
    return tuple(head_candidates(field, field.surface()))


def test_the_head_is_fitted_and_comes_first() -> None:
    head = candidates(femur(grid_points(GRID)))[0]
    assert head.centre_mm == pytest.approx((0, 0, 0), abs=0.1)
    assert head.radius_mm == pytest.approx(HEAD_RADIUS_MM, abs=0.1)
    assert head.cap_coverage > 0.95
    assert head.residual_mm < 0.2


def test_a_dent_does_not_move_the_sphere() -> None:
    points = grid_points(GRID)
    # the fovea: a hollow of 6 mm radius on the medial surface
    dent = sphere(points, (-22, 0, 0), 6.0)
    head = candidates(np.minimum(femur(points), -dent))[0]
    assert head.centre_mm == pytest.approx((0, 0, 0), abs=0.2)
    assert head.radius_mm == pytest.approx(HEAD_RADIUS_MM, abs=0.2)


@pytest.mark.parametrize("radius", [14.0, 36.0])
def test_a_sphere_out_of_range_is_no_head(radius: float) -> None:
    grid = VolumeGeometry.axis_aligned((70, 70, 70), SpacingMm(1.5, 1.5, 1.5), (-50, -50, -70))
    points = grid_points(grid)
    tail = np.minimum(shaft(points - np.array([-30.0, 0, 0])), 1.0)
    assert candidates(np.maximum(sphere(points, (0, 0, -15), radius), tail), grid) == ()


def test_a_shaft_has_none() -> None:
    assert candidates(shaft(grid_points(GRID))) == ()


def test_no_bone_has_none() -> None:
    empty = DistanceField(np.full(GRID.shape_zyx, -1.0, dtype=np.float32), GRID)
    assert tuple(head_candidates(empty, empty.surface())) == ()
