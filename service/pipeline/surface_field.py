"""A mask as a field whose zero level is its surface to a small fraction of a voxel.

The mask is smoothed, which on a smooth surface averages the voxel steps away, and the smoothed
share is turned back into the distance that a flat surface there would have. Cortical thickness and
sections need this: the steps of a plain distance transform are as large as a thin cortex.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage, special

from service.domain.imaging import BoolArray
from service.pipeline.distance_field import CanonicalMask, DistanceField, block_means

SMOOTHING_VOXELS = 0.8
"""Width of the Gaussian along each axis. The residue of the voxel steps falls as exp(-2 pi^2 s^2),
to 3e-6 here; a sphere of radius r moves inwards by (s x spacing)^2 / r, by 0.03 mm at 22 mm and
1 mm voxels, and both surfaces of a cortex move alike."""

REACH = 3.0
"""Beyond this many widths the share is 0 or 1, and the distance stays at this many."""


def surface_field(mask: CanonicalMask) -> DistanceField:
    """The field of a mask, positive inside, in mm near the surface and flat elsewhere.

    Args:
        mask: may hold no voxel; the field is negative everywhere then.

    Returns:
        On the mask's grid, or one of whole blocks where voxels are under 0.5 mm. In mm along the
        axis of the finest voxels; along coarser ones distances come out too small, in proportion.
    """
    share, geometry = block_means(mask.inside, mask.geometry)
    smooth = ndimage.gaussian_filter(share, SMOOTHING_VOXELS, mode="nearest", truncate=4.0)
    widths = np.where(smooth > 0.5, REACH, -REACH).astype(np.float32)
    near = (smooth > special.ndtr(-REACH)) & (smooth < special.ndtr(REACH))
    widths[near] = special.ndtri(smooth[near], dtype=np.float64)
    return DistanceField(widths * np.float32(SMOOTHING_VOXELS * min(geometry.spacing_mm)), geometry)


def inner_field(mask: CanonicalMask, inner: BoolArray) -> DistanceField:
    """The field of another mask on the same voxels."""
    return surface_field(replace(mask, inside=inner))
