"""Voxels -> regions, given the planes of ``regions/v1``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from service.domain.geometry import FloatArray, VolumeGeometry
from service.domain.imaging import BoolArray, FemurRegion
from service.pipeline.distance_field import CanonicalMask


@dataclass(frozen=True, eq=False)
class HalfSpace:
    """What lies on the side of a plane its normal points to; both ``(3,)``, in the left frame."""

    point_mm: FloatArray
    normal: FloatArray

    def height_mm(self, geometry: VolumeGeometry) -> npt.NDArray[np.float32]:
        """Distance of every voxel centre of a grid from the plane, positive on its side."""
        step_xyz = self.normal @ geometry.affine_lps[:3, :3]
        start = float(self.normal @ (geometry.affine_lps[:3, 3] - self.point_mm))
        z, y, x = (
            (np.arange(count) * step)
            for count, step in zip(geometry.shape_zyx, step_xyz[::-1], strict=True)
        )
        height: npt.NDArray[np.float32] = (
            start + z[:, None, None] + y[None, :, None] + x[None, None, :]
        ).astype(np.float32)
        return height

    def holds(self, geometry: VolumeGeometry) -> BoolArray:
        """Which voxels of a grid lie on the plane's side (on the plane counts)."""
        inside: BoolArray = self.height_mm(geometry) >= 0
        return inside


@dataclass(frozen=True, eq=False)
class RegionBounds:
    """The planes that divide a femur; None where not found.

    Attributes:
        head_centre_mm, neck_centre_mm: ``(3,)``, what the head and the neck are connected to.
        lateral_of_head: beyond the head|neck plane.
        lateral_of_neck: beyond the neck|trochanter plane.
        above_neck_axis: the trochanter's side of the trochanter|intertrochanter plane.
        above_distal: above the distal plane.
    """

    head_centre_mm: FloatArray
    neck_centre_mm: FloatArray
    lateral_of_head: HalfSpace
    lateral_of_neck: HalfSpace | None
    above_neck_axis: HalfSpace | None
    above_distal: HalfSpace | None


def partition(mask: CanonicalMask, bounds: RegionBounds) -> npt.NDArray[np.uint8]:
    """Labels of the regions that the planes at hand can bound, uint8 on the mask's grid.

    Head and neck are connected pieces: bone in their half-space or slab that hangs elsewhere (the
    overhanging greater trochanter) belongs to the trochanter or intertrochanter. With all planes,
    the labels cover every voxel of the mask above the distal plane.
    """
    inside, geometry = mask.inside, mask.geometry
    labels = np.zeros(inside.shape, dtype=np.uint8)
    lateral = bounds.lateral_of_head.holds(geometry)
    head = _connected(inside & ~lateral, geometry, bounds.head_centre_mm)
    labels[head] = FemurRegion.HEAD
    if bounds.lateral_of_neck is None:
        return labels
    slab = inside & lateral & ~bounds.lateral_of_neck.holds(geometry)
    neck = _connected(slab, geometry, bounds.neck_centre_mm)
    labels[neck] = FemurRegion.NECK
    if bounds.above_neck_axis is None or bounds.above_distal is None:
        return labels
    rest = inside & ~head & ~neck
    above = bounds.above_neck_axis.holds(geometry)
    labels[rest & above] = FemurRegion.TROCHANTER
    labels[rest & ~above] = FemurRegion.INTERTROCHANTER
    labels[~bounds.above_distal.holds(geometry)] = 0
    return labels


def _connected(part: BoolArray, geometry: VolumeGeometry, point_mm: FloatArray) -> BoolArray:
    """The piece of ``part`` (faces touching) nearest to a point; all false for an empty part."""
    pieces, count = ndimage.label(part)
    if count == 0:
        return np.zeros_like(part)
    index = np.rint(geometry.lps_to_index(point_mm)).astype(int)
    z, y, x = np.clip(index, 0, np.array(part.shape) - 1)
    number = int(pieces[z, y, x])
    if number == 0:
        voxels = np.argwhere(part)
        away = geometry.index_to_lps(voxels) - point_mm
        nearest = voxels[int(np.argmin((away**2).sum(axis=1)))]
        number = int(pieces[tuple(nearest)])
    connected: BoolArray = pieces == number
    return connected
