"""A femur's periosteal mask as a signed distance field that planes and rays can sample.

Landmarks are sought in the *left frame*: LPS mm, with x negated for a right femur, so that every
femur is a left one (medial is -x, posterior +y, superior +z).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from service.domain.findings import FemurSide
from service.domain.geometry import AxisOrder, Box, FloatArray, SpacingMm, VolumeGeometry
from service.domain.imaging import BoolArray, FemurMasks

WORK_SPACING_MM = 1.0
"""Voxels finer than half of this are averaged in whole blocks up to it: landmarks need no more."""

MARGIN_VOXELS = 3
"""Background kept around the bone, where the scan has any."""

SMOOTHING_VOXELS = 0.8
"""Gaussian that takes the voxel steps off the distance; moves a 22 mm sphere by under 0.05 mm."""

NEAR_VOXELS = 6
SLAB_SLICES = 24
"""Distances are taken slab by slab, in the box that bone fills there and 6 voxels around it, which
is exact as far from the surface, and no farther. An oblique femur fills little of its own box."""


@dataclass(frozen=True, eq=False)
class Surface:
    """The zero level of a distance field as points.

    Attributes:
        points_mm: float64 ``[n, 3]`` in the left frame.
        normals: float64 ``[n, 3]``, unit, outward.
        areas_mm2: float64 ``[n]``, the surface area each point stands for.
    """

    points_mm: FloatArray
    normals: FloatArray
    areas_mm2: FloatArray


@dataclass(frozen=True, eq=False)
class DistanceField:
    """Distance to the periosteal surface, positive inside; far from it only the sign is meant.

    Beyond the grid the field repeats its border, so bone that meets the border goes on outside:
    that is how a section knows that it was cut by the scan or the field of view.

    Attributes:
        distance_mm: float32 ``[z, y, x]``.
        geometry: of the grid, in the left frame.
    """

    distance_mm: npt.NDArray[np.float32]
    geometry: VolumeGeometry

    def sample(self, points_mm: FloatArray) -> FloatArray:
        """Distance in mm at points ``(..., 3)`` of the left frame, by linear interpolation."""
        index = np.moveaxis(self.geometry.lps_to_index(points_mm), -1, 0)
        values: FloatArray = ndimage.map_coordinates(
            self.distance_mm, index, output=np.float64, order=1, mode="nearest"
        )
        return values

    def sample_plane(
        self, point_mm: FloatArray, u: FloatArray, v: FloatArray, offsets_mm: FloatArray
    ) -> tuple[FloatArray, BoolArray]:
        """Distance, and whether it lies in the grid, at ``point + offsets x u + offsets x v``.

        Returns:
            Two arrays ``[n, n]`` for n offsets, indexed ``[along u, along v]``.
        """
        origin, at_u, at_v = self.geometry.lps_to_index(
            np.stack([point_mm, point_mm + u, point_mm + v])
        )
        steps_u = np.multiply.outer(at_u - origin, offsets_mm)[:, :, None]
        steps_v = np.multiply.outer(at_v - origin, offsets_mm)[:, None, :]
        index = origin[:, None, None] + steps_u + steps_v
        values: FloatArray = ndimage.map_coordinates(
            self.distance_mm, index, output=np.float64, order=1, mode="nearest"
        )
        return values, self._in_grid(index)

    def contains(self, points_mm: FloatArray) -> BoolArray:
        """Whether points ``(..., 3)`` of the left frame lie in a voxel of the grid."""
        return self._in_grid(np.moveaxis(self.geometry.lps_to_index(points_mm), -1, 0))

    def _in_grid(self, index: FloatArray) -> BoolArray:
        inside = np.ones(index.shape[1:], dtype=np.bool_)
        for along, count in zip(index, self.geometry.shape_zyx, strict=True):
            inside &= (along >= -0.5) & (along <= count - 0.5)
        return inside

    def bone_points_mm(self) -> FloatArray:
        """Centres of the voxels inside the bone, ``[n, 3]``."""
        return self.geometry.index_to_lps(np.argwhere(self.distance_mm > 0))

    def surface(self) -> Surface:
        """Where grid lines cross the zero level; the cut faces of the bone are no surface.

        An axis' lines cross a unit of area ``|n_axis| / (product of the other spacings)`` times,
        which gives each crossing its share of the area.
        """
        gradient = np.stack([np.gradient(self.distance_mm, axis=a) for a in range(3)], axis=-1)
        crossings = [self._crossings(axis, gradient) for axis in range(3)]
        index = np.concatenate([c[0] for c in crossings])
        slope = np.concatenate([c[1] for c in crossings])
        # a gradient is a covector: index gradients turn into mm through the inverse affine
        inverse = np.linalg.inv(self.geometry.affine_lps[:3, :3])
        normals = -(slope[:, ::-1] @ inverse)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
        along = np.abs(normals @ self.geometry.affine_lps[:3, :3])
        per_mm2 = along.sum(axis=1) / self.geometry.voxel_volume_mm3
        return Surface(self.geometry.index_to_lps(index), normals, 1.0 / per_mm2)

    def _crossings(
        self, axis: int, gradient: npt.NDArray[np.float32]
    ) -> tuple[FloatArray, FloatArray]:
        f = np.moveaxis(self.distance_mm, axis, 0)
        lower = np.argwhere((f[:-1] > 0) != (f[1:] > 0))
        here = tuple(lower.T)
        there = (lower[:, 0] + 1, lower[:, 1], lower[:, 2])
        share = (f[here] / (f[here] - f[there])).astype(np.float64)
        g = np.moveaxis(gradient, axis, 0)
        slope = g[here] * (1 - share[:, None]) + g[there] * share[:, None]
        index = lower.astype(np.float64)
        index[:, 0] += share
        order = [1, 0, 2] if axis == 1 else [1, 2, 0] if axis == 2 else [0, 1, 2]
        return index[:, order], slope


@dataclass(frozen=True, eq=False)
class CanonicalMask:
    """A periosteal mask turned so that its axes run closest to S, P and lateral, cropped to bone.

    A right femur and its mirror image give the same array here, and so do both slice orders.

    Attributes:
        inside: bool ``[z, y, x]``.
        geometry: in the left frame.
        order: how the source array was turned.
        box: where ``inside`` lies in the turned array.
    """

    inside: BoolArray
    geometry: VolumeGeometry
    order: AxisOrder
    box: Box


def left_frame(masks: FemurMasks) -> VolumeGeometry:
    """The masks' grid with x negated for a right femur, which makes it a left one."""
    if masks.side is FemurSide.LEFT:
        return masks.geometry
    affine = np.diag([-1.0, 1.0, 1.0, 1.0]) @ masks.geometry.affine_lps
    return VolumeGeometry(masks.geometry.shape_zyx, affine)


def canonical_mask(mask: BoolArray, left_frame: VolumeGeometry) -> CanonicalMask:
    """Turn and crop a mask that holds at least one voxel; ``left_frame`` is its grid."""
    order = AxisOrder.closest_to_spl(left_frame)
    turned = order.apply(mask)
    start, stop = [], []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        occupied = np.flatnonzero(turned.any(axis=others))
        start.append(max(int(occupied[0]) - MARGIN_VOXELS, 0))
        stop.append(min(int(occupied[-1]) + 1 + MARGIN_VOXELS, turned.shape[axis]))
    box = Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
    inside = np.ascontiguousarray(turned[box.slices])
    return CanonicalMask(inside, order.apply_geometry(left_frame).crop(box), order, box)


def distance_field(mask: CanonicalMask) -> DistanceField:
    """The signed distance field of a mask on a grid no finer than landmarks need."""
    share, geometry = block_means(mask.inside, mask.geometry)
    inside = share >= 0.5
    spacing = geometry.spacing_mm
    signed = _signed_distance(inside, spacing)
    # the same width in mm along each axis, so that thick slices are not smeared
    sigma = [SMOOTHING_VOXELS * min(spacing) / step for step in spacing]
    smooth = ndimage.gaussian_filter(signed, sigma, mode="nearest", truncate=3.0)
    return DistanceField(smooth, geometry)


def _signed_distance(inside: BoolArray, spacing: SpacingMm) -> npt.NDArray[np.float32]:
    """Distance of voxels in mm to the faces of a mask, positive inside."""
    half_step = 0.5 * min(spacing)
    signed = np.full(inside.shape, -NEAR_VOXELS * min(spacing), dtype=np.float32)
    for first in range(0, len(inside), SLAB_SLICES):
        slab = slice(max(first - NEAR_VOXELS, 0), first + SLAB_SLICES + NEAR_VOXELS)
        for bone in ndimage.find_objects(inside[slab].any(axis=0).view(np.uint8)):
            box = tuple(slice(max(s.start - NEAR_VOXELS, 0), s.stop + NEAR_VOXELS) for s in bone)
            part = inside[(slab, *box)]
            within = ndimage.distance_transform_edt(part, sampling=spacing)
            outside = ndimage.distance_transform_edt(~part, sampling=spacing)
            distance = np.where(part, within - half_step, half_step - outside)
            own = slice(first - slab.start, first - slab.start + SLAB_SLICES)
            signed[(slice(first, first + SLAB_SLICES), *box)] = distance[own]
    return signed


def block_means(
    inside: BoolArray, geometry: VolumeGeometry
) -> tuple[npt.NDArray[np.float32], VolumeGeometry]:
    """Share of bone, 0-1, on a grid of whole blocks of voxels, each side up to WORK_SPACING_MM."""
    z, y, x = (max(1, int(WORK_SPACING_MM / step + 1e-3)) for step in geometry.spacing_mm)
    if (z, y, x) == (1, 1, 1):
        return inside.astype(np.float32), geometry
    pad = [(0, -n % f) for n, f in zip(inside.shape, (z, y, x), strict=True)]
    padded = np.pad(inside, pad, mode="edge")
    nz, ny, nx = (n // f for n, f in zip(padded.shape, (z, y, x), strict=True))
    share = padded.reshape(nz, z, ny, y, nx, x).mean(axis=(1, 3, 5), dtype=np.float32)
    affine = geometry.affine_lps.copy()
    affine[:3, 3] = geometry.index_to_lps([(z - 1) / 2, (y - 1) / 2, (x - 1) / 2])
    affine[:3, :3] = affine[:3, :3] * np.array([x, y, z])
    return share, VolumeGeometry((nz, ny, nx), affine)
