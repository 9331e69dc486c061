"""Cuts go through the landmarks, hold the whole section, and know where left and front are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from service.artifacts.cut_planes import (
    ABOVE_NECK_AXIS_MM,
    along_neck_plane,
    axial_planes,
    coronal_plane,
    femur_frame,
    indices_of,
    intertrochanter_section_plane,
    letters,
    long_plane,
    neck_section_plane,
    sample,
)
from service.domain.findings import FemurGeometry, FemurSide
from service.domain.imaging import FemurResult
from service.domain.measurements import CrossSection, CrossSections, FemurMeasurements
from tests.builders.analyses import analysis, axial_geometry

AXES = FemurGeometry(
    head_centre_lps_mm=(-20.0, 0.0, 140.0),
    neck_centre_lps_mm=(-14.0, 0.0, 132.0),
    neck_axis_lps=(0.6, 0.0, -0.8),
    shaft_point_lps_mm=(-10.0, 3.0, 110.0),
    shaft_axis_lps=(0.0, 0.6, 0.8),
)


@pytest.fixture(scope="module")
def femur() -> FemurResult:
    return analysis(axial_geometry((40, 60, 50))).femurs[0]


def with_geometry(femur: FemurResult, geometry: FemurGeometry) -> FemurResult:
    return replace(femur, report=femur.report.model_copy(update={"geometry": geometry}))


def test_axial_planes_go_through_the_landmarks_slices(femur: FemurResult) -> None:
    grid = femur.masks.geometry
    head = grid.index_to_lps((30.2, 20, 20))
    found = FemurGeometry(head_centre_lps_mm=tuple(head.tolist()))
    planes = axial_planes(with_geometry(femur, found))
    assert [plane.name for plane in planes] == [
        "1  head",
        "2  72% of the height",
        "3  45% of the height",
        "4  12% of the height",
    ]
    assert grid.lps_to_index(planes[0].centre_lps_mm)[0] == pytest.approx(30)


def test_axial_planes_are_numbered_from_the_top(femur: FemurResult) -> None:
    slices = np.flatnonzero(femur.masks.periosteal.any(axis=(1, 2)))
    head = femur.masks.geometry.index_to_lps((slices[0] + 0.6 * np.ptp(slices), 20, 20))
    found = FemurGeometry(head_centre_lps_mm=tuple(head.tolist()))
    names = [plane.name for plane in axial_planes(with_geometry(femur, found))]
    assert names[:2] == ["1  72% of the height", "2  head"]


def test_axial_pictures_show_patient_left_on_the_right_and_anterior_on_top(
    femur: FemurResult,
) -> None:
    points = axial_planes(femur)[0].points_lps_mm(10, 10, 1.0)
    assert points[0, 9, 0] > points[0, 0, 0]
    assert points[9, 0, 1] > points[0, 0, 1]


def test_the_coronal_plane_goes_through_the_head(femur: FemurResult) -> None:
    plane = coronal_plane(with_geometry(femur, AXES))
    assert plane.centre_lps_mm[1] == pytest.approx(0.0)
    assert (letters(plane.right_lps), letters(plane.down_lps)) == ("L", "I")


def test_the_long_plane_holds_neck_and_shaft_or_is_sagittal(femur: FemurResult) -> None:
    assert long_plane(femur).name == "sagittal"
    plane = long_plane(with_geometry(femur, AXES))
    assert plane.name == "along neck and shaft"
    np.testing.assert_allclose(plane.down_lps, (0, -0.6, -0.8))
    assert plane.right_lps[0] > 0
    normal = np.cross(plane.right_lps, plane.down_lps)
    for direction in (AXES.neck_axis_lps, AXES.shaft_axis_lps):
        assert normal @ np.array(direction) == pytest.approx(0, abs=1e-9)
    assert normal @ (np.array(AXES.head_centre_lps_mm) - plane.centre_lps_mm) == pytest.approx(0)


def test_the_frames_of_mirrored_femurs_are_mirrored() -> None:
    mirrored = AXES.model_copy(
        update={"neck_axis_lps": (-0.6, 0.0, -0.8), "shaft_axis_lps": (0.0, 0.6, 0.8)}
    )
    left = femur_frame(FemurSide.LEFT, AXES)
    right = femur_frame(FemurSide.RIGHT, mirrored)
    np.testing.assert_allclose(right.back, left.back * (-1, 1, 1))
    assert left.back[1] > 0
    assert left.left[0] > 0
    assert right.left[0] > 0


def test_without_axes_the_patients_stand_in() -> None:
    frame = femur_frame(FemurSide.LEFT, FemurGeometry())
    assert not frame.is_own
    assert [letters(axis) for axis in (frame.up, frame.back, frame.left)] == ["S", "P", "L"]


def test_the_cut_along_the_neck_lies_above_the_axis_for_both_sides(femur: FemurResult) -> None:
    for side, x in ((FemurSide.LEFT, 0.6), (FemurSide.RIGHT, -0.6)):
        found = AXES.model_copy(update={"neck_axis_lps": (x, 0.0, -0.8)})
        shown = with_geometry(femur, found)
        shown = replace(shown, report=shown.report.model_copy(update={"side": side}))
        plane = along_neck_plane(shown)
        assert plane is not None
        assert plane.right_lps[0] > 0
        assert plane.down_lps[1] > 0
        up = -np.cross(plane.down_lps, plane.right_lps)
        offset = plane.centre_lps_mm - np.array(AXES.head_centre_lps_mm)
        assert up[2] > 0
        assert offset @ up == pytest.approx(ABOVE_NECK_AXIS_MM)


def test_sections_lie_across_their_axis_with_anterior_on_the_left(femur: FemurResult) -> None:
    section = CrossSection(
        centre_lps_mm=(-14.0, 0.0, 132.0),
        normal_lps=(1.0, 0.0, 0.0),
        total_area_mm2=1.0,
        width_mm=1.0,
        depth_mm=1.0,
    )
    measured = FemurMeasurements(cross_sections=CrossSections(intertrochanter=section))
    shown = with_geometry(femur, AXES)
    report = shown.report.model_copy(update={"measurements": measured})
    neck = neck_section_plane(shown)
    inter = intertrochanter_section_plane(replace(shown, report=report))
    assert neck is not None
    assert inter is not None
    for plane, normal in ((neck, AXES.neck_axis_lps), (inter, (1.0, 0.0, 0.0))):
        assert plane.right_lps @ np.array(normal) == pytest.approx(0, abs=1e-9)
        assert plane.down_lps @ np.array(normal) == pytest.approx(0, abs=1e-9)
        assert plane.right_lps[1] > 0
        assert plane.down_lps[2] < 0


def test_cuts_that_need_an_axis_are_none_without_it(femur: FemurResult) -> None:
    assert along_neck_plane(femur) is None
    assert neck_section_plane(femur) is None
    assert intertrochanter_section_plane(femur) is None


def test_a_view_holds_the_whole_section_and_its_margin(femur: FemurResult) -> None:
    # The mask is 41 mm wide and 53 mm deep: 2 x 9 mm margin, at least 64 mm.
    plane = axial_planes(femur)[1]
    _, depth, width = (np.ptp(np.argwhere(femur.masks.periosteal), axis=0)).tolist()
    assert plane.width_mm == pytest.approx(max(width + 18, 64), abs=3)
    assert plane.height_mm == pytest.approx(max(depth + 18, 64), abs=3)


def test_sampling_is_exact_at_voxel_centres_and_constant_outside(femur: FemurResult) -> None:
    grid = femur.masks.geometry
    points = grid.index_to_lps(np.array([[[3, 4, 5], [-9, 4, 5]]]))
    values = sample(femur.hu, indices_of(grid, points), -1024.0)
    np.testing.assert_allclose(values, [[femur.hu[3, 4, 5], -1024]], atol=1e-2)


@pytest.mark.parametrize(
    ("direction", "named"),
    [
        ((1, 0, 0), "L"),
        ((0, -1, 0), "A"),
        ((0, 0, 1), "S"),
        ((0.8, 0.6, 0), "LP"),
        ((0, 0.2, -1), "I"),
    ],
)
def test_letters_name_the_directions_that_count(
    direction: tuple[float, float, float], named: str
) -> None:
    assert letters(np.array(direction)) == named
