from dataclasses import replace

import numpy as np
import pytest

from service.domain.findings import FemurGeometry, FemurSide
from service.domain.geometry import SpacingMm
from service.domain.imaging import FemurMasks, FemurRegions, FieldOfViewCuts
from service.errors import GeometryError
from service.pipeline.left_femur import left_femur
from service.pipeline.regions import divide
from tests.builders.femur_shapes import femur_masks, mirrored

COARSE = SpacingMm(2.0, 2.0, 2.0)


@pytest.fixture(scope="module")
def masks() -> FemurMasks:
    return femur_masks(COARSE)


def unmeasured(masks: FemurMasks) -> FemurRegions:
    return FemurRegions(np.zeros(masks.periosteal.shape, np.uint8), FemurGeometry(), ())


def test_a_right_femur_and_its_mirror_image_give_the_same_arrays(masks: FemurMasks) -> None:
    hu = np.arange(masks.periosteal.size, dtype=np.int16).reshape(masks.periosteal.shape)
    left = left_femur(masks, hu, unmeasured(masks))
    other = mirrored(masks)
    right = left_femur(other, hu[:, :, ::-1].copy(), unmeasured(other))
    assert left is not None
    assert right is not None
    np.testing.assert_array_equal(left.hu, right.hu)
    np.testing.assert_array_equal(left.inner_mask, right.inner_mask)
    np.testing.assert_allclose(left.geometry.affine_lps, right.geometry.affine_lps)


def test_directions_are_those_of_the_left_frame(masks: FemurMasks) -> None:
    other = mirrored(masks)
    regions = divide(other, FieldOfViewCuts())
    right = left_femur(other, np.zeros(other.periosteal.shape, np.int16), regions)
    assert right is not None
    assert right.axes is not None
    assert right.axes.posterior is not None
    assert right.axes.superior is not None
    assert right.axes.neck_axis[0] > 0.7
    assert right.axes.posterior[1] == pytest.approx(1.0, abs=0.01)
    assert right.axes.superior[2] > 0.7
    start, end = right.axes.neck_range_mm or (0.0, 0.0)
    assert 15 < start < end
    assert right.to_patient(np.array([1.0, 2.0, 3.0])) == (-1.0, 2.0, 3.0)


def test_samples_are_taken_at_places_in_the_left_frame(masks: FemurMasks) -> None:
    labels = np.where(masks.periosteal, 2, 0).astype(np.uint8)
    hu = np.broadcast_to(
        np.arange(masks.periosteal.shape[0], dtype=np.float32)[:, None, None],
        masks.periosteal.shape,
    )
    femur = left_femur(masks, hu, FemurRegions(labels, FemurGeometry(), ()))
    assert femur is not None
    head, far = np.zeros(3), np.array([0.0, 0.0, 500.0])
    assert femur.sample_labels(np.stack([head, far])).tolist() == [2, 0]
    # 150 mm above the lowest slice, 2 mm apart
    higher = np.array([0.0, 0.0, 1.0])
    np.testing.assert_allclose(femur.sample_hu(np.stack([head, higher])), [75.0, 75.5])


def test_without_head_or_voxels_there_is_nothing_to_turn_to(masks: FemurMasks) -> None:
    hu = np.zeros(masks.periosteal.shape, np.int16)
    found = left_femur(masks, hu, unmeasured(masks))
    assert found is not None
    assert found.axes is None
    nothing = np.zeros_like(masks.periosteal)
    empty = replace(masks, periosteal=nothing, endosteal=nothing.copy())
    assert left_femur(empty, hu, unmeasured(empty)) is None


def test_arrays_of_other_shapes_are_refused(masks: FemurMasks) -> None:
    with pytest.raises(GeometryError, match="one grid"):
        left_femur(masks, np.zeros((2, 2, 2), np.int16), unmeasured(masks))


def test_the_side_is_kept(masks: FemurMasks) -> None:
    hu = np.zeros(masks.periosteal.shape, np.int16)
    for side, expected in ((FemurSide.LEFT, False), (FemurSide.RIGHT, True)):
        femur = left_femur(replace(masks, side=side), hu, unmeasured(masks))
        assert femur is not None
        assert femur.mirrored is expected
