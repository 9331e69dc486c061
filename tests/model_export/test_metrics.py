"""Hand-derived values, and agreement with MONAI and DeepMind's surface-distance."""

import importlib
import os
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest

from model_export.metrics import (
    average_surface_distance_mm,
    dice,
    hausdorff95_mm,
    paper_crop,
    sensitivity,
    specificity,
    surface_dice,
)
from service.domain.geometry import SpacingMm

SPACING = SpacingMm(2.0, 0.8, 0.5)
BoolArray = npt.NDArray[np.bool_]

OTHER_LIBRARIES = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)


def box(z: slice, y: slice, x: slice, shape: tuple[int, int, int] = (10, 10, 10)) -> BoolArray:
    mask = np.zeros(shape, dtype=np.bool_)
    mask[z, y, x] = True
    return mask


EMPTY = np.zeros((10, 10, 10), dtype=np.bool_)
FOUR = box(slice(4, 5), slice(4, 5), slice(2, 6))
"""Four voxels in a row along x."""
SHIFTED = box(slice(4, 5), slice(4, 5), slice(3, 7))
"""The same row, one voxel on: 3 voxels in common, 1 missed, 1 too many."""


def test_dice_counts_common_voxels_twice() -> None:
    assert dice(SHIFTED, FOUR) == 6 / 8


def test_sensitivity_is_the_share_of_the_reference_found() -> None:
    assert sensitivity(SHIFTED, FOUR) == 3 / 4


def test_specificity_is_the_share_of_the_background_left_alone() -> None:
    # 996 voxels of background, one of them taken
    assert specificity(SHIFTED, FOUR) == 995 / 996


def test_average_surface_distance_is_over_the_voxels_of_both_surfaces() -> None:
    # every voxel of a row is surface: one of each row has its neighbour 0.5 mm away, six have 0
    assert average_surface_distance_mm(SHIFTED, FOUR, SPACING) == pytest.approx(2 * 0.5 / 8)


def test_hausdorff_takes_the_larger_directed_percentile() -> None:
    one = box(slice(4, 5), slice(4, 5), slice(2, 3))
    # from the row to the voxel: 0, 0.5, 1.0, 1.5 mm; 95 % lies 0.85 of the way from 1.0 to 1.5
    assert hausdorff95_mm(FOUR, one, SPACING) == pytest.approx(1.0 + 0.85 * 0.5)
    assert hausdorff95_mm(one, FOUR, SPACING) == pytest.approx(1.0 + 0.85 * 0.5)


def test_surface_dice_of_two_single_voxels_is_the_share_within_the_tolerance() -> None:
    one, other = (box(slice(4, 5), slice(4, 5), slice(x, x + 1)) for x in (2, 4))
    # eight corners of equal area each; the four that face the other lie 0.5 mm from its nearest,
    # the four that face away 1.0 mm
    assert surface_dice(one, other, SPACING, 0.4) == 0.0
    assert surface_dice(one, other, SPACING, 0.5) == pytest.approx(0.5)
    assert surface_dice(one, other, SPACING, 1.0) == pytest.approx(1.0)


def test_two_empty_masks_agree() -> None:
    assert dice(EMPTY, EMPTY) == surface_dice(EMPTY, EMPTY, SPACING, 1.0) == 1.0
    assert average_surface_distance_mm(EMPTY, EMPTY, SPACING) == 0.0
    assert hausdorff95_mm(EMPTY, EMPTY, SPACING) == 0.0


@pytest.mark.parametrize("pair", [(EMPTY, FOUR), (FOUR, EMPTY)])
def test_one_empty_mask_is_infinitely_far(pair: tuple[BoolArray, BoolArray]) -> None:
    assert dice(*pair) == surface_dice(*pair, SPACING, 1.0) == 0.0
    assert average_surface_distance_mm(*pair, SPACING) == np.inf
    assert hausdorff95_mm(*pair, SPACING) == np.inf


def test_a_share_of_nothing_is_nan() -> None:
    assert np.isnan(sensitivity(FOUR, EMPTY))
    assert np.isnan(specificity(FOUR, ~EMPTY))
    assert np.isnan(dice(FOUR, FOUR, EMPTY))
    assert np.isnan(average_surface_distance_mm(FOUR, FOUR, SPACING, EMPTY))
    assert np.isnan(hausdorff95_mm(FOUR, FOUR, SPACING, EMPTY))
    assert np.isnan(surface_dice(FOUR, FOUR, SPACING, 1.0, EMPTY))


def test_only_counted_voxels_count_but_distances_reach_everywhere() -> None:
    counted = ~EMPTY
    counted[:, :, :3] = False
    # the reference's first voxel is gone: 3 common voxels of 3 + 4
    assert dice(SHIFTED, FOUR, counted) == 6 / 7
    assert sensitivity(SHIFTED, FOUR, counted) == 1.0
    # 700 voxels count, 3 of them reference
    assert specificity(SHIFTED, FOUR, counted) == 696 / 697
    assert average_surface_distance_mm(SHIFTED, FOUR, SPACING, counted) == pytest.approx(0.5 / 7)


def test_a_surface_element_counts_where_all_its_voxels_do() -> None:
    counted = ~EMPTY
    counted[:, :, 5:] = False
    one, other = (box(slice(4, 5), slice(4, 5), slice(x, x + 1)) for x in (2, 4))
    # left: all eight corners of `one`, and the four of `other` that face it
    assert surface_dice(one, other, SPACING, 0.5, counted) == pytest.approx(8 / 12)


def test_the_crop_of_the_paper_is_192_voxels_about_the_femur() -> None:
    femur = np.zeros((3, 300, 200), dtype=np.bool_)
    femur[:, 100:140, 20:60] = True
    # middle row 120 and column 40: rows 24-215, columns -56-135, of which 0-135 exist
    assert paper_crop(femur) == (slice(None), slice(24, 216), slice(0, 136))


def random_masks(seed: int) -> tuple[BoolArray, BoolArray]:
    """Two overlapping random blobs and specks, off the array's border."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((2, 14, 16, 18), dtype=np.bool_)
    for mask in masks:
        mask[2:-2, 2:-2, 2:-2] = rng.random((10, 12, 14)) < rng.choice([0.05, 0.4, 0.9])
        mask[4:9, 5:12, 6:13] = True
    return masks[0], masks[1]


@pytest.fixture
def monai() -> ModuleType:
    """MONAI's metrics; without them the test is skipped, except in CI where there is PyTorch."""
    pytest.importorskip("torch")
    if os.environ.get("CI"):
        return importlib.import_module("monai.metrics")
    found: ModuleType = pytest.importorskip("monai.metrics", reason="`pip install monai`")
    return found


@OTHER_LIBRARIES
@pytest.mark.parametrize("seed", range(6))
def test_surface_distances_are_those_of_monai(seed: int, monai: ModuleType) -> None:
    torch = pytest.importorskip("torch")
    found, reference = random_masks(seed)
    pair = [torch.from_numpy(mask)[None, None] for mask in (found, reference)]
    asd = monai.compute_average_surface_distance(
        *pair, include_background=True, symmetric=True, spacing=list(SPACING)
    )
    hd95 = monai.compute_hausdorff_distance(
        *pair, include_background=True, percentile=95, spacing=list(SPACING)
    )
    assert average_surface_distance_mm(found, reference, SPACING) == pytest.approx(asd.item())
    assert hausdorff95_mm(found, reference, SPACING) == pytest.approx(hd95.item())


@OTHER_LIBRARIES
@pytest.mark.parametrize("seed", range(6))
def test_masks_that_meet_the_border_have_a_surface_there_as_in_monai(
    seed: int, monai: ModuleType
) -> None:
    torch = pytest.importorskip("torch")
    found, reference = (mask[2:-2, 2:-2, 2:-2] for mask in random_masks(seed))
    pair = [torch.from_numpy(mask.copy())[None, None] for mask in (found, reference)]
    asd = monai.compute_average_surface_distance(
        *pair, include_background=True, symmetric=True, spacing=list(SPACING)
    )
    assert average_surface_distance_mm(found, reference, SPACING) == pytest.approx(asd.item())


@OTHER_LIBRARIES
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("tolerance_mm", [0.4, 0.8, 1.3])
def test_surface_dice_is_deepminds(seed: int, tolerance_mm: float) -> None:
    deepmind = pytest.importorskip("surface_distance", reason="`pip install surface-distance`")
    found, reference = random_masks(seed)
    distances = deepmind.compute_surface_distances(reference, found, SPACING)
    expected = deepmind.compute_surface_dice_at_tolerance(distances, tolerance_mm)
    assert surface_dice(found, reference, SPACING, tolerance_mm) == pytest.approx(expected)
