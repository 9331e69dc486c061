"""Agreement of a mask with a reference where that may be trusted (paper, section 2.4)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from service.domain.geometry import SpacingMm

BoolArray = npt.NDArray[np.bool_]

MARGIN = 2
"""Voxels kept around both masks: surfaces need an outside."""


class Agreement(NamedTuple):
    """Dice coefficient (equation 2) and mean surface distance in mm (equation 5)."""

    dice: float
    mean_surface_distance_mm: float

    def __str__(self) -> str:
        """Both, as a table shows them."""
        return f"{self.dice:.4f} / {self.mean_surface_distance_mm:.2f} mm"


def agreement(
    found: BoolArray, reference: BoolArray, trusted: BoolArray, spacing_mm: SpacingMm
) -> Agreement:
    """Compare two masks of one grid over the trusted voxels.

    A trusted surface voxel of either mask counts with its distance to the other's whole surface, so
    the edge of the trusted part makes no surface of its own.

    Args:
        found, reference, trusted: bool ``[z, y, x]``.
        spacing_mm: of the grid.

    Returns:
        Dice 1 and distance 0 where both are empty, 0 and infinity where one is; NaN for what no
        trusted voxel shows.
    """
    box = _box_of(found | reference)
    if box is None:
        return Agreement(1.0, 0.0)
    found, reference, trusted = found[box], reference[box], trusted[box]
    if not found.any() or not reference.any():
        return Agreement(0.0, float("inf"))
    overlap = int((found & reference & trusted).sum())
    total = int((found & trusted).sum()) + int((reference & trusted).sum())
    dice = 2.0 * overlap / total if total else float("nan")
    outlines = [mask & ~ndimage.binary_erosion(mask, border_value=1) for mask in (found, reference)]
    distances = np.concatenate(
        [
            ndimage.distance_transform_edt(~other, sampling=spacing_mm)[own & trusted]
            for own, other in (outlines, outlines[::-1])
        ]
    )
    return Agreement(dice, float(distances.mean()) if distances.size else float("nan"))


def _box_of(mask: BoolArray) -> tuple[slice, ...] | None:
    spans = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        if hit.size == 0:
            return None
        spans.append(slice(max(0, int(hit[0]) - MARGIN), int(hit[-1]) + 1 + MARGIN))
    return tuple(spans)
