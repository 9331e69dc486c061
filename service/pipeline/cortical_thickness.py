"""Local cortical thickness: from each point of the periosteal to the nearest of the endosteal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from service.domain.geometry import FloatArray
from service.pipeline.distance_field import Surface
from service.pipeline.left_femur import LeftFemur

AVERAGED_MM = 1.5
NEIGHBOURS = 24
"""Thickness is averaged over the surface within 1.5 mm of a point (24 points at most, all there are
with voxels of 0.7 mm), about the width of a CT's blurring: otherwise the voxel steps of thin cortex
pass for thin places and lower the percentile."""

INWARD_VOXELS = 1.0
"""A surface point belongs to the region of the voxel this far below it; at half a voxel 1 % of the
points still lie over a corner of the mask."""


@dataclass(frozen=True, eq=False)
class ThicknessMap:
    """Cortical thickness all over the periosteal surface; faces cut by the scan are no surface.

    Attributes:
        points_mm: float64 ``[n, 3]``, in the left frame.
        areas_mm2: float64 ``[n]``, the surface each point stands for.
        thickness_mm: float64 ``[n]``, averaged within AVERAGED_MM; 0 where both surfaces meet.
        thickness_voxels: float64 ``[n]``, in voxels' lengths along the surface's normal.
        regions: uint8 ``[n]``, values of FemurRegion; 0 below the distal plane.
    """

    points_mm: FloatArray
    areas_mm2: FloatArray
    thickness_mm: FloatArray
    thickness_voxels: FloatArray
    regions: npt.NDArray[np.uint8]


def thickness_map(femur: LeftFemur) -> ThicknessMap | None:
    """Thickness at every point of the periosteal surface; None without an endosteal surface.

    The nearest point of the endosteal surface is sought among its crossings with the grid; as the
    true foot point lies up to one step beside it, that shift is taken off by the endosteal normal.
    """
    if not femur.has_inner:
        return None
    outer, inner = femur.outer.surface(), femur.inner.surface()
    if len(outer.points_mm) == 0 or len(inner.points_mm) == 0:
        return None
    distance, nearest = cKDTree(inner.points_mm).query(outer.points_mm)
    across = outer.points_mm - inner.points_mm[nearest]
    along_normal = (across * inner.normals[nearest]).sum(axis=1)
    step = max(femur.inner.geometry.spacing_mm)
    aside = np.minimum(distance**2 - along_normal**2, step**2)
    thickness = np.sqrt(np.maximum(distance**2 - aside, 0.0))
    voxel_mm = np.linalg.norm(outer.normals @ femur.geometry.affine_lps[:3, :3], axis=1)
    thickness = _averaged(thickness, outer)
    below = outer.points_mm - INWARD_VOXELS * voxel_mm[:, None] * outer.normals
    return ThicknessMap(
        points_mm=outer.points_mm,
        areas_mm2=outer.areas_mm2,
        thickness_mm=thickness,
        thickness_voxels=thickness / voxel_mm,
        regions=femur.sample_labels(below),
    )


def _averaged(thickness_mm: FloatArray, surface: Surface) -> FloatArray:
    """The mean by area over the surface near each point."""
    tree = cKDTree(surface.points_mm)
    _, near = tree.query(surface.points_mm, k=NEIGHBOURS, distance_upper_bound=AVERAGED_MM)
    # what is not found within the bound has the index n, one beyond the last
    areas = np.append(surface.areas_mm2, 0.0)[near]
    values = np.append(thickness_mm, 0.0)[near]
    averaged: FloatArray = (areas * values).sum(axis=1) / areas.sum(axis=1)
    return averaged
