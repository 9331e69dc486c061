"""Femurs of the sample's closed-form hips as training cases, cut from no whole series.

Each femur is scanned on a grid around it at its protocol's spacing and brought to the networks'
grid as in production; its masks are the closed form's own, evaluated on that grid.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from model_export.cases import TRUST_BOTH, TrainingCase, Uint8Array, oriented_case, resample
from service.domain.findings import FemurSide
from service.domain.geometry import CONTRACT_SPACING_MM, SpacingMm, VolumeGeometry
from service.sample.anatomy import HipAnatomy, draw_anatomy
from service.sample.femur import FemurAnatomy
from service.sample.scanner import draw_acquisition, render

TRAINING_SEED = 1000
"""First seed trained on. Seeds below 100 belong to the demo and the evaluation."""

VALIDATION_SEED = 900
"""First of ten seeds kept for validation."""

ABOVE_HEAD_MM = (15.0, 45.0)
"""Range of how far the grid reaches above the head's centre beyond its radius."""

BELOW_HEAD_MM = (125.0, 190.0)
"""Range of how far the grid reaches below the head's centre."""

IN_PLANE_MARGIN_MM = 32.0
"""Around the femur, as a crop leaves it."""

SEARCH_STEP_MM = 4.0
SEARCH_REACH_MM = 130.0
"""The femur is looked for this far about its head, on a grid of that step."""


def write_phantoms(seeds: range, folder: Path) -> Iterator[Path]:
    """Writes both femurs of each phantom, ``phantom_<seed>_<side>.npz``; keeps those already there.

    Yields:
        The path of each case written.
    """
    for seed in seeds:
        anatomy = draw_anatomy(seed)
        for femur in anatomy.femurs:
            name = f"phantom_{seed}_{femur.side}"
            if not (folder / f"{name}.npz").exists():
                yield phantom_case(anatomy, femur, seed, name).save(folder)


def phantom_case(anatomy: HipAnatomy, femur: FemurAnatomy, seed: int, name: str) -> TrainingCase:
    """One femur of a subject, scanned with the protocol of the seed."""
    right = femur.side == FemurSide.RIGHT
    rng = np.random.default_rng((seed, int(right), 3))
    acquisition = draw_acquisition(seed)
    spacing = SpacingMm(
        acquisition.slice_spacing_mm, acquisition.pixel_spacing_mm, acquisition.pixel_spacing_mm
    )
    geometry = _grid_around(femur, spacing, rng)
    hu = np.rint(resample(render(anatomy, geometry, acquisition, rng).hu, spacing, order=1))
    x, y, z = geometry.index_to_lps((0, 0, 0))
    grid = VolumeGeometry.axis_aligned(hu.shape, CONTRACT_SPACING_MM, (x, y, z))
    periosteal, endosteal = _truth(femur, grid)
    trust = np.full(hu.shape, TRUST_BOTH, dtype=np.uint8)
    return oriented_case(
        name, "phantom", right, hu.astype(np.int16), (periosteal, endosteal, trust)
    )


def _grid_around(
    femur: FemurAnatomy, spacing: SpacingMm, rng: np.random.Generator
) -> VolumeGeometry:
    """A grid that holds the femur in plane and a random length of it in z."""
    head = np.array(femur.head_centre_lps_mm)
    top = head[2] + femur.head_radius_mm + rng.uniform(*ABOVE_HEAD_MM)
    bottom = head[2] - rng.uniform(*BELOW_HEAD_MM)
    offsets = np.arange(-SEARCH_REACH_MM, SEARCH_REACH_MM, SEARCH_STEP_MM)
    heights = np.arange(bottom, top, SEARCH_STEP_MM)
    z, y, x = np.meshgrid(heights, head[1] + offsets, head[0] + offsets, indexing="ij")
    points = np.stack((x, y, z), axis=-1).reshape(-1, 3)
    inside = points[femur.periosteal_distance_mm(points) < SEARCH_STEP_MM]
    low = inside[:, :2].min(axis=0) - IN_PLANE_MARGIN_MM
    high = inside[:, :2].max(axis=0) + IN_PLANE_MARGIN_MM
    size_mm = (top - bottom, high[1] - low[1], high[0] - low[0])
    nz, ny, nx = (int(mm / step) + 1 for mm, step in zip(size_mm, spacing, strict=True))
    return VolumeGeometry.axis_aligned((nz, ny, nx), spacing, (low[0], low[1], bottom))


def _truth(femur: FemurAnatomy, grid: VolumeGeometry) -> tuple[Uint8Array, Uint8Array]:
    """Exact periosteal and endosteal masks; only voxels near the femur are evaluated."""
    step = 4
    coarse_zyx = [np.arange(0, n + step, step) for n in grid.shape_zyx]
    nodes = np.stack(np.meshgrid(*coarse_zyx, indexing="ij"), axis=-1)
    distance = femur.periosteal_distance_mm(grid.index_to_lps(nodes.reshape(-1, 3)))
    near = distance.reshape(nodes.shape[:3]) < 2 * step
    blocks = ndimage.binary_dilation(near)
    voxels = np.argwhere(
        blocks.repeat(step, 0)
        .repeat(step, 1)
        .repeat(step, 2)[tuple(slice(n) for n in grid.shape_zyx)]
    )
    points = grid.index_to_lps(voxels)
    masks: list[npt.NDArray[np.uint8]] = []
    for inside in (
        femur.periosteal_distance_mm(points) <= 0,
        femur.endosteal_distance_mm(points) <= 0,
    ):
        mask = np.zeros(grid.shape_zyx, dtype=np.uint8)
        mask[tuple(voxels.T)] = inside
        masks.append(mask)
    return masks[0], masks[1] & masks[0]
