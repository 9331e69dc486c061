"""Volumes of a femur of simple solids; the slab's thickness follows from the neck's radius."""

from dataclasses import replace

import numpy as np
import pytest

from model_export.volumes import (
    TARGETS,
    DividedFemur,
    NeckSlab,
    Part,
    divided,
    neck_slab,
    slab_of,
    target_volumes_cm3,
    trusted_targets,
)
from service.domain.findings import FemurSide
from service.domain.imaging import FemurMasks
from service.pipeline.measurements import measure
from tests.builders.femur_shapes import NECK_AXIS, NECK_RADIUS_MM, WAIST_MM, femur_masks

NECK = next(i for i, t in enumerate(TARGETS) if t.part is Part.NECK and not t.cortical)


@pytest.fixture(scope="module")
def femur() -> DividedFemur:
    return divided(femur_masks())


def test_the_papers_five_volumes_are_those_production_measures(femur: DividedFemur) -> None:
    report = measure(femur.masks, femur.regions)
    assert report.head is not None
    assert report.neck is not None
    assert report.combination is not None
    expected = (
        report.head.integral,
        report.neck.integral,
        report.combination.integral,
        report.neck.cortical,
        report.combination.cortical,
    )
    assert target_volumes_cm3(femur, None)[:5] == pytest.approx(expected)


def test_the_entire_femur_is_every_voxel_in_view(femur: DividedFemur) -> None:
    cm3 = 1.5**3 / 1000
    periosteal, endosteal = femur.masks.periosteal.sum(), femur.masks.endosteal.sum()
    expected = (periosteal * cm3, (periosteal - endosteal) * cm3)
    assert target_volumes_cm3(femur, None)[5:7] == pytest.approx(expected)


def test_the_slab_is_as_thick_as_a_cylinder_of_its_volume(femur: DividedFemur) -> None:
    slab = neck_slab(femur)
    assert slab is not None
    # the waist is 14 mm in radius: 6.83 cm3 / 615.8 mm2; the neck widens by 0.6 mm at its ends
    assert slab.thickness_mm == pytest.approx(6830 / (np.pi * NECK_RADIUS_MM**2), rel=0.05)
    np.testing.assert_allclose(slab.centre_lps_mm, WAIST_MM * NECK_AXIS, atol=1.0)


def test_the_slab_holds_the_volume_asked_for(femur: DividedFemur) -> None:
    volumes = target_volumes_cm3(femur, neck_slab(femur, 5.0))
    # a voxel has 0.0034 cm3; a few lie at the same height
    assert volumes[7] == pytest.approx(5.0, abs=0.02)


def test_the_slab_is_the_piece_about_the_neck_centre_only(femur: DividedFemur) -> None:
    mask = np.zeros_like(femur.masks.periosteal)
    grid = femur.masks.geometry
    slab = NeckSlab((0.0, 0.0, 0.0), (0.0, 0.0, 1.0), 10.0)
    z, y, x = np.rint(grid.lps_to_index((0.0, 0.0, 0.0))).astype(int)
    mask[z - 10 : z + 11, y, x] = True
    mask[z, y, x + 2] = True
    # 10 mm at 1.5 mm: 7 slices, and the lone voxel beside is another piece
    assert slab_of(mask, grid, slab).sum() == 7


def test_a_slab_about_a_centre_without_bone_is_empty(femur: DividedFemur) -> None:
    slab = NeckSlab((0.0, 0.0, 25.0), (0.0, 0.0, 1.0), 10.0)
    assert not slab_of(femur.masks.periosteal, femur.masks.geometry, slab).any()


def test_a_neck_too_thin_for_the_volume_has_no_slab(femur: DividedFemur) -> None:
    assert neck_slab(femur, 1000.0) is None


def test_a_femur_not_found_has_no_volume(femur: DividedFemur) -> None:
    empty = np.zeros_like(femur.masks.periosteal)
    nothing = divided(FemurMasks(FemurSide.LEFT, empty, empty.copy(), femur.masks.geometry))
    slab = neck_slab(femur)
    assert np.isnan(target_volumes_cm3(nothing, slab)).all()
    assert neck_slab(nothing) is None


def test_without_an_endosteal_surface_cortical_volumes_are_unknown(femur: DividedFemur) -> None:
    masks = femur.masks
    outer = FemurMasks(
        masks.side, masks.periosteal, np.zeros_like(masks.periosteal), masks.geometry
    )
    volumes = target_volumes_cm3(replace(femur, masks=outer), neck_slab(femur))
    assert [bool(np.isnan(v)) for v in volumes] == [t.cortical for t in TARGETS]


def test_a_part_is_scored_where_all_of_its_reference_is_trusted(femur: DividedFemur) -> None:
    trust = np.full(femur.masks.periosteal.shape, 2, dtype=np.uint8)
    slab = neck_slab(femur)
    assert all(trusted_targets(femur, slab, trust))
    neck = np.argwhere(femur.regions.labels == 2)[0]
    trust[tuple(neck)] = 1
    sure = dict(zip(TARGETS, trusted_targets(femur, slab, trust), strict=True))
    # cortical bone of what holds the neck needs both surfaces
    assert not any(sure[t] for t in TARGETS if t.cortical and t.part is not Part.SLAB)
    assert all(sure[t] for t in TARGETS if not t.cortical)
    trust[tuple(neck)] = 0
    assert not trusted_targets(femur, slab, trust)[NECK]
    assert trusted_targets(femur, slab, trust)[0]


def test_targets_have_different_names() -> None:
    assert len({target.name for target in TARGETS}) == len(TARGETS)
