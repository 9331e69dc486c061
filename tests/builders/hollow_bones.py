"""Hollow cylinders and spheres as femurs, whose measures follow from a textbook."""

from __future__ import annotations

import numpy as np

from service.domain.findings import FemurGeometry, FemurSide, Plane, RegionPlanes, Vector
from service.domain.geometry import FloatArray, SpacingMm, VolumeGeometry
from service.domain.imaging import FemurMasks, FemurRegion, FemurRegions
from service.pipeline.left_femur import LeftFemur, left_femur
from tests.builders.femur_shapes import cylinder, grid_points, sphere

CORTEX_HU = 1000
MARROW_HU = 0


def hollow_sphere(outer_mm: float, inner_mm: float, spacing: SpacingMm) -> LeftFemur:
    """A shell about the origin, all of it head."""
    grid = _cube(outer_mm + 4.0, spacing)
    points = grid_points(grid)
    outer, inner = (sphere(points, (0, 0, 0), r) for r in (outer_mm, inner_mm))
    return of_solids(outer, inner, grid, FemurRegion.HEAD)


def hollow_cylinder(
    outer_mm: float,
    inner_mm: float,
    axis: FloatArray,
    spacing: SpacingMm,
    canal_mm: Vector = (0, 0, 0),
) -> LeftFemur:
    """A tube through the origin that the scan cuts at both ends, all of it neck.

    Args:
        outer_mm, inner_mm: radii.
        axis: unit.
        spacing: of the voxels.
        canal_mm: a point on the axis of the canal.
    """
    grid = _cube(outer_mm + 8.0, spacing)
    points = grid_points(grid)
    outer = cylinder(points, (0, 0, 0), axis, outer_mm)
    inner = cylinder(points, canal_mm, axis, inner_mm)
    return of_solids(outer, inner, grid, FemurRegion.NECK)


def of_solids(
    outer: FloatArray,
    inner: FloatArray,
    grid: VolumeGeometry,
    region: FemurRegion,
    geometry: FemurGeometry | None = None,
) -> LeftFemur:
    """A left femur from distances inside two solids, one region throughout."""
    periosteal, endosteal = outer > 0, (inner > 0) & (outer > 0)
    hu = np.where(endosteal, MARROW_HU, np.where(periosteal, CORTEX_HU, 40)).astype(np.int16)
    labels = np.where(periosteal, region, 0).astype(np.uint8)
    masks = FemurMasks(FemurSide.LEFT, periosteal, endosteal, grid)
    femur = left_femur(masks, hu, FemurRegions(labels, geometry or FemurGeometry(), ()))
    if femur is None:
        raise ValueError("the solid holds no voxel")
    return femur


def upright_geometry(neck_from_mm: float = -10.0, neck_to_mm: float = 10.0) -> FemurGeometry:
    """Landmarks of a neck along x and a shaft along z that cross at the origin."""

    def plane(at_mm: float) -> Plane:
        return Plane(point_lps_mm=(at_mm, 0, 0), normal_lps=(1, 0, 0))

    return FemurGeometry(
        head_centre_lps_mm=(-30, 0, 0),
        head_radius_mm=22.0,
        neck_centre_lps_mm=(0, 0, 0),
        neck_axis_lps=(1, 0, 0),
        shaft_point_lps_mm=(0, 0, -50),
        shaft_axis_lps=(0, 0, 1),
        planes=RegionPlanes(head_neck=plane(neck_from_mm), neck_trochanter=plane(neck_to_mm)),
    )


def _cube(half_mm: float, spacing: SpacingMm) -> VolumeGeometry:
    z, y, x = (2 * int(half_mm / step) + 1 for step in spacing)
    origin = (-(x // 2) * spacing.x, -(y // 2) * spacing.y, -(z // 2) * spacing.z)
    return VolumeGeometry.axis_aligned((z, y, x), spacing, origin)
