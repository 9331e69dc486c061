"""Landmarks of a femur of simple solids, by hand, from its surface alone."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from model_export.phantoms.field_grid import FieldGrid
from service.domain.geometry import FloatArray, SpacingMm
from tests.benchmarks.landmark_accuracy import zero_level
from tests.benchmarks.mesh_landmarks import MeshLandmarks, mesh_landmarks
from tests.benchmarks.mesh_sections import Mesh, NoLandmarkError, angle_deg
from tests.builders import femur_shapes as shapes


def surface_of(field: FloatArray, points: FloatArray, step_mm: float) -> Mesh:
    x, y, z = (float(v) for v in points[0, 0, 0])
    return zero_level(FieldGrid((x, y, z), step_mm, (-field).astype(np.float32)))


@cache
def landmarks() -> MeshLandmarks:
    points = shapes.grid_points(shapes.femur_grid(SpacingMm(1.0, 1.0, 1.0)))
    femur = surface_of(shapes.femur(points), points, 1.0)
    return mesh_landmarks(femur, np.array([1.0, 1.0, -1.0]), 20.0, np.array([47.0, 1.0, -68.0]))


def test_the_head_is_its_sphere() -> None:
    np.testing.assert_allclose(landmarks().head, 0.0, atol=0.05)
    assert landmarks().radius_mm == pytest.approx(shapes.HEAD_RADIUS_MM, abs=0.05)


def test_the_neck_axis_runs_through_the_waist() -> None:
    assert angle_deg(landmarks().neck_axis, shapes.NECK_AXIS) < 0.1
    assert landmarks().neck_radius_mm == pytest.approx(shapes.NECK_RADIUS_MM, abs=0.05)
    np.testing.assert_allclose(landmarks().neck, shapes.WAIST_MM * shapes.NECK_AXIS, atol=0.5)


def test_the_shaft_is_its_cylinder_and_the_angle_125_degrees() -> None:
    assert angle_deg(landmarks().shaft_axis, np.array([0.0, 0.0, 1.0])) < 0.05
    assert landmarks().neck_shaft_angle_deg == pytest.approx(125.0, abs=0.1)


def test_the_lesser_trochanter_is_the_top_of_its_sphere() -> None:
    np.testing.assert_allclose(landmarks().lesser, shapes.LESSER_TROCHANTER, atol=0.6)


def test_the_planes_follow_from_the_landmarks() -> None:
    planes = landmarks().planes()
    # sphere of 22 mm meets cylinder of 14 mm
    assert np.linalg.norm(planes.head_neck.point) == pytest.approx(np.sqrt(22**2 - 14**2), abs=0.1)
    assert planes.distal.point[2] == pytest.approx(-68.0 - 25.0, abs=0.3)
    assert abs(planes.trochanter_intertrochanter.normal @ shapes.NECK_AXIS) < 1e-3


def test_a_ball_has_no_neck() -> None:
    points = shapes.grid_points(shapes.femur_grid(SpacingMm(3.0, 3.0, 3.0)))
    ball = surface_of(shapes.sphere(points, (0, 0, 0), 22.0), points, 3.0)
    with pytest.raises(NoLandmarkError, match="neck"):
        mesh_landmarks(ball, np.zeros(3), 22.0, np.array([40.0, 0.0, -60.0]))
