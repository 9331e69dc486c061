from dataclasses import replace

import numpy as np
import pytest

from service.domain.findings import FlagCode, Severity
from service.domain.geometry import SpacingMm
from service.pipeline.handedness import handedness_flags
from service.pipeline.landmarks import Landmarks, find_landmarks
from tests.builders.femur_shapes import (
    HEAD_RADIUS_MM,
    NECK_AXIS,
    SHAFT_X_MM,
    cylinder,
    exact_field,
    femur_grid,
    grid_points,
    neck,
    shaft,
    sphere,
)

GRID = femur_grid(SpacingMm(1.5, 1.5, 1.5))
POINTS = grid_points(GRID)
ORIGIN = (0.0, 0.0, 0.0)
# no crest as wide as a lesser trochanter where neck and shaft meet
SLENDER_NECK = np.minimum(neck(POINTS), cylinder(POINTS, ORIGIN, NECK_AXIS, 15.0))
LESSER = (SHAFT_X_MM - 15 / np.sqrt(2), 15 / np.sqrt(2), -68.0)
BONE = np.maximum.reduce(
    [
        sphere(POINTS, ORIGIN, HEAD_RADIUS_MM),
        SLENDER_NECK,
        shaft(POINTS),
        sphere(POINTS, LESSER, 8.0),
    ]
)
FIELD = exact_field(BONE, GRID)


def test_a_femur_of_its_side_is_not_doubted() -> None:
    assert handedness_flags(FIELD, find_landmarks(FIELD)) == ()


@pytest.mark.parametrize(
    ("axis", "sign"), [(2, "lateral side"), (1, "in front of the shaft")], ids=["x", "y"]
)
def test_a_mirror_image_is_doubted(axis: int, sign: str) -> None:
    mirrored = replace(FIELD, distance_mm=np.flip(FIELD.distance_mm, axis).copy())
    (flag,) = handedness_flags(mirrored, find_landmarks(mirrored))
    assert flag.code is FlagCode.LEFT_RIGHT_DOUBT
    assert flag.severity is Severity.WARNING
    assert sign in flag.message


def test_no_femur_has_no_side() -> None:
    empty = exact_field(np.full(GRID.shape_zyx, -5.0), GRID)
    assert handedness_flags(empty, Landmarks()) == ()
