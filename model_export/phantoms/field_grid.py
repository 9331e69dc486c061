"""Signed distance to a bone's surface on a regular grid, interpolated between its nodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import cKDTree

from model_export.phantoms.shape_model import BoneSurface
from service.sample.distance_fields import FloatArray, Points

COARSE = 3
"""Nodes far from the surface are interpolated from every third one."""

NEAR_MM = 3.5
"""Up to here the surface is the tangent plane of the nearest point, beyond it is that point."""

CREASE_MM = 0.6
"""Standard deviation of the smoothing that rounds creases between elements."""

NEIGHBOURS = 9
FOLD_DEG = 60.0
"""A point whose normal is as far off the mean of its neighbours' lies on a folded element."""


@dataclass(frozen=True, eq=False)
class FieldGrid:
    """A scalar field in mm on nodes ``step_mm`` apart, trilinear between them.

    Attributes:
        origin_mm: (x, y, z) of the first node.
        step_mm: distance of nodes along every axis.
        values: float32 ``[z, y, x]``.
    """

    origin_mm: tuple[float, float, float]
    step_mm: float
    values: FloatArray

    def at(self, points: Points) -> FloatArray:
        """The field at points, float32 of their shape; outside the grid, of its border."""
        index = [
            (component - np.float32(start)) / np.float32(self.step_mm)
            for component, start in zip(points[::-1], self.origin_mm[::-1], strict=True)
        ]
        sampled: FloatArray = ndimage.map_coordinates(
            self.values, index, output=np.float32, order=1, mode="nearest"
        )
        return sampled

    def nodes(self) -> Points:
        """Positions of all nodes, each component ``[z, y, x]``."""
        axes = [
            np.float32(start) + np.float32(self.step_mm) * np.arange(count, dtype=np.float32)
            for start, count in zip(self.origin_mm, self.values.shape[::-1], strict=True)
        ]
        z, y, x = np.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
        return Points(x, y, z)


def distance_grid(
    surface: BoneSurface, low_mm: npt.ArrayLike, high_mm: npt.ArrayLike, step_mm: float
) -> FieldGrid:
    """The signed distance to a surface within a box, negative inside.

    Exact to a few hundredths of a millimetre near the surface, to the spacing of its points beyond.

    Args:
        surface: dense points with outward normals.
        low_mm: lowest corner (x, y, z) of the box.
        high_mm: highest corner.
        step_mm: distance of nodes.
    """
    low, high = np.asarray(low_mm, float), np.asarray(high_mm, float)
    counts = np.ceil((high - low) / (COARSE * step_mm)).astype(int) + 1
    reach = 4 * COARSE * step_mm
    kept = np.all((surface.points > low - reach) & (surface.points < high + reach), axis=1)
    nearby = _NearestPlane(_unfolded(BoneSurface(surface.points[kept], surface.normals[kept])))
    coarse = nearby.distance(_lattice(low, counts, COARSE * step_mm))
    values = coarse
    for axis in range(3):
        values = _refined(values, axis)
    x, y, z = (float(v) for v in low)
    grid = FieldGrid((x, y, z), step_mm, values)
    band = np.abs(values) < NEAR_MM + COARSE * step_mm
    place = np.argwhere(band)[:, ::-1] * step_mm + low
    values[band] = nearby.distance(place)
    ndimage.gaussian_filter(values, CREASE_MM / step_mm, output=values, truncate=3.0)
    return grid


def _lattice(
    low: npt.NDArray[np.float64], counts: npt.NDArray[np.int64], step: float
) -> npt.NDArray[np.float64]:
    axes = [start + step * np.arange(count) for start, count in zip(low, counts, strict=True)]
    z, y, x = np.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
    return np.stack((x, y, z), axis=-1)


def _refined(values: FloatArray, axis: int) -> FloatArray:
    """``COARSE`` times as many nodes along an axis, linear between those given."""
    count = values.shape[axis]
    place = np.arange((count - 1) * COARSE + 1) / COARSE
    lower = np.minimum(place.astype(int), count - 2)
    shape = [1, 1, 1]
    shape[axis] = -1
    share = (place - lower).astype(np.float32).reshape(shape)
    first = np.take(values, lower, axis=axis)
    return np.asarray(first + share * (np.take(values, lower + 1, axis=axis) - first), np.float32)


def _unfolded(surface: BoneSurface) -> BoneSurface:
    """The surface without the points of folded elements.

    Samples far from the mean shape fold some elements over: their normals point inwards, and all
    places to which such a point is the nearest, however far outside, would be taken for bone.
    """
    _, index = cKDTree(surface.points).query(surface.points, NEIGHBOURS)
    mean = surface.normals[index].mean(axis=1)
    along = np.sum(mean * surface.normals, axis=1)
    kept = along > np.cos(np.radians(FOLD_DEG)) * np.linalg.norm(mean, axis=1)
    return BoneSurface(surface.points[kept], surface.normals[kept])


class _NearestPlane:
    """Signed distance by the nearest point of a surface and its tangent plane."""

    def __init__(self, surface: BoneSurface) -> None:
        self._surface = surface
        self._tree = cKDTree(surface.points)

    def distance(self, places: npt.NDArray[np.float64]) -> FloatArray:
        """Float32 ``[...]`` at places ``[..., 3]``."""
        length, index = self._tree.query(places)
        off = places - self._surface.points[index]
        plane = np.sum(off * self._surface.normals[index], axis=-1)
        signed = np.where(plane < 0, -length, length)
        far = np.clip(length / NEAR_MM - 0.5, 0, 1)
        return np.asarray(plane + far * (signed - plane), dtype=np.float32)
