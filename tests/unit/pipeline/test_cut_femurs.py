"""A femur that the scan cuts, whose mask ends one voxel short of the cut."""

from __future__ import annotations

import numpy as np
import pytest

from service.domain.findings import FlagCode
from service.domain.geometry import VolumeGeometry
from service.domain.imaging import FemurMasks, FemurRegion, FieldOfViewCuts
from service.pipeline.measurements import measure
from service.pipeline.regions import divide
from tests.builders.femur_shapes import femur_masks, mirrored

UNCUT = FieldOfViewCuts()


def without_last_plane(masks: FemurMasks, axis: int) -> FemurMasks:
    """The same grid, the last plane of an axis empty."""
    surfaces = [masks.periosteal.copy(), masks.endosteal.copy()]
    for surface in surfaces:
        np.moveaxis(surface, axis, 0)[-1] = False
    return FemurMasks(masks.side, surfaces[0], surfaces[1], masks.geometry)


@pytest.fixture(scope="module")
def head_cut() -> FemurMasks:
    """Seen up to 8 mm above the head's centre, marked up to 6.5 mm."""
    return without_last_plane(femur_masks(top_mm=8.0), axis=0)


@pytest.fixture(scope="module")
def trochanter_cut() -> FemurMasks:
    """Seen up to x = 67 mm, marked up to 65.5; shaft and greater trochanter reach to 62 and 72."""
    whole = femur_masks()
    shape = (*whole.geometry.shape_zyx[:2], 66)
    seen = FemurMasks(
        whole.side,
        whole.periosteal[:, :, :66].copy(),
        whole.endosteal[:, :, :66].copy(),
        VolumeGeometry(shape, whole.geometry.affine_lps),
    )
    return without_last_plane(seen, axis=2)


def test_a_head_cut_one_voxel_above_its_mask_is_not_measured(head_cut: FemurMasks) -> None:
    regions = divide(head_cut, UNCUT)
    assert [flag.code for flag in regions.flags] == [FlagCode.TRUNCATED_PROXIMAL]
    volumes = measure(head_cut, regions)
    assert volumes.head is None
    # neither the scan nor its end changes what lies below the head
    assert volumes.combination.integral == pytest.approx(89.1, rel=0.01)


def test_a_trochanter_cut_one_voxel_beside_its_mask_is_not_measured(
    trochanter_cut: FemurMasks,
) -> None:
    regions = divide(trochanter_cut, UNCUT)
    assert [flag.code for flag in regions.flags] == [FlagCode.TRUNCATED_LATERAL]
    volumes = measure(trochanter_cut, regions)
    assert volumes.trochanter is None
    assert volumes.head.integral == pytest.approx(43.1, rel=0.01)


@pytest.mark.parametrize("cut", ["head_cut", "trochanter_cut"])
def test_the_mirror_image_is_cut_alike(cut: str, request: pytest.FixtureRequest) -> None:
    masks: FemurMasks = request.getfixturevalue(cut)
    left, right = divide(masks, UNCUT), divide(mirrored(masks), UNCUT)
    np.testing.assert_array_equal(right.labels[:, :, ::-1], left.labels)
    assert FemurRegion.NECK in left.labels
    assert right.flags == left.flags
