from dataclasses import replace

import numpy as np
import pytest

from service.domain.findings import Compartments, FlagCode, RegionalVolumes, Severity
from service.domain.imaging import FemurRegion
from service.domain.measurements import CorticalThickness, NeckQuadrants
from service.pipeline.cortical_thickness import ThicknessMap
from service.pipeline.left_femur import FemurAxes
from service.pipeline.shaft import Line
from service.pipeline.thickness_summary import summarise, thickness_flags
from tests.builders.analyses import volumes

X, Y, Z = np.eye(3)

NOTHING = RegionalVolumes(
    head=None, neck=None, trochanter=None, intertrochanter=None, combination=None, total=None
)

AXES = FemurAxes(
    head_centre_mm=-30 * X,
    head_radius_mm=22.0,
    neck_centre_mm=np.zeros(3),
    neck_axis=X,
    neck_range_mm=(20.0, 40.0),
    shaft=Line(-50 * Z, Z),
    lesser_trochanter_mm=None,
)
"""A neck along x from x = -10 to 10 mm, a shaft along z: superior is z, posterior y."""


def patches(*rows: tuple[tuple[float, float, float], float, float, FemurRegion]) -> ThicknessMap:
    """Points with an area (mm2), a thickness (mm) and a region; voxels are of 1 mm."""
    points, areas, thickness, regions = zip(*rows, strict=True)
    return ThicknessMap(
        points_mm=np.array(points, dtype=float),
        areas_mm2=np.array(areas, dtype=float),
        thickness_mm=np.array(thickness, dtype=float),
        thickness_voxels=np.array(thickness, dtype=float),
        regions=np.array(regions, dtype=np.uint8),
    )


def test_mean_and_spread_are_weighted_by_area() -> None:
    found = summarise(
        patches(((0, 0, 9), 300, 1.0, FemurRegion.HEAD), ((0, 0, 8), 100, 5.0, FemurRegion.HEAD)),
        None,
    )
    assert found.head is not None
    assert found.head.mean_mm == pytest.approx(2.0)
    # 3/4 at 1 mm below the mean, 1/4 at 3 mm above it
    assert found.head.sd_mm == pytest.approx(np.sqrt(3.0))
    assert found.head.surface_cm2 == pytest.approx(4.0)
    assert found.head.share_below_three_voxels == pytest.approx(0.75)


def test_five_percent_of_the_surface_is_thinner_than_p5() -> None:
    rows = [((0, 0, float(i)), 1.0, i / 100, FemurRegion.HEAD) for i in range(1000)]
    head = summarise(patches(*rows), None).head
    assert head is not None
    assert head.p5_mm == pytest.approx(0.5, abs=0.01)


def test_sums_need_all_their_regions() -> None:
    found = summarise(
        patches(((0, 0, 9), 50, 1.0, FemurRegion.HEAD), ((0, 0, 8), 50, 3.0, FemurRegion.NECK)),
        None,
    )
    assert found.neck is not None
    assert found.combination is None
    assert found.total is None


def test_quadrants_lie_where_their_names_say() -> None:
    neck = FemurRegion.NECK
    found = summarise(
        patches(
            ((0, 0, 10), 20, 1.0, neck),
            ((0, -10, 0), 20, 2.0, neck),
            ((0, 0, -10), 20, 3.0, neck),
            ((0, 10, 0), 20, 4.0, neck),
        ),
        AXES,
    ).neck_quadrants
    means = {name: patch.mean_mm for name, patch in found if patch is not None}
    assert means == pytest.approx(
        {"superior": 1.0, "anterior": 2.0, "inferior": 3.0, "posterior": 4.0}
    )


def test_stations_are_tenths_from_head_to_trochanter() -> None:
    neck = FemurRegion.NECK
    found = summarise(
        patches(((-9.0, 0, 10), 20, 1.0, neck), ((9.0, 0, 10), 20, 2.0, neck)), AXES
    ).along_neck
    assert [s.from_mm for s in found] == pytest.approx([20, 22, 24, 26, 28, 30, 32, 34, 36, 38])
    assert found[-1].to_mm == pytest.approx(40.0)
    measured = [s.thickness.mean_mm if s.thickness else None for s in found]
    assert measured == [1.0, *[None] * 8, 2.0]


def test_a_patch_of_a_few_voxels_is_not_measured() -> None:
    found = summarise(patches(((0, 0, 9), 9.0, 1.0, FemurRegion.HEAD)), None)
    assert found.head is None


@pytest.mark.parametrize(("thick_mm2", "flagged"), [(40, True), (60, False)])
def test_partial_volume_is_flagged_where_over_half_a_region_is_thin(
    thick_mm2: float, flagged: bool
) -> None:
    neck = FemurRegion.NECK
    found = summarise(patches(((0, 0, 9), 50, 2.9, neck), ((0, 0, 8), thick_mm2, 3.1, neck)), None)
    flags = thickness_flags(found, NOTHING)
    assert [f.code for f in flags] == [FlagCode.PARTIAL_VOLUME] * flagged
    assert all(f.severity is Severity.WARNING and "neck" in f.message for f in flags)


def test_the_thin_cortex_of_a_head_is_no_doubt() -> None:
    found = summarise(patches(((0, 0, 9), 50, 1.0, FemurRegion.HEAD)), None)
    assert thickness_flags(found, NOTHING) == ()
    assert thickness_flags(None, volumes()) == ()
    assert thickness_flags(CorticalThickness(), NOTHING) == ()


@pytest.mark.parametrize(("missing_mm2", "measured"), [(9.0, True), (12.0, False)])
def test_a_patch_needs_an_endosteal_surface_under_nine_tenths_of_it(
    missing_mm2: float, measured: bool
) -> None:
    head = FemurRegion.HEAD
    found = summarise(
        patches(((0, 0, 9), 91.0, 2.0, head), ((0, 0, 8), missing_mm2, 15.1, head)), None
    ).head
    assert (found is not None) is measured
    if found is not None:
        assert (found.mean_mm, found.surface_cm2) == pytest.approx((2.0, 0.91))


def test_a_bounded_region_without_an_endosteal_surface_is_flagged() -> None:
    head, neck = FemurRegion.HEAD, FemurRegion.NECK
    found = summarise(patches(((0, 0, 9), 50, 40.0, head), ((0, 0, 8), 50, 5.0, neck)), None)
    only_two = volumes().model_copy(update={"trochanter": None, "intertrochanter": None})
    (flag,) = thickness_flags(found, only_two)
    assert flag.code is FlagCode.ENDOSTEAL_NOT_FOUND
    assert flag.severity is Severity.ERROR
    assert "head;" in flag.message


def test_a_part_of_the_neck_without_an_endosteal_surface_is_flagged() -> None:
    neck = FemurRegion.NECK
    # each tenth of the neck in all four directions; superiorly 50 of 410 mm2 lack the surface
    ring = ((0, 0, 9), (0, -9, 0), (0, 0, -9), (0, 9, 0))
    rows = [
        ((x, y, z), 40.0, 16.0 if (x, z) == (-7.0, 9) else 4.0, neck)
        for x in np.arange(-9.0, 10.0, 2.0)
        for _, y, z in ring
    ]
    rows.append(((1.0, 0, 9), 10.0, 16.0, neck))
    found = summarise(patches(*rows), AXES)
    only_neck = NOTHING.model_copy(update={"neck": volumes().neck})
    assert found.neck is not None
    (flag,) = thickness_flags(found, only_neck)
    assert flag.code is FlagCode.ENDOSTEAL_NOT_FOUND
    assert "of: superior quadrant of the neck, station 2 of the neck;" in flag.message


def test_a_neck_without_a_shaft_axis_lacks_no_surface() -> None:
    row = ((0.0, 0.0, 9.0), 50.0, 4.0, FemurRegion.NECK)
    found = summarise(patches(row), replace(AXES, shaft=None, neck_range_mm=None))
    assert found.neck_quadrants == NeckQuadrants()
    only_neck = NOTHING.model_copy(update={"neck": volumes().neck})
    assert thickness_flags(found, only_neck) == ()


def test_a_bounded_region_without_an_endosteal_voxel_is_flagged() -> None:
    head = FemurRegion.HEAD
    found = summarise(patches(((0, 0, 9), 50, 5.0, head)), None)
    undivided = Compartments(integral=1.0, cortical=None, trabecular=None)
    only_head = NOTHING.model_copy(update={"head": undivided})
    (flag,) = thickness_flags(found, only_head)
    assert flag.code is FlagCode.ENDOSTEAL_NOT_FOUND
