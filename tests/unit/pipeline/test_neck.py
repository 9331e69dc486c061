import itertools

import numpy as np
import pytest

from service.domain.geometry import SpacingMm, VolumeGeometry
from service.pipeline import neck as neck_module
from service.pipeline.distance_field import DistanceField
from service.pipeline.head_sphere import HeadSphere
from service.pipeline.neck import (
    Neck,
    NeckOutcome,
    find_neck,
    head_plane_distance,
    neck_end,
    neck_fit,
    parabola_vertex,
)
from service.pipeline.sections import unit
from tests.builders.femur_shapes import (
    HEAD_RADIUS_MM,
    NECK_AXIS,
    NECK_RADIUS_MM,
    WAIST_MM,
    cylinder,
    exact_field,
    femur_grid,
    grid_points,
    neck,
    sphere,
)

HEAD = HeadSphere(np.zeros(3), HEAD_RADIUS_MM, 0.1, 1.0, 1.0)
OFF_AXIS = unit(NECK_AXIS + np.array([0.1, 0.25, 0.1]))
GRID = femur_grid(SpacingMm(1, 1, 1), bottom_mm=-60.0)


@pytest.fixture(scope="module")
def head_and_neck() -> DistanceField:
    points = grid_points(GRID)
    bone = np.maximum(sphere(points, (0, 0, 0), HEAD_RADIUS_MM), neck(points, to_mm=70.0))
    return exact_field(bone, GRID)


def test_the_axis_is_found_from_17_degrees_away(head_and_neck: DistanceField) -> None:
    found = find_neck(head_and_neck, HEAD, OFF_AXIS)
    assert found.outcome is NeckOutcome.FOUND
    assert np.rad2deg(np.arccos(min(found.axis @ NECK_AXIS, 1))) < 0.3
    assert found.radius_mm == pytest.approx(NECK_RADIUS_MM, abs=0.1)
    assert found.centre_mm == pytest.approx(WAIST_MM * NECK_AXIS, abs=0.5)


@pytest.mark.parametrize(
    ("apart_deg", "outcome"), [(0.35, NeckOutcome.FOUND), (2.0, NeckOutcome.RESTLESS)]
)
def test_an_axis_that_runs_round_a_flat_waist_comes_to_rest_amid_it(
    monkeypatch: pytest.MonkeyPatch, apart_deg: float, outcome: NeckOutcome
) -> None:
    # three places on a circle about the axis, each found from the one before
    radius_mm = WAIST_MM * np.tan(np.deg2rad(apart_deg)) / np.sqrt(3)
    across = unit(np.cross(NECK_AXIS, (0.0, 0.0, 1.0)))
    angles = np.deg2rad((0.0, 120.0, 240.0))
    circle = [np.cos(a) * across + np.sin(a) * np.cross(NECK_AXIS, across) for a in angles]
    places = itertools.cycle(WAIST_MM * NECK_AXIS + radius_mm * np.array(circle))
    area_mm2 = np.pi * NECK_RADIUS_MM**2

    def smallest(field: DistanceField, head: HeadSphere, axis: np.ndarray) -> Neck:
        return Neck(NeckOutcome.FOUND, axis, next(places), area_mm2)

    monkeypatch.setattr(neck_module, "_smallest_section", smallest)
    found = find_neck(exact_field(np.ones(GRID.shape_zyx), GRID), HEAD, NECK_AXIS)
    assert found.outcome is outcome
    assert np.rad2deg(np.arccos(min(found.axis @ NECK_AXIS, 1))) < apart_deg / 3


def test_a_straight_neck_bears_its_axis_out(head_and_neck: DistanceField) -> None:
    fit = neck_fit(head_and_neck, HEAD, find_neck(head_and_neck, HEAD, NECK_AXIS))
    assert fit.residual_mm == pytest.approx(0.0, abs=0.2)
    assert fit.quality == 1.0


def test_the_neck_ends_where_its_area_is_half_as_large_again(head_and_neck: DistanceField) -> None:
    found = find_neck(head_and_neck, HEAD, NECK_AXIS)
    end = neck_end(head_and_neck, HEAD, found)
    # 14 + 0.02 (d - 26)^2 = 14 sqrt(1.5)
    expected = WAIST_MM + np.sqrt(NECK_RADIUS_MM * (np.sqrt(1.5) - 1) / 0.02)
    assert end.found
    assert end.rule == "area"
    assert end.distance_mm == pytest.approx(expected, abs=0.3)


def test_the_joining_of_another_piece_ends_the_neck() -> None:
    points = grid_points(GRID)
    # beside the neck and apart from it; both meet in a block that begins 34 mm from the head
    beside = cylinder(points, (0, 32, 0), NECK_AXIS, 13.0)
    block = np.minimum(points @ NECK_AXIS - 34.0, 40.0 - np.abs(points[..., 1]))
    block = np.minimum(block, cylinder(points, (0, 0, 0), NECK_AXIS, 36.0))
    apart = np.minimum(beside, points @ NECK_AXIS - 20.0)
    bone = np.maximum.reduce([sphere(points, (0, 0, 0), 22.0), neck(points), apart, block])
    field = exact_field(bone, GRID)
    end = neck_end(field, HEAD, find_neck(field, HEAD, NECK_AXIS))
    assert end.rule == "join"
    assert end.distance_mm == pytest.approx(34.0, abs=0.6)


def test_a_neck_that_never_widens_has_no_end() -> None:
    points = grid_points(GRID)
    rod = cylinder(points, (0, 0, 0), NECK_AXIS, 14.0)
    field = exact_field(np.maximum(sphere(points, (0, 0, 0), 22.0), rod), GRID)
    narrow = Neck(NeckOutcome.FOUND, NECK_AXIS, WAIST_MM * NECK_AXIS, np.pi * 14.0**2)
    assert not neck_end(field, HEAD, narrow).found


def test_a_ball_has_no_neck() -> None:
    field = exact_field(sphere(grid_points(GRID), (0, 0, 0), 22.0), GRID)
    assert not find_neck(field, HEAD, NECK_AXIS).found


def test_a_neck_cut_by_the_scan_is_out_of_view(head_and_neck: DistanceField) -> None:
    cut = DistanceField(
        head_and_neck.distance_mm[:, :45],
        VolumeGeometry(head_and_neck.distance_mm[:, :45].shape, GRID.affine_lps),
    )
    assert find_neck(cut, HEAD, NECK_AXIS).outcome is NeckOutcome.OUT_OF_VIEW


def test_the_head_plane_is_where_sphere_meets_cylinder_but_not_under_six_tenths() -> None:
    head = HeadSphere(np.zeros(3), 25.0, 0.1, 1.0, 1.0)
    slim = Neck(NeckOutcome.FOUND, NECK_AXIS, np.zeros(3), np.pi * 15.0**2)
    wide = Neck(NeckOutcome.FOUND, NECK_AXIS, np.zeros(3), np.pi * 24.0**2)
    assert head_plane_distance(head, slim) == pytest.approx(20.0)
    assert head_plane_distance(head, wide) == pytest.approx(15.0)


def test_a_parabolas_vertex_lies_between_its_points() -> None:
    # (x - 0.25)^2 at -1, 0, 1
    assert parabola_vertex(1.5625, 0.0625, 0.5625) == pytest.approx(0.25)
    assert parabola_vertex(1.0, 1.0, 1.0) == 0.0


def test_half_a_neck_in_a_mask_that_ends_short_of_the_cut_is_out_of_view() -> None:
    points = grid_points(GRID)
    bone = np.maximum(sphere(points, (0, 0, 0), HEAD_RADIUS_MM), neck(points, to_mm=70.0))
    half = exact_field(np.minimum(bone, points[..., 1]), GRID)
    # half a circle of 14 mm has the area of one of 9.9 mm, 0.45 of the head's 22
    assert find_neck(half, HEAD, NECK_AXIS).outcome is NeckOutcome.OUT_OF_VIEW
