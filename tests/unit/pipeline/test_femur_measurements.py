"""The whole of a femur of simple solids, and what happens when parts of it are missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from service.domain.calibration import Calibration
from service.domain.geometry import FloatArray, VolumeGeometry
from service.domain.imaging import FemurMasks, FemurRegion, FemurRegions, FieldOfViewCuts, HuArray
from service.domain.measurements import CrossSections, FemurMeasurements
from service.pipeline.femur_measurements import measure_femur
from service.pipeline.metal import exclude_metal
from service.pipeline.regions import divide
from tests.builders.femur_shapes import (
    HEAD_RADIUS_MM,
    NECK_AXIS,
    NECK_RADIUS_MM,
    cylinder,
    femur,
    femur_masks,
    grid_points,
    mirrored,
    sphere,
)

LINE = Calibration.model_validate(
    {"slope": 0.9, "intercept": -3.0, "unit": "mg/cm3 HA", "method": "simultaneous"}
)


def hu_of(masks: FemurMasks) -> HuArray:
    return np.where(masks.endosteal, 100, np.where(masks.periosteal, 1000, 0)).astype(np.int16)


def measured(masks: FemurMasks, line: Calibration | None = LINE) -> FemurMeasurements:
    return measure_femur(masks, hu_of(masks), divide(masks, FieldOfViewCuts()), line).numbers


def with_metal(inside_mm: FloatArray, masks: FemurMasks) -> FemurMeasurements:
    """Of a femur with metal where the distance inside a solid is positive."""
    hu = np.where(inside_mm > 0, 3071, hu_of(masks)).astype(np.int16)
    regions = exclude_metal(divide(masks, FieldOfViewCuts()), masks, hu)
    return measure_femur(masks, hu, regions, LINE).numbers


def cut_laterally(columns: int, *, one_short: bool = False) -> FemurMeasurements:
    """Of a femur in a field of view of so many columns, its mask to the last or last but one."""
    masks = femur_masks()
    grid = VolumeGeometry((*masks.geometry.shape_zyx[:2], columns), masks.geometry.affine_lps)
    outer, inner = (m[:, :, :columns].copy() for m in (masks.periosteal, masks.endosteal))
    if one_short:
        outer[:, :, -1] = inner[:, :, -1] = False
    cut = FemurMasks(masks.side, outer, inner, grid)
    return measure_femur(cut, hu_of(cut), divide(cut, FieldOfViewCuts(in_plane=True))).numbers


@pytest.fixture(scope="module")
def whole() -> FemurMeasurements:
    return measured(femur_masks())


def test_lengths_and_angles_follow_from_the_solids(whole: FemurMeasurements) -> None:
    found = whole.dimensions
    assert found.head_diameter_mm == pytest.approx(2 * HEAD_RADIUS_MM, abs=0.5)
    assert found.neck_width_mm == pytest.approx(2 * NECK_RADIUS_MM, abs=0.5)
    # medially 22 mm from the head centre; laterally the shaft's surface, 62 mm / sin 55 degrees
    assert found.neck_axis_length_mm == pytest.approx(22 + 75.7, abs=1.0)
    assert found.femoral_offset_mm == pytest.approx(48, abs=0.5)
    assert found.neck_to_lesser_trochanter_deg == pytest.approx(45, abs=2)
    assert found.neck_version_to_scan_deg == pytest.approx(0, abs=0.5)
    assert (found.hip_axis_length_mm, found.anteversion_deg) == (None, None)


def test_a_leg_turned_outwards_shows_as_less_version_and_nothing_else(
    whole: FemurMeasurements,
) -> None:
    masks = femur_masks()
    turn = np.deg2rad(15.0)
    affine = np.eye(4)
    # turns anterior to lateral about z
    affine[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    turned = VolumeGeometry(masks.geometry.shape_zyx, affine @ masks.geometry.affine_lps)
    found = measured(replace(masks, geometry=turned)).dimensions
    assert found.neck_version_to_scan_deg == pytest.approx(15.0, abs=0.5)
    assert found.neck_to_lesser_trochanter_deg == pytest.approx(
        whole.dimensions.neck_to_lesser_trochanter_deg, abs=0.2
    )


def test_the_cortex_is_three_mm_thick_where_the_distance_is_true(whole: FemurMeasurements) -> None:
    thickness = whole.cortical_thickness
    assert thickness is not None
    assert thickness.head is not None
    assert thickness.head.mean_mm == pytest.approx(3.0, abs=0.05)
    # 4 pi R2, less the cap that the neck covers
    cap = HEAD_RADIUS_MM - np.sqrt(HEAD_RADIUS_MM**2 - NECK_RADIUS_MM**2)
    sphere_cm2 = 2 * np.pi * HEAD_RADIUS_MM * (2 * HEAD_RADIUS_MM - cap) / 100
    assert thickness.head.surface_cm2 == pytest.approx(sphere_cm2, rel=0.03)
    quadrants = [patch for _, patch in thickness.neck_quadrants]
    assert all(patch is not None for patch in quadrants)
    assert sum(patch.surface_cm2 for patch in quadrants) == pytest.approx(
        thickness.neck.surface_cm2
    )
    assert len(thickness.along_neck) == 10


def test_sections_are_hollow_circles_of_neck_and_shaft(whole: FemurMeasurements) -> None:
    # both have radii of 14 and 11 mm; the shaft's section meets the end of the lesser trochanter
    csmi = np.pi / 4 * (14**4 - 11**4)
    for section in (whole.cross_sections.narrow_neck, whole.cross_sections.shaft):
        assert section is not None
        assert section.csmi_min_mm4 == pytest.approx(csmi, rel=0.04)
        assert section.cortical_thickness_mm == pytest.approx(3.0, abs=0.25)


def test_the_intertrochanteric_section_is_that_of_the_solids_on_its_plane(
    whole: FemurMeasurements,
) -> None:
    found = whole.cross_sections.intertrochanter
    assert found is not None
    step = 0.25
    offsets = np.arange(-40.0, 40.0 + step, step)
    posterior = np.array([0.0, 1.0, 0.0])
    frontal = np.cross(posterior, found.normal_lps)
    along = offsets[:, None, None] * frontal + offsets[None, :, None] * posterior
    inside = femur(np.array(found.centre_lps_mm) + along)
    pieces, _ = ndimage.label(inside > 0)
    section = pieces == pieces[len(offsets) // 2, len(offsets) // 2]
    u, v = offsets[np.argwhere(section & (inside <= 3.0))].T
    # a cortex of two voxels, thicker where the masks round off its inner corners
    assert found.total_area_mm2 == pytest.approx(section.sum() * step**2, rel=0.02)
    assert found.cortical_area_mm2 == pytest.approx(len(u) * step**2, rel=0.04)
    assert found.csmi_frontal_mm4 == pytest.approx(u.var() * len(u) * step**2, rel=0.04)
    assert found.csmi_sagittal_mm4 == pytest.approx(v.var() * len(v) * step**2, rel=0.04)


def test_a_screw_along_the_neck_costs_what_rests_on_its_contours() -> None:
    masks = femur_masks()
    points = grid_points(masks.geometry)
    along = points @ NECK_AXIS
    screw = np.minimum(cylinder(points, (0, 0, 0), NECK_AXIS, 4.0), (along - 5) * (75 - along))
    found = with_metal(screw, masks)
    assert {section for _, section in found.cross_sections} == {None}
    lengths = found.dimensions
    assert lengths.head_diameter_mm is None
    assert lengths.neck_width_mm is None
    assert lengths.neck_axis_length_mm is None
    # between landmarks, which are reported beside metal, too
    assert lengths.femoral_offset_mm == pytest.approx(48, abs=0.5)


def test_metal_in_the_head_leaves_the_sections(whole: FemurMeasurements) -> None:
    masks = femur_masks()
    found = with_metal(sphere(grid_points(masks.geometry), (-8, 0, 8), 4.0), masks)
    assert found.dimensions.head_diameter_mm is None
    assert found.dimensions.neck_axis_length_mm is None
    assert found.cross_sections == whole.cross_sections


def test_a_field_of_view_that_cuts_the_greater_trochanter_leaves_neck_and_shaft(
    whole: FemurMeasurements,
) -> None:
    # the greater trochanter reaches x = 72 mm, the shaft 62, the last voxel 68.5
    sections, all_sections = cut_laterally(67).cross_sections, whole.cross_sections
    assert sections.intertrochanter is None
    for section, of_whole in (
        (sections.narrow_neck, all_sections.narrow_neck),
        (sections.shaft, all_sections.shaft),
    ):
        assert section is not None
        assert of_whole is not None
        assert section.csmi_frontal_mm4 == pytest.approx(of_whole.csmi_frontal_mm4, rel=0.01)


def test_a_mask_that_ends_one_voxel_short_of_the_field_of_view_has_no_section_there() -> None:
    found = cut_laterally(60, one_short=True)
    assert found.cross_sections.narrow_neck is not None
    assert found.cross_sections.intertrochanter is None
    assert found.cross_sections.shaft is None
    assert found.dimensions.neck_axis_length_mm is None


@pytest.mark.parametrize("has_metal", [False, True])
def test_regions_that_no_plane_bounds_leave_the_sections_unless_metal_may_be_why(
    whole: FemurMeasurements, has_metal: bool
) -> None:
    masks = femur_masks()
    found = divide(masks, FieldOfViewCuts())
    planes = found.geometry.planes.model_copy(update={"neck_trochanter": None})
    unbounded = FemurRegions(
        np.where(found.labels == FemurRegion.HEAD, found.labels, 0).astype(np.uint8),
        found.geometry.model_copy(update={"planes": planes}),
        (),
    )
    hu = hu_of(masks)
    if has_metal:
        hu[5:8, 2:5, 2:5] = 3071
    regions = exclude_metal(unbounded, masks, hu)
    sections = measure_femur(masks, hu, regions, LINE).numbers.cross_sections
    assert sections == (CrossSections() if has_metal else whole.cross_sections)


def test_without_calibration_there_is_neither_density_nor_projection() -> None:
    found = measured(femur_masks(), None)
    assert found.projected_density is None
    assert found.density.neck is not None
    assert found.density.neck.integral.vbmd_mg_cm3 is None
    assert found.cross_sections.narrow_neck is not None
    assert found.cross_sections.narrow_neck.mineral is None


def test_without_an_endosteal_surface_outer_measures_remain() -> None:
    masks = femur_masks()
    found = measured(replace(masks, endosteal=np.zeros_like(masks.periosteal)))
    assert found.cortical_thickness is None
    assert found.dimensions.neck_width_mm is not None
    assert found.cross_sections.shaft is not None
    assert found.cross_sections.shaft.buckling_ratio is None
    assert found.density.total is not None
    assert found.density.total.cortical is None


def test_a_scan_that_ends_below_the_lesser_trochanter_leaves_head_and_neck() -> None:
    found = measured(femur_masks(bottom_mm=-80.0))
    assert found.dimensions.head_diameter_mm is not None
    assert found.dimensions.femoral_offset_mm is None
    assert found.dimensions.neck_width_mm is None
    assert found.cross_sections.shaft is None
    assert found.projected_density is None
    assert found.cortical_thickness is not None
    assert found.cortical_thickness.neck is not None
    assert found.cortical_thickness.intertrochanter is None
    assert found.cortical_thickness.neck_quadrants.superior is None


def test_an_empty_mask_has_no_measurement() -> None:
    masks = femur_masks()
    nothing = np.zeros_like(masks.periosteal)
    empty = replace(masks, periosteal=nothing, endosteal=nothing.copy())
    assert measured(empty) == FemurMeasurements()


def test_the_thickness_on_the_surface_lies_in_the_patient_and_is_what_the_numbers_sum_up() -> None:
    masks = femur_masks()
    left, right = (
        measure_femur(m, hu_of(m), divide(m, FieldOfViewCuts())) for m in (masks, mirrored(masks))
    )
    assert left.thickness is not None
    assert right.thickness is not None
    reported = left.numbers.cortical_thickness
    assert reported is not None
    assert reported.total is not None
    assert np.nanmean(left.thickness.thickness_mm) == pytest.approx(reported.total.mean_mm, abs=0.2)
    turned = right.thickness.points_lps_mm * (-1, 1, 1)
    np.testing.assert_allclose(turned, left.thickness.points_lps_mm, atol=1e-6)
    np.testing.assert_allclose(right.thickness.thickness_mm, left.thickness.thickness_mm)


def test_the_thickness_is_unknown_far_from_an_endosteal_surface() -> None:
    masks = femur_masks()
    endosteal = masks.endosteal.copy()
    # the head's and the neck's endosteal surface is missing
    endosteal[masks.geometry.shape_zyx[0] // 2 :] = False
    without = replace(masks, endosteal=endosteal)
    found = measure_femur(without, hu_of(without), divide(without, FieldOfViewCuts())).thickness
    assert found is not None
    top = found.points_lps_mm[:, 2] > 0
    assert np.isnan(found.thickness_mm[top]).mean() > 0.9
    assert not np.isnan(found.thickness_mm[found.points_lps_mm[:, 2] < -80]).any()
