"""The preview shows both surfaces and the regions, true to scale and to the patient's sides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from service.artifacts.cut_planes import axial_planes, long_plane, sample
from service.artifacts.preview import ENDOSTEAL, PERIOSTEAL, SIZE, preview
from service.domain.findings import Compartments, FemurGeometry
from service.domain.imaging import FemurResult
from tests.builders.analyses import analysis, axial_geometry


@pytest.fixture(scope="module")
def femur() -> FemurResult:
    geometry = axial_geometry((40, 60, 50))
    return analysis(geometry).femurs[0]


def with_geometry(femur: FemurResult, geometry: FemurGeometry) -> FemurResult:
    report = femur.report.model_copy(update={"geometry": geometry})
    return replace(femur, report=report)


def near(picture: Image.Image, colour: tuple[int, int, int]) -> int:
    difference = np.abs(np.asarray(picture).astype(int) - colour).max(axis=2)
    return int((difference < 40).sum())


def test_both_contours_are_drawn_on_a_picture_of_the_fixed_size(femur: FemurResult) -> None:
    picture = preview(femur)
    assert picture.size == SIZE
    assert picture.mode == "RGB"
    # Beyond the legend's few dozen pixels: contours run through five planes.
    assert near(picture, PERIOSTEAL) > 1000
    assert near(picture, ENDOSTEAL) > 1000


def test_a_femur_without_landmarks_and_without_an_endosteal_mask_is_drawn(
    femur: FemurResult,
) -> None:
    empty = np.zeros_like(femur.masks.endosteal)
    masks = replace(femur.masks, endosteal=empty)
    labels = np.zeros_like(femur.labels)
    assert near(preview(replace(femur, masks=masks, labels=labels)), PERIOSTEAL) > 1000


def test_a_femur_whose_cortex_is_unknown_is_drawn(femur: FemurResult) -> None:
    integral_only = Compartments(integral=1.0, cortical=None, trabecular=None)
    volumes = femur.report.volumes_cm3.model_copy(update={"head": integral_only})
    report = femur.report.model_copy(update={"volumes_cm3": volumes})
    assert preview(replace(femur, report=report)).size == SIZE


def test_axial_planes_go_through_the_landmarks_slices(femur: FemurResult) -> None:
    grid = femur.masks.geometry
    head = grid.index_to_lps((30.2, 20, 20))
    found = FemurGeometry(head_centre_lps_mm=tuple(head.tolist()))
    planes = axial_planes(with_geometry(femur, found))
    assert planes[0].name == "head"
    assert grid.lps_to_index(planes[0].centre_lps_mm)[0] == pytest.approx(30)


def test_axial_pictures_show_patient_left_on_the_right_and_anterior_on_top(
    femur: FemurResult,
) -> None:
    points = axial_planes(femur)[0].points_lps_mm(10, 10, 1.0)
    assert points[0, 9, 0] > points[0, 0, 0]
    assert points[9, 0, 1] > points[0, 0, 1]


def test_the_long_plane_is_coronal_until_head_and_shaft_are_known(femur: FemurResult) -> None:
    assert long_plane(femur).name == "coronal"
    found = FemurGeometry(
        head_centre_lps_mm=(-20.0, 0.0, 140.0),
        shaft_point_lps_mm=(-10.0, 3.0, 110.0),
        shaft_axis_lps=(0.0, 0.6, 0.8),
    )
    plane = long_plane(with_geometry(femur, found))
    assert plane.name == "oblique coronal"
    np.testing.assert_allclose(plane.down_lps, (0, -0.6, -0.8))
    assert plane.right_lps[0] > 0
    assert plane.right_lps @ plane.down_lps == pytest.approx(0)
    # Head centre and shaft point both lie in the picture.
    normal = np.cross(plane.right_lps, plane.down_lps)
    for point in (found.head_centre_lps_mm, found.shaft_point_lps_mm):
        assert normal @ (np.array(point) - plane.centre_lps_mm) == pytest.approx(0, abs=1e-6)


def test_a_view_holds_the_whole_section_and_its_margin(femur: FemurResult) -> None:
    # The mask is 41 mm wide and 53 mm deep: 2 x 9 mm margin, at least 64 mm.
    plane = axial_planes(femur)[1]
    _, depth, width = (np.ptp(np.argwhere(femur.masks.periosteal), axis=0)).tolist()
    assert plane.width_mm == pytest.approx(max(width + 18, 64), abs=2)
    assert plane.height_mm == pytest.approx(max(depth + 18, 64), abs=2)


def test_sampling_is_exact_at_voxel_centres_and_constant_outside(femur: FemurResult) -> None:
    grid = femur.masks.geometry
    points = grid.index_to_lps(np.array([[[3, 4, 5], [-9, 4, 5]]]))
    values = sample(femur.hu, grid, points, -1024.0)
    np.testing.assert_allclose(values, [[femur.hu[3, 4, 5], -1024]], atol=1e-2)
