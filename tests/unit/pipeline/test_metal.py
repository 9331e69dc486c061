"""Metal drops the regions it lies in or at; dense bone and noise are no metal."""

from __future__ import annotations

import numpy as np
import pytest

from service.domain.findings import FlagCode, Severity
from service.domain.geometry import FloatArray
from service.domain.imaging import (
    FemurMasks,
    FemurRegion,
    FemurRegions,
    FieldOfViewCuts,
    HuArray,
)
from service.pipeline.metal import exclude_metal, find_metal, has_metal
from service.pipeline.regions import divide
from tests.builders.femur_shapes import (
    NECK_AXIS,
    SHAFT_X_MM,
    cylinder,
    femur_masks,
    grid_points,
)

SATURATED_HU = 3071


@pytest.fixture(scope="module")
def masks() -> FemurMasks:
    return femur_masks()


@pytest.fixture(scope="module")
def regions(masks: FemurMasks) -> FemurRegions:
    return divide(masks, FieldOfViewCuts())


@pytest.fixture(scope="module")
def points(masks: FemurMasks) -> FloatArray:
    return grid_points(masks.geometry)


def ct(masks: FemurMasks, cortex_hu: int = 1400) -> HuArray:
    """Muscle, a cortex, marrow."""
    hu = np.full(masks.periosteal.shape, 50, dtype=np.int16)
    hu[masks.periosteal] = cortex_hu
    hu[masks.endosteal] = 200
    return hu


def kept(regions: FemurRegions) -> set[FemurRegion]:
    return {region for region in FemurRegion if (regions.labels == region).any()}


def test_bone_without_metal_keeps_its_regions(masks: FemurMasks, regions: FemurRegions) -> None:
    assert exclude_metal(regions, masks, ct(masks)) is regions


def test_the_densest_cortex_is_no_metal(masks: FemurMasks, regions: FemurRegions) -> None:
    # cortical bone of 1.92 g/cm3 at 50 keV
    assert exclude_metal(regions, masks, ct(masks, cortex_hu=2600)) is regions


def test_single_bright_voxels_are_no_metal(masks: FemurMasks) -> None:
    # 5 touching voxels of 1.5 mm are 16.9 mm3, 6 are 20.25
    hu = ct(masks)
    hu[50, 30, 30:35] = SATURATED_HU
    hu[70, 30, 30] = SATURATED_HU
    assert not find_metal(hu, masks.geometry).any()
    hu[50, 30, 35] = SATURATED_HU
    assert np.count_nonzero(find_metal(hu, masks.geometry)) == 6


def test_a_rod_in_the_neck_drops_the_neck_alone(
    masks: FemurMasks, regions: FemurRegions, points: FloatArray
) -> None:
    # 24 to 28 mm along the axis and 5 mm of reach; the neck spans 17 to 36 mm
    along = points @ NECK_AXIS
    rod = (cylinder(points, (0, 0, 0), NECK_AXIS, 4.0) > 0) & (along > 24) & (along < 28)
    hu = ct(masks)
    hu[rod] = SATURATED_HU
    found = exclude_metal(regions, masks, hu)
    assert kept(found) == set(FemurRegion) - {FemurRegion.NECK}
    (flag,) = found.flags
    assert (flag.code, flag.severity) == (FlagCode.METAL, Severity.ERROR)
    assert "neck; not measured" in flag.message
    others = regions.labels != FemurRegion.NECK
    np.testing.assert_array_equal(found.labels[others], regions.labels[others])


def test_a_nail_below_the_regions_drops_none(
    masks: FemurMasks, regions: FemurRegions, points: FloatArray
) -> None:
    # the distal plane lies 25 mm below the lesser trochanter at -68 mm
    nail = cylinder(points, (SHAFT_X_MM, 0, 0), np.array([0.0, 0.0, 1.0]), 5.0) > 0
    hu = ct(masks)
    hu[nail & (points[..., 2] < -105)] = SATURATED_HU
    found = exclude_metal(regions, masks, hu)
    assert kept(found) == set(FemurRegion)
    (flag,) = found.flags
    assert (flag.code, flag.severity) == (FlagCode.METAL, Severity.WARNING)
    assert "outside the measured regions" in flag.message


def test_a_clip_away_from_the_bone_is_told_of(masks: FemurMasks, regions: FemurRegions) -> None:
    hu = ct(masks)
    hu[5:8, 2:5, 2:5] = SATURATED_HU
    found = exclude_metal(regions, masks, hu)
    assert kept(found) == set(FemurRegion)
    (flag,) = found.flags
    assert flag.severity is Severity.WARNING
    # 27 voxels of 1.5 mm
    assert "0.09 cm3" in flag.message
    assert "not at it" in flag.message


def test_metal_anywhere_in_the_crop_counts_as_metal(
    masks: FemurMasks, regions: FemurRegions
) -> None:
    assert not has_metal(exclude_metal(regions, masks, ct(masks)))
    hu = ct(masks)
    hu[2:6, 2:6, 2:6] = 4000
    assert has_metal(exclude_metal(regions, masks, hu))


def test_metal_in_a_femur_without_regions_is_an_error(
    masks: FemurMasks, regions: FemurRegions, points: FloatArray
) -> None:
    hu = ct(masks)
    hu[cylinder(points, (0, 0, 0), NECK_AXIS, 6.0) > 0] = SATURATED_HU
    none = FemurRegions(np.zeros_like(regions.labels), regions.geometry, ())
    (flag,) = exclude_metal(none, masks, hu).flags
    assert (flag.code, flag.severity) == (FlagCode.METAL, Severity.ERROR)
