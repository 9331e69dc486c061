"""A left femur of simple solids, whose landmarks under ``regions/v1`` follow by hand.

The head is a sphere about the origin, the neck a solid of revolution with a waist, the shaft a
cylinder along z, the greater and the lesser trochanter are spheres. Left frame, mm.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from service.domain.findings import FemurSide
from service.domain.geometry import FloatArray, SpacingMm, VolumeGeometry
from service.domain.imaging import FemurMasks
from service.pipeline.distance_field import DistanceField

HEAD_RADIUS_MM = 22.0
NECK_AXIS = np.array([np.sin(np.deg2rad(55)), 0.0, -np.cos(np.deg2rad(55))])
"""The neck-shaft angle is 180 - 55 = 125 degrees."""
WAIST_MM = 26.0
NECK_RADIUS_MM = 14.0
SHAFT_X_MM = 48.0
SHAFT_RADIUS_MM = 14.0
LESSER_TROCHANTER = np.array([SHAFT_X_MM - 23 / np.sqrt(2), 23 / np.sqrt(2), -68.0])
"""A sphere of 8 mm, 15 mm off the axis, posteromedially: its top is 23 mm off the axis."""

FEMUR_SPACING = SpacingMm(1.5, 1.5, 1.5)


def sphere(points: FloatArray, centre: npt.ArrayLike, radius: float) -> FloatArray:
    """Distance inside a sphere, positive inside."""
    distance: FloatArray = radius - np.linalg.norm(points - np.asarray(centre), axis=-1)
    return distance


def cylinder(
    points: FloatArray, point: npt.ArrayLike, axis: FloatArray, radius: float
) -> FloatArray:
    """Distance inside an endless cylinder."""
    offset = points - np.asarray(point)
    along = offset @ axis
    distance: FloatArray = radius - np.sqrt(np.maximum((offset**2).sum(axis=-1) - along**2, 0))
    return distance


def neck(points: FloatArray, to_mm: float = 50.0) -> FloatArray:
    """Radius 14 + 0.02 (d - 26)^2 mm at d mm from the head centre, d from 15 mm on."""
    along = points @ NECK_AXIS
    across = np.sqrt(np.maximum((points**2).sum(axis=-1) - along**2, 0))
    inside = NECK_RADIUS_MM + 0.02 * (along - WAIST_MM) ** 2 - across
    return np.minimum(inside, np.minimum(along - 15.0, to_mm - along))


def shaft(points: FloatArray) -> FloatArray:
    """The cylinder below z = -20 mm."""
    inside = cylinder(points, (SHAFT_X_MM, 0, 0), np.array([0.0, 0.0, 1.0]), SHAFT_RADIUS_MM)
    return np.minimum(inside, -20.0 - points[..., 2])


def femur(points: FloatArray) -> FloatArray:
    """The whole femur."""
    lesser = (SHAFT_X_MM - 15 / np.sqrt(2), 15 / np.sqrt(2), -68.0)
    parts = [
        sphere(points, (0, 0, 0), HEAD_RADIUS_MM),
        neck(points),
        shaft(points),
        sphere(points, (54, 4, -18), 18.0),
        sphere(points, lesser, 8.0),
    ]
    return np.maximum.reduce(parts)


def femur_grid(
    spacing: SpacingMm, *, bottom_mm: float = -150.0, top_mm: float = 30.0
) -> VolumeGeometry:
    """A grid around the femur from one height to another."""
    z, y, x = (top_mm - bottom_mm, 84.0, 126.0)
    shape = (int(z / spacing.z) + 1, int(y / spacing.y) + 1, int(x / spacing.x) + 1)
    return VolumeGeometry.axis_aligned(shape, spacing, (-32.0, -42.0, bottom_mm))


def grid_points(geometry: VolumeGeometry) -> FloatArray:
    """LPS of all voxel centres, ``[z, y, x, 3]``."""
    axes = [np.arange(n) for n in geometry.shape_zyx]
    return geometry.index_to_lps(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))


def exact_field(distance: FloatArray, geometry: VolumeGeometry) -> DistanceField:
    """A distance field without voxel steps."""
    return DistanceField(distance.astype(np.float32), geometry)


def masks_of(distance: FloatArray, geometry: VolumeGeometry) -> FemurMasks:
    """A left femur's masks: the cortex is 3 mm thick."""
    return FemurMasks(FemurSide.LEFT, distance > 0, distance > 3.0, geometry)


def femur_masks(
    spacing: SpacingMm = FEMUR_SPACING,
    *,
    bottom_mm: float = -150.0,
    top_mm: float = 30.0,
) -> FemurMasks:
    """The whole femur as masks."""
    grid = femur_grid(spacing, bottom_mm=bottom_mm, top_mm=top_mm)
    return masks_of(femur(grid_points(grid)), grid)


def mirrored(masks: FemurMasks) -> FemurMasks:
    """The right femur that is the mirror image (x -> -x) of a left one, voxel by voxel."""
    affine = np.diag([-1.0, 1.0, 1.0, 1.0]) @ masks.geometry.affine_lps
    geometry = VolumeGeometry(masks.geometry.shape_zyx, affine).flip_x()
    return FemurMasks(
        FemurSide.RIGHT,
        masks.periosteal[:, :, ::-1].copy(),
        masks.endosteal[:, :, ::-1].copy(),
        geometry,
    )
