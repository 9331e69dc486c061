import numpy as np
import pytest

from service.domain.findings import FemurSide, FlagCode, RegionalVolumes, Severity
from service.domain.geometry import SpacingMm, VolumeGeometry
from service.domain.imaging import FemurMasks, FemurRegion, FemurRegions, FieldOfViewCuts
from service.pipeline import regions as module
from service.pipeline.head_sphere import HeadSphere
from service.pipeline.landmarks import Landmarks
from service.pipeline.measurements import measure
from service.pipeline.neck import Neck, NeckEnd, NeckOutcome
from service.pipeline.regions import divide
from tests.builders.femur_shapes import (
    HEAD_RADIUS_MM,
    LESSER_TROCHANTER,
    NECK_AXIS,
    NECK_RADIUS_MM,
    SHAFT_X_MM,
    WAIST_MM,
    femur,
    femur_grid,
    femur_masks,
    grid_points,
    masks_of,
    shaft,
    sphere,
)

UNCUT = FieldOfViewCuts()
NOTHING = RegionalVolumes(
    head=None, neck=None, trochanter=None, intertrochanter=None, combination=None, total=None
)


@pytest.fixture(scope="module")
def masks() -> FemurMasks:
    return femur_masks()


@pytest.fixture(scope="module")
def regions(masks: FemurMasks) -> FemurRegions:
    return divide(masks, UNCUT)


def integrals(masks: FemurMasks, regions: FemurRegions) -> np.ndarray:
    volumes = measure(masks, regions)
    parts = (volumes.head, volumes.neck, volumes.trochanter, volumes.intertrochanter)
    return np.array([np.nan if part is None else part.integral for part in parts])


def codes(regions: FemurRegions) -> set[FlagCode]:
    return {flag.code for flag in regions.flags}


def test_a_whole_femur_has_all_landmarks_and_no_flag(regions: FemurRegions) -> None:
    geometry = regions.geometry
    assert regions.flags == ()
    assert geometry.head_centre_lps_mm == pytest.approx((0, 0, 0), abs=0.3)
    assert geometry.head_radius_mm == pytest.approx(HEAD_RADIUS_MM, abs=0.3)
    assert geometry.neck_centre_lps_mm == pytest.approx(WAIST_MM * NECK_AXIS, abs=1.0)
    assert geometry.neck_radius_mm == pytest.approx(NECK_RADIUS_MM, abs=0.3)
    assert np.dot(geometry.neck_axis_lps, NECK_AXIS) > np.cos(np.deg2rad(1.0))
    assert geometry.shaft_axis_lps == pytest.approx((0, 0, 1), abs=0.01)
    assert geometry.shaft_point_lps_mm[:2] == pytest.approx((SHAFT_X_MM, 0), abs=0.3)
    assert geometry.shaft_length_used_mm == 50.0
    assert geometry.lesser_trochanter_lps_mm == pytest.approx(tuple(LESSER_TROCHANTER), abs=1.5)
    assert geometry.neck_shaft_angle_deg == pytest.approx(125, abs=1)
    # the top of the sphere of 18 mm about (54, 4, -18)
    assert geometry.greater_trochanter_lps_mm == pytest.approx((54, 4, 0), abs=1.5)


def test_every_landmark_says_how_well_the_bone_bears_it_out(regions: FemurRegions) -> None:
    fits = dict(regions.geometry.landmark_fits)
    assert set(fits) == {
        "head",
        "neck_axis",
        "shaft_axis",
        "lesser_trochanter",
        "greater_trochanter",
    }
    for exact in ("head", "neck_axis", "shaft_axis"):
        assert fits[exact].quality > 0.95
        assert fits[exact].residual_mm < 0.5
    # the rim of the neck's end stands out, too
    assert fits["lesser_trochanter"].quality > 0.5
    assert fits["greater_trochanter"].quality == 1.0


def test_planes_lie_where_the_definition_puts_them(regions: FemurRegions) -> None:
    planes = regions.geometry.planes
    # sphere meets cylinder: sqrt(22^2 - 14^2) = 16.97 mm
    assert np.dot(planes.head_neck.point_lps_mm, NECK_AXIS) == pytest.approx(16.97, abs=0.4)
    assert planes.distal.point_lps_mm[2] == pytest.approx(-68 - 25, abs=1.0)
    assert planes.trochanter_intertrochanter.point_lps_mm == pytest.approx(
        regions.geometry.neck_centre_lps_mm
    )
    upward = planes.trochanter_intertrochanter.normal_lps
    assert np.dot(upward, planes.neck_trochanter.normal_lps) == pytest.approx(0, abs=1e-9)
    assert upward[2] > 0


def test_regions_partition_the_mask_above_the_distal_plane(
    masks: FemurMasks, regions: FemurRegions
) -> None:
    distal = regions.geometry.planes.distal
    height = (grid_points(masks.geometry) - distal.point_lps_mm) @ np.array(distal.normal_lps)
    np.testing.assert_array_equal(regions.labels > 0, masks.periosteal & (height >= 0))


def test_head_volume_is_the_sphere_less_its_cap(masks: FemurMasks, regions: FemurRegions) -> None:
    cap = HEAD_RADIUS_MM - np.sqrt(HEAD_RADIUS_MM**2 - NECK_RADIUS_MM**2)
    cap_mm3 = np.pi * cap**2 * (3 * HEAD_RADIUS_MM - cap) / 3
    expected = (4 / 3 * np.pi * HEAD_RADIUS_MM**3 - cap_mm3) / 1000
    assert measure(masks, regions).head.integral == pytest.approx(expected, rel=0.02)


def test_slice_order_does_not_matter(masks: FemurMasks, regions: FemurRegions) -> None:
    affine = masks.geometry.affine_lps.copy()
    affine[:3, 3] = masks.geometry.index_to_lps((masks.geometry.shape_zyx[0] - 1, 0, 0))
    affine[:3, 2] *= -1
    flipped = FemurMasks(
        FemurSide.LEFT,
        masks.periosteal[::-1].copy(),
        masks.endosteal[::-1].copy(),
        VolumeGeometry(masks.geometry.shape_zyx, affine),
    )
    np.testing.assert_array_equal(divide(flipped, UNCUT).labels[::-1], regions.labels)


def test_place_in_the_patient_does_not_matter(masks: FemurMasks, regions: FemurRegions) -> None:
    affine = masks.geometry.affine_lps.copy()
    affine[:3, 3] += (131.7, -60.3, 912.4)
    moved = FemurMasks(
        masks.side,
        masks.periosteal,
        masks.endosteal,
        VolumeGeometry(masks.geometry.shape_zyx, affine),
    )
    changed = np.count_nonzero(divide(moved, UNCUT).labels != regions.labels)
    assert changed < 1e-4 * np.count_nonzero(masks.periosteal)


def test_three_mm_slices_change_no_volume_by_more_than_six_percent(
    masks: FemurMasks, regions: FemurRegions
) -> None:
    thick = femur_masks(SpacingMm(3.0, 1.0, 1.0))
    ratio = integrals(thick, divide(thick, UNCUT)) / integrals(masks, regions)
    np.testing.assert_allclose(ratio, 1, atol=0.06)


def test_a_flexed_femur_has_the_same_volumes(masks: FemurMasks, regions: FemurRegions) -> None:
    turn = np.deg2rad(35)
    affine = np.eye(4)
    affine[1:3, 1:3] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    geometry = VolumeGeometry(masks.geometry.shape_zyx, affine @ masks.geometry.affine_lps)
    flexed = FemurMasks(FemurSide.LEFT, masks.periosteal, masks.endosteal, geometry)
    ratio = integrals(flexed, divide(flexed, UNCUT)) / integrals(masks, regions)
    np.testing.assert_allclose(ratio, 1, atol=0.02)


def test_without_enough_shaft_head_and_neck_are_measured_and_the_rest_is_null() -> None:
    short = femur_masks(bottom_mm=-68 - 24)
    regions = divide(short, UNCUT)
    volumes = measure(short, regions)
    assert FlagCode.TRUNCATED_DISTAL in codes(regions)
    assert volumes.head is not None
    assert volumes.neck is not None
    assert volumes.trochanter is None
    assert volumes.intertrochanter is None
    assert volumes.combination is None
    assert volumes.total is None
    assert regions.geometry.shaft_axis_lps is None


def test_head_and_neck_do_not_depend_on_the_shaft(masks: FemurMasks, regions: FemurRegions) -> None:
    short = femur_masks(bottom_mm=-50.0)
    with_shaft, without = measure(masks, regions), measure(short, divide(short, UNCUT))
    assert without.head.integral == pytest.approx(with_shaft.head.integral, rel=0.01)
    assert without.neck.integral == pytest.approx(with_shaft.neck.integral, rel=0.05)


def test_a_head_cut_by_the_end_of_the_scan_is_null() -> None:
    cut = femur_masks(top_mm=10.0)
    regions = divide(cut, UNCUT)
    assert FlagCode.TRUNCATED_PROXIMAL in codes(regions)
    assert measure(cut, regions).head is None
    assert measure(cut, regions).total is None
    assert measure(cut, regions).combination is not None


def test_a_femur_one_voxel_short_of_a_known_cut_counts_as_cut(masks: FemurMasks) -> None:
    top = int(np.flatnonzero(masks.periosteal.any(axis=(1, 2)))[-1])
    box = slice(0, top + 2)
    shape = (top + 2, *masks.geometry.shape_zyx[1:])
    cropped = FemurMasks(
        masks.side,
        masks.periosteal[box].copy(),
        masks.endosteal[box].copy(),
        VolumeGeometry(shape, masks.geometry.affine_lps),
    )
    assert codes(divide(cropped, UNCUT)) == set()
    known = divide(cropped, FieldOfViewCuts(proximal=True))
    assert codes(known) == {FlagCode.TRUNCATED_PROXIMAL}
    assert FemurRegion.HEAD not in known.labels


def test_trochanters_without_a_head_are_found_but_not_measured() -> None:
    grid = femur_grid(SpacingMm(1.5, 1.5, 1.5), top_mm=-38.0)
    points = grid_points(grid)
    half_mm = np.abs(points - (44.0, 0.0, -38.0))
    block = np.min(np.array([24.0, 20.0, 18.0]) - half_mm, axis=-1)
    masks = masks_of(np.maximum(femur(points), block), grid)
    regions = divide(masks, UNCUT)
    assert codes(regions) == {FlagCode.HEAD_NOT_FOUND}
    assert regions.geometry.head_centre_lps_mm is None
    assert regions.geometry.lesser_trochanter_lps_mm == pytest.approx(
        tuple(LESSER_TROCHANTER), abs=2.0
    )
    assert measure(masks, regions) == NOTHING


def test_a_shaft_has_no_head() -> None:
    grid = femur_grid(SpacingMm(1.5, 1.5, 1.5))
    masks = masks_of(shaft(grid_points(grid)), grid)
    regions = divide(masks, UNCUT)
    assert codes(regions) == {FlagCode.HEAD_NOT_FOUND}
    assert regions.geometry.lesser_trochanter_lps_mm is None
    assert measure(masks, regions) == NOTHING


def test_a_condyle_is_no_head() -> None:
    grid = femur_grid(SpacingMm(1.5, 1.5, 1.5))
    points = grid_points(grid)
    condyles = [sphere(points, (x, 8, -120), 21.0) for x in (SHAFT_X_MM - 22, SHAFT_X_MM + 22)]
    distal = masks_of(np.maximum.reduce([shaft(points), *condyles]), grid)
    assert codes(divide(distal, UNCUT)) == {FlagCode.HEAD_NOT_FOUND}


def test_a_ball_without_a_neck_is_no_head() -> None:
    grid = femur_grid(SpacingMm(1.5, 1.5, 1.5))
    ball = masks_of(sphere(grid_points(grid), (20, 0, -60), 22.0), grid)
    assert codes(divide(ball, UNCUT)) == {FlagCode.HEAD_NOT_FOUND}


def test_an_empty_mask_is_all_null() -> None:
    empty = np.zeros((4, 5, 6), dtype=np.bool_)
    grid = VolumeGeometry.axis_aligned(empty.shape, SpacingMm(1, 1, 1))
    masks = FemurMasks(FemurSide.RIGHT, empty, empty.copy(), grid)
    regions = divide(masks, FieldOfViewCuts(proximal=True, distal=True, in_plane=True))
    assert codes(regions) == {FlagCode.HEAD_NOT_FOUND}
    assert not regions.labels.any()
    assert measure(masks, regions) == NOTHING


HEAD = HeadSphere(np.zeros(3), HEAD_RADIUS_MM, 0.1, 1.0, 1.0)
FOUND = Neck(NeckOutcome.FOUND, NECK_AXIS, WAIST_MM * NECK_AXIS, np.pi * NECK_RADIUS_MM**2)


@pytest.mark.parametrize(
    ("landmarks", "expected", "measured"),
    [
        (
            Landmarks(HEAD, Neck(NeckOutcome.RESTLESS, NECK_AXIS, np.zeros(3), 0.0)),
            {FlagCode.AXIS_NOT_CONVERGED, FlagCode.LESSER_TROCHANTER_NOT_FOUND},
            set(),
        ),
        (
            Landmarks(HEAD, FOUND, NeckEnd(np.inf, "area")),
            {FlagCode.NECK_PLANE_NOT_FOUND, FlagCode.LESSER_TROCHANTER_NOT_FOUND},
            {FemurRegion.HEAD},
        ),
        (
            Landmarks(HEAD, FOUND, NeckEnd(40.0, "area")),
            {FlagCode.LESSER_TROCHANTER_NOT_FOUND},
            {FemurRegion.HEAD, FemurRegion.NECK},
        ),
    ],
    ids=["restless axis", "neck without end", "no lesser trochanter"],
)
def test_what_cannot_be_found_is_an_error_and_not_measured(
    landmarks: Landmarks,
    expected: set[FlagCode],
    measured: set[FemurRegion],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "find_landmarks", lambda field: landmarks)
    monkeypatch.setattr(module, "handedness_flags", lambda field, found: ())
    regions = divide(femur_masks(SpacingMm(3, 3, 3)), UNCUT)
    assert codes(regions) == expected
    assert all(flag.severity is Severity.ERROR for flag in regions.flags)
    assert set(np.unique(regions.labels)) - {0} == measured
