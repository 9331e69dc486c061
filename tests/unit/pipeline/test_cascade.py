"""Expected masks follow from HU that a network only thresholds."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.domain.findings import FemurSide
from service.domain.geometry import Box, SpacingMm, VolumeGeometry
from service.domain.imaging import CroppedVolume
from service.domain.model_contract import ModelContract
from service.pipeline.cascade import (
    MASK_MARGIN,
    Surface,
    delivered_masks,
    find_surface,
    is_femur,
    masked_crop,
)

CONTRACT = ModelContract(role="periosteal")
GRID = VolumeGeometry.axis_aligned((40, 48, 48), SpacingMm(1.0, 1.0, 1.0))
BONE = (slice(5, 35), slice(12, 36), slice(14, 34))
"""30 x 24 x 20 voxels: 14.4 cm3."""


@dataclass(frozen=True)
class Above:
    """1 where HU exceeds a bound."""

    hu: float
    contract: ModelContract = CONTRACT
    provider: str = "test"
    sha256: str = "0" * 64

    def predict(self, hu: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return (hu > self.hu).astype(np.float32)


def crop_of_bone(shrink: int = 0) -> CroppedVolume:
    hu = np.zeros(GRID.shape_zyx, dtype=np.float32)
    z, y, x = BONE
    hu[z.start : z.stop - shrink, y, x] = 1000.0
    return CroppedVolume(FemurSide.LEFT, hu, GRID)


def outer_of(crop: CroppedVolume) -> Surface:
    outer = find_surface(crop, Above(300.0), 32, lambda: None)
    assert outer is not None
    return outer


def test_a_surface_is_what_the_network_marks() -> None:
    crop = crop_of_bone()
    np.testing.assert_array_equal(outer_of(crop).mask, crop.hu > 0)


def test_of_two_bones_the_surface_is_that_of_the_one_the_crop_was_made_for() -> None:
    crop = crop_of_bone()
    hu = crop.hu.copy()
    hu[2:4, 2:4, 2:4] = 1000.0
    small = CroppedVolume(crop.side, hu, GRID, (tuple(GRID.index_to_lps((2, 2, 3))),))
    outer = outer_of(small)
    assert outer.mask.sum() == 8
    assert outer.probabilities.values.sum() == 8
    assert outer_of(CroppedVolume(crop.side, hu, GRID)).mask.sum() == (crop.hu > 0).sum()


def test_a_network_that_sees_nothing_finds_no_surface() -> None:
    assert find_surface(crop_of_bone(), Above(5000.0), 32, lambda: None) is None


def test_less_than_8_cm3_is_no_femur() -> None:
    assert is_femur(outer_of(crop_of_bone()))
    # 16 of 30 slices of 24 x 20 mm are left: 7.68 cm3
    assert not is_femur(outer_of(crop_of_bone(shrink=14)))


def test_the_endosteal_network_sees_the_mask_and_a_margin_around_it() -> None:
    crop = crop_of_bone()
    inside = masked_crop(crop, outer_of(crop), -500.0)
    # 5 slices lie below and above the bone, so the margin of 8 stops at the ends
    assert inside.hu.shape == (40, 24 + 2 * MASK_MARGIN, 20 + 2 * MASK_MARGIN)
    assert set(np.unique(inside.hu)) == {-500.0, 1000.0}
    np.testing.assert_array_equal(inside.geometry.lps_to_index((0, 0, 0)), (0, -4, -6))


def test_the_pieces_of_the_masked_ct_are_as_narrow_as_the_mask_there() -> None:
    crop = crop_of_bone()
    hu = crop.hu.copy()
    hu[:15, :, 24:] = 0.0
    pieces = Box((0, 6, 8), (15, 40, 40)), Box((15, 0, 0), (40, 48, 48))
    in_pieces = CroppedVolume(crop.side, hu, GRID, pieces=pieces)
    inside = masked_crop(in_pieces, outer_of(in_pieces), -500.0)
    lower, upper = inside.pieces
    # the mask's own box starts at x = 14 - MASK_MARGIN; below slice 15 the bone ends at x = 24
    assert (lower.start_zyx, lower.stop_zyx[0]) == ((0, 0, 0), 15)
    assert lower.stop_zyx[2] == 10 + 2 * MASK_MARGIN
    assert upper.stop_zyx == (40, *inside.hu.shape[1:])


def test_a_piece_without_mask_is_none_of_the_masked_ct() -> None:
    crop = crop_of_bone()
    pieces = Box((0, 0, 0), (3, 40, 40)), Box((3, 0, 0), (40, 48, 48))
    in_pieces = CroppedVolume(crop.side, crop.hu, GRID, pieces=pieces)
    (piece,) = masked_crop(in_pieces, outer_of(crop), -500.0).pieces
    assert piece.start_zyx[0] == 3


def test_an_endosteal_mask_is_cut_to_the_periosteal_one() -> None:
    crop = crop_of_bone(shrink=10)
    masks = delivered_masks(outer_of(crop), outer_of(crop_of_bone()), FemurSide.LEFT, GRID)
    np.testing.assert_array_equal(masks.endosteal, masks.periosteal)


def test_without_an_endosteal_surface_its_mask_is_empty() -> None:
    masks = delivered_masks(outer_of(crop_of_bone()), None, FemurSide.LEFT, GRID)
    assert masks.periosteal.any()
    assert not masks.endosteal.any()
