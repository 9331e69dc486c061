"""Wherever rows, columns and slices point, the mask lands on the anatomy, and left stays left."""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from service.artifacts.source_grid import on_source_grid
from service.domain.findings import FemurSide
from service.domain.geometry import AxisOrder, SpacingMm, VolumeGeometry
from service.domain.imaging import BoolArray, CtVolume, FemurRegion, FieldOfViewCuts, Member
from service.domain.model_contract import ModelContract
from service.pipeline.cascade import delivered_masks, find_surface
from service.pipeline.crop import find_femurs
from service.pipeline.regions import divide
from service.pipeline.resampling import to_network_grid
from service.pipeline.series import read_series
from service.pipeline.volume import read_volume
from tests.builders.ct_series import CtSeriesSpec, build_slices, to_members
from tests.builders.femur_shapes import femur, femur_grid, grid_points, masks_of

SPACING = SpacingMm(3.0, 2.5, 2.0)
CENTRE_MM = np.array([70.0, 0.0, 0.0])
"""Of the left femoral head; the scanner's isocentre is the origin."""

HALF_VOXEL_DICE = 0.93
"""Sampling to the networks' grid and back rounds a surface by half a voxel of up to 3 mm."""

CENTROID_MM = 0.5
"""A mask shifted by one voxel is off by 2 mm or more."""

BONE_HU, WATER_HU = 1000, 0

TURNS = [
    (permutation, signs)
    for permutation in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]
"""Which patient axis slices, columns and rows run along, and which way: 48."""


CONTRACT = ModelContract(role="periosteal", spacing_mm=tuple(SPACING), window_zyx=(64, 96, 96))


@dataclass(frozen=True)
class BoneNetwork:
    """HU as a share of bone's: 0.5 lies where the surface does."""

    contract: ModelContract = CONTRACT
    provider: str = "test"
    sha256: str = "0" * 64

    def predict(self, hu: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.clip(hu / BONE_HU, 0.0, 1.0).astype(np.float32)


def turned_hip(
    permutation: tuple[int, ...], signs: tuple[int, ...], lean: float = 0.0
) -> tuple[Member, ...]:
    """A left hip, slices, columns and rows along the patient axes (z, y, x) given.

    ``lean`` is how far a slice is shifted down its columns per mm along the stack.
    """
    extent_mm = np.array([186.0, 120.0, 200.0])
    middle_mm = np.array([-57.0, 0.0, 80.0])
    axes = [np.eye(3)[2 - p] * s for p, s in zip(permutation, signs, strict=True)]
    shape = tuple(int(extent_mm[p] // step) for p, step in zip(permutation, SPACING, strict=True))
    along, down, right = (a * step for a, step in zip(axes, SPACING, strict=True))
    along = along + lean * SPACING.z * axes[1]
    middle_index = (np.array(shape) - 1) / 2
    origin = middle_mm[::-1] - np.array([*middle_index]) @ np.array([along, down, right])
    affine = np.eye(4)
    affine[:3] = np.column_stack([right, down, along, origin])
    grid = VolumeGeometry((shape[0], shape[1], shape[2]), affine)
    hu = np.where(truth_on(grid), BONE_HU, WATER_HU).astype(np.int16)
    spec = CtSeriesSpec(stored=hu, orientation=(*axes[2], *axes[1]), spacing_zyx_mm=tuple(SPACING))
    slices = build_slices(spec)
    for number, ds in enumerate(slices):
        ds.ImagePositionPatient = [round(float(v), 6) for v in origin + number * along]
    return tuple(to_members(slices))


def truth_on(grid: VolumeGeometry) -> BoolArray:
    inside: BoolArray = femur(grid_points(grid) - CENTRE_MM) > 0
    return inside


def found_in(members: tuple[Member, ...]) -> tuple[VolumeGeometry, FemurSide, BoolArray]:
    """The grid that was read, the side of the one femur, and its mask on that grid."""
    source = read_volume(read_series(members))
    order = AxisOrder.closest_to_spl(source.geometry)
    turned = CtVolume(order.apply(source.hu), order.apply_geometry(source.geometry))
    (crop,) = find_femurs(turned)
    cropped = to_network_grid(turned, crop, SPACING)
    outer = find_surface(cropped, BoneNetwork(), 32, lambda: None)
    assert outer is not None
    grid = turned.geometry.crop(crop.box)
    masks = delivered_masks(outer, None, crop.side, grid)
    mask = on_source_grid(masks.periosteal, crop.box, order, source.geometry)
    return source.geometry, crop.side, mask.astype(bool)


def check_on_anatomy(grid: VolumeGeometry, side: FemurSide, mask: BoolArray) -> None:
    truth = truth_on(grid)
    assert side is FemurSide.LEFT
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > HALF_VOXEL_DICE
    middles = [grid.index_to_lps(np.argwhere(found)).mean(axis=0) for found in (mask, truth)]
    assert np.linalg.norm(middles[0] - middles[1]) < CENTROID_MM


@pytest.mark.parametrize(("permutation", "signs"), TURNS)
def test_the_mask_lands_on_the_anatomy(
    permutation: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    check_on_anatomy(*found_in(turned_hip(permutation, signs)))


@pytest.mark.parametrize("lean", [0.3, -0.4])
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, 1), (1, 1, -1)])
def test_under_gantry_tilt_the_mask_lands_on_the_anatomy(
    signs: tuple[int, ...], lean: float
) -> None:
    check_on_anatomy(*found_in(turned_hip((0, 1, 2), signs, lean)))


@pytest.mark.parametrize("lean", [0.25, -0.35])
def test_under_gantry_tilt_landmarks_and_volumes_stay(lean: float) -> None:
    upright = femur_grid(SpacingMm(1.5, 1.5, 1.5))
    affine = upright.affine_lps.copy()
    affine[1, 2] = lean * 1.5
    shape = (upright.shape_zyx[0], upright.shape_zyx[1] + 45, upright.shape_zyx[2])
    # the stack is as long as before and 45 rows wider, which the lean takes up
    affine[1, 3] -= max(0.0, lean) * 1.5 * shape[0]
    leaning = VolumeGeometry(shape, affine)
    straight, tilted = (
        divide(masks_of(femur(grid_points(grid)), grid), FieldOfViewCuts(distal=True))
        for grid in (upright, leaning)
    )
    for name in ("head_centre_lps_mm", "neck_centre_lps_mm", "neck_axis_lps", "shaft_axis_lps"):
        ours, theirs = getattr(tilted.geometry, name), getattr(straight.geometry, name)
        np.testing.assert_allclose(ours, theirs, atol=1.0 if name.endswith("mm") else 0.02)
    for region in FemurRegion:
        volumes = [
            (labels == region).sum() * grid.voxel_volume_mm3
            for labels, grid in ((straight.labels, upright), (tilted.labels, leaning))
        ]
        assert volumes[1] == pytest.approx(volumes[0], rel=0.05)
