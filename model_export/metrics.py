"""How well two masks agree (paper, section 2.4)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from service.domain.geometry import SpacingMm

BoolArray = npt.NDArray[np.bool_]


def dice(a: BoolArray, b: BoolArray) -> float:
    """Dice similarity coefficient (equation 2), 0-1; 1 where both masks are empty.

    Args:
        a: bool, any shape.
        b: bool, the same shape.
    """
    total = int(a.sum()) + int(b.sum())
    return 1.0 if total == 0 else 2.0 * int((a & b).sum()) / total


def mean_surface_distance_mm(a: BoolArray, b: BoolArray, spacing_mm: SpacingMm) -> float:
    """Average symmetric surface distance (equation 5) in mm.

    Surface voxels are those of the mask with a face neighbour outside it; the edge of the array
    counts as outside. Distances run between voxel centres.

    Args:
        a: bool ``[z, y, x]``.
        b: bool, the same shape.
        spacing_mm: of the grid.

    Returns:
        0 where both masks are empty, infinity where one is.
    """
    if not a.any() or not b.any():
        return 0.0 if a.any() == b.any() else float("inf")
    surface_a, surface_b = _surface(a), _surface(b)
    to_a = ndimage.distance_transform_edt(~surface_a, sampling=spacing_mm)
    to_b = ndimage.distance_transform_edt(~surface_b, sampling=spacing_mm)
    return float(np.concatenate((to_b[surface_a], to_a[surface_b])).mean())


def _surface(mask: BoolArray) -> BoolArray:
    eroded: BoolArray = ndimage.binary_erosion(mask)
    return mask & ~eroded
