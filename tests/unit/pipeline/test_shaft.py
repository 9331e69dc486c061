import numpy as np
import pytest

from service.domain.geometry import SpacingMm
from service.pipeline.distance_field import DistanceField
from service.pipeline.sections import unit
from service.pipeline.shaft import (
    Line,
    axial_centroids,
    fit_shaft,
    robust_line,
    shell_centroids,
)
from tests.builders.femur_shapes import (
    HEAD_RADIUS_MM,
    SHAFT_X_MM,
    exact_field,
    femur,
    femur_grid,
    grid_points,
    shaft,
)

UP = np.array([0.0, 0.0, 1.0])
AXIS = Line(np.array([SHAFT_X_MM, 0.0, 0.0]), UP)


def field(bottom_mm: float, *, whole: bool = False) -> DistanceField:
    grid = femur_grid(SpacingMm(1.5, 1.5, 1.5), bottom_mm=bottom_mm)
    points = grid_points(grid)
    return exact_field(femur(points) if whole else shaft(points), grid)


def test_a_line_leaves_outliers_out_and_points_up() -> None:
    heights = np.linspace(0, 50, 11)
    points = np.outer(heights, unit(np.array([0.1, 0.0, -1.0])))
    points[4] += (8.0, 0, 0)
    line = robust_line(points, UP)
    assert line.direction == pytest.approx(unit(np.array([-0.1, 0.0, 1.0])), abs=1e-6)


def test_heights_are_along_the_line() -> None:
    line = Line(np.array([1.0, 2.0, 3.0]), UP)
    assert line.height_mm(np.array([9.0, 9.0, 8.0])) == pytest.approx(5.0)
    assert line.at(5.0) == pytest.approx((1, 2, 8))


def test_the_axis_is_fitted_from_10_to_60_mm_below_the_lesser_trochanter() -> None:
    tilted = Line(AXIS.point_mm, unit(np.array([0.05, 0.05, 1.0])))
    fit = fit_shaft(field(-150.0), tilted, -50.0)
    assert fit.length_mm == 50.0
    assert fit.long_enough
    assert fit.line.direction == pytest.approx((0, 0, 1), abs=0.01)
    assert fit.line.point_mm[:2] == pytest.approx((SHAFT_X_MM, 0), abs=0.2)


def test_only_complete_sections_count() -> None:
    # the grid ends 38 mm below: sections at 10, 12.5 ... 37.5 mm
    fit = fit_shaft(field(-88.0), AXIS, -50.0)
    assert fit.length_mm == pytest.approx(27.5)
    # 12 of the 21 sections sought
    assert fit.fit is not None
    assert fit.fit.quality == pytest.approx(12 / 21)
    assert fit.fit.residual_mm == pytest.approx(0.0, abs=0.2)


def test_less_than_20_mm_is_too_short() -> None:
    assert not fit_shaft(field(-75.0), AXIS, -50.0).long_enough


def test_shells_about_the_head_follow_the_shaft() -> None:
    centroids = shell_centroids(field(-150.0, whole=True), np.zeros(3), HEAD_RADIUS_MM)
    line = robust_line(centroids, UP)
    assert line.direction @ UP > np.cos(np.deg2rad(6))


def test_axial_layers_follow_the_shaft() -> None:
    centroids = axial_centroids(field(-150.0))
    np.testing.assert_allclose(centroids[:, :2], [[SHAFT_X_MM, 0.0]] * len(centroids), atol=0.3)


def test_no_bone_has_no_layers() -> None:
    grid = femur_grid(SpacingMm(3, 3, 3))
    assert axial_centroids(exact_field(np.full(grid.shape_zyx, -1.0), grid)).shape == (0, 3)
