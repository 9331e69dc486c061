"""Grids that a CT may lie on."""

from __future__ import annotations

import numpy as np

from service.domain.geometry import VolumeGeometry
from tests.builders.analyses import axial_geometry

SMALL = axial_geometry((8, 12, 14))
"""As small as the made-up femur of ``analyses`` can be."""


def feet_first_coronal() -> VolumeGeometry:
    """Columns to the right, rows to superior, slices to anterior."""
    affine = np.diag([0.0, 0.0, 0.0, 1.0])
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = (-1, 0, 0), (0, 0, 1), (0, -2, 0)
    affine[:3, 3] = (40.0, 60.0, -500.0)
    return VolumeGeometry((12, 8, 14), affine)


def tilted() -> VolumeGeometry:
    """Rows turned by 30 degrees about the patient's left-right axis, slices stacked along S."""
    affine = SMALL.affine_lps.copy()
    affine[:3, 1] = (0.0, np.cos(np.pi / 6), np.sin(np.pi / 6))
    return VolumeGeometry(SMALL.shape_zyx, affine)


GRIDS = {
    "axial": SMALL,
    "frames of 195 pixels, no whole number of bytes": axial_geometry((8, 13, 15)),
    "coronal, feet first": feet_first_coronal(),
    "gantry tilt": tilted(),
}
