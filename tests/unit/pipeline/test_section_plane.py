from dataclasses import replace

import numpy as np
import pytest

from service.domain.geometry import SpacingMm, VolumeGeometry
from service.domain.imaging import FemurRegion
from service.pipeline.left_femur import FemurAxes
from service.pipeline.section_plane import (
    SectionPlane,
    intertrochanteric_plane,
    neck_plane,
    section_image,
    shaft_plane,
)
from service.pipeline.shaft import Line
from tests.builders.femur_shapes import cylinder, grid_points, sphere
from tests.builders.hollow_bones import hollow_cylinder, of_solids

X, Y, Z = np.eye(3)
HEAD = FemurRegion.HEAD
TILT = np.deg2rad(55.0)
NECK = np.array([np.sin(TILT), 0.0, -np.cos(TILT)])
"""A neck-shaft angle of 125 degrees."""

AXES = FemurAxes(
    head_centre_mm=np.zeros(3),
    head_radius_mm=22.0,
    neck_centre_mm=26.0 * NECK,
    neck_axis=NECK,
    neck_range_mm=None,
    shaft=Line(48.0 * X - 100.0 * Z + 6.0 * Y, Z),
    lesser_trochanter_mm=None,
)
"""The shaft axis passes 6 mm behind the neck axis at x = 48 mm."""

CROSSING = np.array([48.0, 3.0, -48.0 / np.tan(TILT)])


def test_the_narrow_neck_is_cut_across_its_axis() -> None:
    plane = neck_plane(AXES)
    assert plane is not None
    assert abs(plane.normal @ NECK) == pytest.approx(1.0)
    assert plane.frontal[2] > 0
    np.testing.assert_allclose(plane.posterior, Y, atol=1e-12)


def test_the_intertrochanteric_plane_halves_the_neck_shaft_angle_at_the_crossing() -> None:
    plane = intertrochanteric_plane(AXES)
    assert plane is not None
    np.testing.assert_allclose(plane.point_mm, CROSSING, atol=1e-9)
    # 62.5 degrees to the neck's medial and to the shaft's distal direction
    half = np.cos(np.deg2rad(62.5))
    assert -plane.frontal @ -NECK == pytest.approx(half)
    assert -plane.frontal @ -Z == pytest.approx(half)


def test_the_shaft_is_cut_one_and_a_half_neck_widths_below_the_crossing() -> None:
    plane = shaft_plane(AXES, neck_width_mm=30.0)
    assert plane is not None
    np.testing.assert_allclose(plane.point_mm, [48.0, 6.0, CROSSING[2] - 45.0], atol=1e-9)
    np.testing.assert_allclose(plane.frontal, X, atol=1e-12)
    assert abs(plane.normal @ Z) == pytest.approx(1.0)


def test_without_a_shaft_axis_no_plane_has_directions() -> None:
    axes = replace(AXES, shaft=None)
    assert neck_plane(axes) is None
    assert intertrochanteric_plane(axes) is None
    assert shaft_plane(axes, 30.0) is None


def test_a_section_the_scan_cuts_is_none() -> None:
    femur = hollow_cylinder(12.0, 9.0, Z, SpacingMm(1, 1, 1))
    across, along = SectionPlane(np.zeros(3), X, Y), SectionPlane(np.zeros(3), X, Z)
    assert section_image(femur, across) is not None
    assert section_image(femur, along) is None


def test_a_section_larger_than_the_square_looked_at_is_none() -> None:
    grid = VolumeGeometry.axis_aligned((75, 75, 75), SpacingMm(2, 2, 2), (-74, -74, -74))
    points = grid_points(grid)
    large, fitting = (
        of_solids(sphere(points, (0, 0, 0), r), sphere(points, (0, 0, 0), r - 8), grid, HEAD)
        for r in (68.0, 58.0)
    )
    assert section_image(fitting, SectionPlane(np.zeros(3), X, Y)) is not None
    assert section_image(large, SectionPlane(np.zeros(3), X, Y)) is None


@pytest.mark.parametrize(("columns_beside", "near"), [(2, False), (1, True)])
def test_a_section_one_voxel_short_of_the_border_is_near_it(
    columns_beside: int, near: bool
) -> None:
    # a rod of 12 mm that ends, flat, with the column at x = 8 mm
    shape = (40, 40, 20 + 9 + columns_beside)
    grid = VolumeGeometry.axis_aligned(shape, SpacingMm(1, 1, 1), (-20, -20, -20))
    points = grid_points(grid)
    outer, inner = (
        np.minimum(cylinder(points, (0, 0, 0), Z, r), 8.5 - points[..., 0]) for r in (12.0, 9.0)
    )
    image = section_image(of_solids(outer, inner, grid, HEAD), SectionPlane(np.zeros(3), X, Y))
    assert image is not None
    assert image.near_border is near


def test_a_plane_beside_the_bone_shows_nothing() -> None:
    femur = hollow_cylinder(12.0, 9.0, Z, SpacingMm(1, 1, 1))
    assert section_image(femur, SectionPlane(40.0 * X, X, Y)) is None
