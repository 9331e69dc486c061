import numpy as np
import pytest

from service.domain.findings import FemurSide
from service.domain.geometry import SpacingMm, VolumeGeometry
from service.domain.imaging import BoolArray, CroppedVolume, FieldOfViewCuts, ProbabilityMap
from service.pipeline.masks import (
    OtsuThreshold,
    cuts_of,
    find_threshold,
    inside_only,
    is_cut,
    on_source_grid,
    solid,
)

UNIT = SpacingMm(1.0, 1.0, 1.0)


def probability(values: np.ndarray) -> ProbabilityMap:
    values = values.astype(np.float32)
    return ProbabilityMap(values, VolumeGeometry.axis_aligned(values.shape, UNIT))


def test_otsu_parts_two_classes_between_them() -> None:
    values = np.full((4, 4, 4), 0.1)
    values[2:] = 0.9
    threshold = find_threshold(probability(values))
    assert threshold is not None
    assert 0.1 <= threshold.value < 0.9


def test_where_no_voxel_exceeds_a_half_there_is_no_femur() -> None:
    assert find_threshold(probability(np.linspace(0, 0.5, 64).reshape(4, 4, 4))) is None


def test_a_threshold_far_from_the_middle_is_not_confident() -> None:
    values = np.full((10, 10, 10), 0.9)  # two classes, both near 1: Otsu cuts above 0.8
    values[5:] = 1.0
    threshold = find_threshold(probability(values))
    assert threshold is not None
    assert not threshold.is_confident


def test_only_the_largest_component_stays_and_its_holes_are_filled() -> None:
    mask = np.zeros((7, 7, 12), dtype=bool)
    mask[1:6, 1:6, 1:6] = True
    mask[3, 3, 3] = False
    mask[3, 3, 10] = True
    kept = solid(mask)
    assert kept.sum() == 125
    assert kept[3, 3, 3]
    assert not kept[3, 3, 10]


@pytest.mark.parametrize(
    ("through", "kept_voxels"),
    [((5, 1, 11), 8), ((0, 0, 8), 64), ((99, 0, 0), 64)],
    ids=["in the smaller one", "in neither", "outside"],
)
def test_the_component_asked_for_is_kept_however_small(
    through: tuple[int, int, int], kept_voxels: int
) -> None:
    mask = np.zeros((7, 7, 12), dtype=bool)
    mask[:4, :4, :4] = True
    mask[4:6, :2, 10:] = True
    assert solid(mask, np.array([through])).sum() == kept_voxels


def test_of_components_asked_for_the_largest_is_kept() -> None:
    mask = np.zeros((1, 1, 12), dtype=bool)
    mask[..., 0:1], mask[..., 3:5], mask[..., 7:12] = True, True, True
    kept = solid(mask, np.array([(0, 0, 0), (0, 0, 3), (0, 0, 4)]))
    np.testing.assert_array_equal(np.flatnonzero(kept), (3, 4))


def test_nothing_stays_nothing() -> None:
    assert not solid(np.zeros((3, 3, 3), dtype=bool)).any()


def test_outside_the_mask_the_ct_is_replaced() -> None:
    hu = np.array([[[300.0, 40.0]]], dtype=np.float32)
    crop = CroppedVolume(FemurSide.LEFT, hu, VolumeGeometry.axis_aligned((1, 1, 2), UNIT))
    result = inside_only(crop, np.array([[[True, False]]]), -500.0)
    assert result.hu.tolist() == [[[300.0, -500.0]]]


@pytest.mark.parametrize("side", list(FemurSide))
def test_a_mask_returns_to_the_side_it_came_from(side: FemurSide) -> None:
    box = VolumeGeometry.axis_aligned((3, 3, 6), UNIT, (5.0, 5.0, 5.0))
    values = np.zeros((3, 3, 6), np.float32)
    values[:, :, :2] = 1.0  # at low x of the box
    right = side is FemurSide.RIGHT
    flipped = np.ascontiguousarray(values[:, :, ::-1]) if right else values
    geometry = box.flip_x() if right else box
    mask = on_source_grid(ProbabilityMap(flipped, geometry), OtsuThreshold(0.5, True), box)
    np.testing.assert_array_equal(mask, values > 0)


def test_probabilities_are_resampled_not_masks() -> None:
    coarse = VolumeGeometry.axis_aligned((2, 1, 1), SpacingMm(2.0, 1.0, 1.0))
    fine = VolumeGeometry.axis_aligned((3, 1, 1), UNIT)
    values = np.array([1.0, 0.4], np.float32).reshape(2, 1, 1)
    # half-way between 1.0 and 0.4 lies 0.7: above 0.6, below 0.8
    for threshold, expected in ((0.6, [True, True, False]), (0.8, [True, False, False])):
        mask = on_source_grid(ProbabilityMap(values, coarse), OtsuThreshold(threshold, True), fine)
        assert mask[:, 0, 0].tolist() == expected


def test_a_mask_at_the_edge_of_the_volume_is_cut_and_at_the_edge_of_the_box_is_not() -> None:
    mask = np.zeros((3, 3, 3), dtype=bool)
    mask[:, 1, 0] = True
    at_edge = ((True, False), (True, True), (True, False))
    assert cuts_of(mask, at_edge) == FieldOfViewCuts(proximal=False, distal=True, in_plane=True)
    nowhere = ((False, False),) * 3
    assert cuts_of(mask, nowhere) == FieldOfViewCuts()


def ending_in(areas: tuple[int, int, int]) -> BoolArray:
    """Planes 3 to 5 of z of so many voxels each; 0 to 2 hold 100 each, too."""
    mask = np.zeros((6, 10, 10), dtype=bool)
    for plane, area in zip(mask, (100, 100, 100, *areas), strict=True):
        plane.flat[:area] = True
    return mask


@pytest.mark.parametrize(
    ("areas", "expected"),
    [
        ((100, 80, 0), True),
        ((100, 61, 0), True),
        ((100, 60, 0), False),  # a rounded end
        ((100, 30, 1), True),  # meets the side
        ((100, 0, 0), False),  # two voxels short
        ((0, 0, 0), False),
    ],
)
def test_a_flat_face_one_voxel_short_of_a_side_is_a_cut(
    areas: tuple[int, int, int], expected: bool
) -> None:
    mask = ending_in(areas)
    for axis in range(3):
        turned = np.moveaxis(mask, 0, axis)
        assert is_cut(turned, axis, last=True) == expected
        assert is_cut(np.flip(turned, axis), axis, last=False) == expected


def test_a_flat_face_at_the_edge_of_the_volume_is_a_cut_and_at_the_edge_of_the_box_is_not() -> None:
    mask = ending_in((100, 90, 0))[:, 1:9, 1:9]
    mask[0] = mask[:, :3] = mask[:, -3:] = mask[:, :, :3] = mask[:, :, -3:] = False
    mask[1] = False
    assert cuts_of(mask, ((True, True),) * 3) == FieldOfViewCuts(proximal=True)
    assert cuts_of(mask, ((True, False),) * 3) == FieldOfViewCuts()
