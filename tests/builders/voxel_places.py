"""Whether a volume holds every voxel of a truth, in its place."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tests.builders.odd_case import FloatArray, Truth

HU_TOLERANCE = 1e-3
"""Rounding of float32, nothing else."""


def misplaced_voxels(
    truth: Truth,
    hu_zyx: npt.NDArray[np.generic],
    affine_lps: FloatArray,
    tolerance_mm: float = 0.01,
) -> int:
    """Voxels of the truth that the volume does not hold where they belong, with their HU.

    Args:
        truth: what the files say.
        hu_zyx: the volume that a reader returned.
        affine_lps: 4 x 4, (x, y, z index, 1) of ``hu_zyx`` to LPS mm.
        tolerance_mm: between a voxel's true place and the nearest voxel centre of the volume.
    """
    points = truth.points_mm()
    inverse = np.linalg.inv(affine_lps)
    index = np.rint(points @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)
    inside = ((index >= 0) & (index < hu_zyx.shape[::-1])).all(axis=-1)
    nearest = index @ affine_lps[:3, :3].T + affine_lps[:3, 3]
    near = np.linalg.norm(nearest - points, axis=-1) <= tolerance_mm
    x, y, z = np.moveaxis(np.where(inside[..., None], index, 0), -1, 0)
    found = hu_zyx[z, y, x].astype(np.float64)
    same = np.isnan(truth.hu) | (np.abs(found - truth.hu) <= HU_TOLERANCE)
    return int((~(inside & near & same)).sum())
