"""The greater trochanter's tip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from service.domain.findings import LandmarkFit
from service.domain.geometry import FloatArray, VolumeGeometry
from service.domain.imaging import FemurRegion
from service.pipeline.shaft import Line

CAP_MM = 2.0
"""The tip lies over the middle of the bone this far below the highest voxel, so that one voxel more
or less does not move it."""

PEAK_MM = 5.0
"""Bone this far below the highest voxel is one peak, or the tip is in doubt."""


@dataclass(frozen=True, eq=False)
class GreaterTrochanter:
    """The most proximal place of the trochanter along the shaft axis.

    Attributes:
        point_mm: ``(3,)`` in the left frame.
        fit: RMS distance across the shaft axis of the uppermost bone from the tip; share of the
            bone within ``PEAK_MM`` of the top that is connected to it.
    """

    point_mm: FloatArray
    fit: LandmarkFit


def find_greater_trochanter(
    labels: npt.NDArray[np.uint8], geometry: VolumeGeometry, shaft: Line
) -> GreaterTrochanter | None:
    """The tip of the region ``TROCHANTER``; None where that was not bounded or is cut.

    Args:
        labels: ``[z, y, x]``, values of FemurRegion.
        geometry: of the labels, in the left frame.
        shaft: the axis along which the tip is the highest.
    """
    voxels = np.argwhere(labels == FemurRegion.TROCHANTER)
    if len(voxels) == 0:
        return None
    heights = shaft.height_mm(geometry.index_to_lps(voxels))
    top = float(heights.max())
    upper = heights > top - PEAK_MM
    peak, depth = voxels[upper], top - heights[upper]
    block = np.zeros(np.ptp(peak, axis=0) + 1, dtype=np.bool_)
    cells = tuple((peak - peak.min(axis=0)).T)
    block[cells] = True
    pieces = ndimage.label(block)[0][cells]
    own = pieces == pieces[int(np.argmin(depth))]
    cap = geometry.index_to_lps(peak[own & (depth < CAP_MM)])
    across = cap - shaft.point_mm - np.outer(shaft.height_mm(cap), shaft.direction)
    middle = across.mean(axis=0)
    spread = float(np.sqrt(((across - middle) ** 2).sum(axis=1).mean()))
    return GreaterTrochanter(
        shaft.at(top) + middle, LandmarkFit(residual_mm=spread, quality=float(own.mean()))
    )
