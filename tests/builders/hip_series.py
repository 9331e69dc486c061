"""A small CT series of one drawn femur, for the whole pipeline."""

from __future__ import annotations

from functools import cache

import numpy as np

from service.domain.geometry import SpacingMm, VolumeGeometry
from service.domain.imaging import Member
from tests.builders.ct_series import CtSeriesSpec, build_slices, to_members
from tests.builders.femur_shapes import femur, grid_points, sphere

SPACING = SpacingMm(2.0, 2.0, 2.0)

FEMUR_X_MM = 70.0
"""Where the head centre lies to the left of the isocentre."""


@cache
def hip_members(
    *, mirrored: bool = False, head: bool = True, metal: bool = False
) -> tuple[Member, ...]:
    """A CT of one femur (cortex 1000 HU, inside 400 HU) in muscle: left, or mirrored to right.

    Metal is a ball of 8 mm in the middle of the head.
    """
    grid = VolumeGeometry.axis_aligned((93, 60, 100), SPACING, (-20.0, -60.0, -150.0))
    points = grid_points(grid) - (FEMUR_X_MM, 0.0, 0.0)
    inside = femur(points)
    if not head:
        inside = np.where(points[..., 2] > -90.0, -1.0, inside)
    hu = np.full(grid.shape_zyx, 50, np.int16)
    hu[inside > 0] = 1000
    hu[inside > 4.0] = 400
    if metal:
        hu[sphere(points, (0, 0, 0), 8.0) > 0] = 3071
    x, y, z = (float(v) for v in grid.affine_lps[:3, 3])
    if mirrored:
        hu = np.ascontiguousarray(hu[:, :, ::-1])
        x = -(x + (grid.shape_zyx[2] - 1) * SPACING.x)
    spec = CtSeriesSpec(
        stored=hu,
        spacing_zyx_mm=SPACING,
        origin_lps_mm=(x, y, z),
    )
    return tuple(to_members(build_slices(spec)))
