import numpy as np
import pytest

from service.domain.findings import FemurGeometry, FemurSide
from service.domain.geometry import SpacingMm, VolumeGeometry
from service.domain.imaging import FemurMasks, FemurRegion, FemurRegions
from service.pipeline.measurements import measure

# 2 x 1 x 0.5 mm: a thousand voxels are one cm3
SPACING = SpacingMm(2.0, 1.0, 0.5)


def femur(counts: dict[FemurRegion, int], inner: dict[FemurRegion, int]) -> tuple:
    """Masks and labels with so many voxels of each region, so many of them endosteal."""
    total = sum(counts.values())
    labels = np.zeros((1, 1, total + 10), dtype=np.uint8)
    endosteal = np.zeros(labels.shape, dtype=np.bool_)
    start = 0
    for region, count in counts.items():
        labels[..., start : start + count] = region
        endosteal[..., start : start + inner.get(region, 0)] = True
        start += count
    # ten voxels of bone below the distal plane belong to no region
    periosteal = np.ones(labels.shape, dtype=np.bool_)
    geometry = VolumeGeometry.axis_aligned(labels.shape, SPACING)
    masks = FemurMasks(FemurSide.LEFT, periosteal, endosteal, geometry)
    return masks, FemurRegions(labels, FemurGeometry(), ())


ALL = {
    FemurRegion.HEAD: 4000,
    FemurRegion.NECK: 1000,
    FemurRegion.TROCHANTER: 2000,
    FemurRegion.INTERTROCHANTER: 3000,
}


def test_a_volume_is_voxels_times_voxel_volume() -> None:
    volumes = measure(*femur(ALL, {FemurRegion.HEAD: 3000}))
    assert volumes.head.integral == pytest.approx(4.0)
    assert volumes.head.trabecular == pytest.approx(3.0)
    assert volumes.head.cortical == pytest.approx(1.0)


def test_combination_is_all_but_the_head_and_total_all() -> None:
    inner = dict.fromkeys(FemurRegion, 100)
    volumes = measure(*femur(ALL, inner))
    assert volumes.combination.integral == pytest.approx(6.0)
    assert volumes.combination.trabecular == pytest.approx(0.3)
    assert volumes.total.integral == pytest.approx(10.0)
    assert volumes.total.cortical == pytest.approx(9.6)


def test_a_region_without_endosteal_voxels_has_no_compartments_nor_have_its_sums() -> None:
    inner = {region: 100 for region in FemurRegion if region is not FemurRegion.NECK}
    volumes = measure(*femur(ALL, inner))
    assert volumes.neck.integral == pytest.approx(1.0)
    for undivided in (volumes.neck, volumes.combination, volumes.total):
        assert (undivided.cortical, undivided.trabecular) == (None, None)
    assert volumes.head.cortical == pytest.approx(3.9)


@pytest.mark.parametrize("missing", list(FemurRegion))
def test_a_region_without_voxels_is_null_and_so_are_its_sums(missing: FemurRegion) -> None:
    counts = {region: count for region, count in ALL.items() if region != missing}
    volumes = measure(*femur(counts, {}))
    assert getattr(volumes, missing.name.lower()) is None
    assert volumes.total is None
    assert (volumes.combination is None) == (missing != FemurRegion.HEAD)


def test_no_labels_give_no_volumes() -> None:
    volumes = measure(*femur({}, {}))
    assert all(value is None for _, value in volumes)
