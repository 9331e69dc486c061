import numpy as np
import pytest

from service.domain.geometry import SpacingMm
from service.pipeline.lesser_trochanter import find_lesser_trochanter
from service.pipeline.shaft import Line
from tests.builders.femur_shapes import (
    LESSER_TROCHANTER,
    SHAFT_X_MM,
    exact_field,
    femur,
    femur_grid,
    grid_points,
    shaft,
    sphere,
)

GRID = femur_grid(SpacingMm(1, 1, 1), bottom_mm=-130.0)
POINTS = grid_points(GRID)
AXIS = Line(np.array([SHAFT_X_MM, 0.0, 0.0]), np.array([0.0, 0.0, 1.0]))
MEDIAL = np.array([-1.0, 0.0, 0.0])
RANGE = (-110.0, -20.0)


def test_its_top_is_the_farthest_point_of_the_bump() -> None:
    found = find_lesser_trochanter(exact_field(femur(POINTS), GRID), AXIS, MEDIAL, RANGE)
    assert found.found
    assert found.point_mm == pytest.approx(tuple(LESSER_TROCHANTER), abs=1.0)
    assert found.height_mm == pytest.approx(-68.0, abs=0.5)
    # 23 mm off the axis of a shaft of 14 mm
    assert found.bump_mm == pytest.approx(9.0, abs=1.0)
    # a sphere of 8 mm falls back by 0.5 mm within sqrt(8^2 - 7.5^2) = 2.8 mm of its top
    assert found.fit is not None
    assert found.fit.residual_mm == pytest.approx(2.8, abs=1.0)
    # the rim of the neck's end stands out, too
    assert found.fit.quality > 0.75


def test_another_bump_as_prominent_lowers_the_quality() -> None:
    twin = sphere(POINTS, (SHAFT_X_MM - 15, 0, -95), 8.0)
    field = exact_field(np.maximum(femur(POINTS), twin), GRID)
    found = find_lesser_trochanter(field, AXIS, MEDIAL, (-129.0, -20.0))
    assert found.fit is not None
    assert found.fit.quality < 0.5


def test_a_bare_shaft_has_none() -> None:
    found = find_lesser_trochanter(exact_field(shaft(POINTS), GRID), AXIS, MEDIAL, RANGE)
    assert not found.found


@pytest.mark.parametrize("direction", [(1, 0), (0, -1)])
def test_a_lateral_or_anterior_bump_is_none(direction: tuple[int, int]) -> None:
    x, y = direction
    bump = sphere(POINTS, (SHAFT_X_MM + 15 * x, 15 * y, -68), 8.0)
    field = exact_field(np.maximum(shaft(POINTS), bump), GRID)
    assert not find_lesser_trochanter(field, AXIS, MEDIAL, RANGE).found


def test_a_range_too_short_to_show_a_bump_has_none() -> None:
    field = exact_field(femur(POINTS), GRID)
    assert not find_lesser_trochanter(field, AXIS, MEDIAL, (-70.0, -66.0)).found
