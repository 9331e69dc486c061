"""Signed distance fields of simple solids, and the operators that join them.

Every function takes points as `Points`: three float32 arrays (x, y, z) of one shape, in mm, and
returns a float32 array of that shape: the distance to the surface in mm, negative inside. Formulas:
Inigo Quilez, "Distance functions" (iquilezles.org/articles/distfunctions); `ellipsoid` is a first-
order bound, the others but `elliptic_rod` are exact.
"""

from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from service.errors import GeometryError

FloatArray = npt.NDArray[np.float32]
Vector = tuple[float, float, float]


class Points(NamedTuple):
    """Cartesian components of many points, three float32 arrays of one shape, mm."""

    x: FloatArray
    y: FloatArray
    z: FloatArray

    @classmethod
    def of(cls, points: npt.NDArray[np.floating]) -> Self:
        """From an array (..., 3)."""
        components = np.moveaxis(np.asarray(points, dtype=np.float32), -1, 0)
        return cls(*(np.ascontiguousarray(component) for component in components))

    def moved(self, rotation: npt.NDArray[np.floating], origin: Vector) -> "Points":
        """Return rotation @ (p - origin) for every point; rotation is 3 x 3, maybe a reflection."""
        x, y, z = self.minus(origin)
        rows = np.asarray(rotation, dtype=np.float32)
        return Points(*(row[0] * x + row[1] * y + row[2] * z for row in rows))

    def minus(self, origin: Vector) -> "Points":
        """Return p - origin for every point."""
        return Points(
            self.x - np.float32(origin[0]),
            self.y - np.float32(origin[1]),
            self.z - np.float32(origin[2]),
        )

    def along(self, direction: Vector) -> FloatArray:
        """Return the scalar product with a direction, mm when it is a unit vector."""
        a, b, c = (np.float32(component) for component in direction)
        return np.asarray(a * self.x + b * self.y + c * self.z, dtype=np.float32)

    def length(self) -> FloatArray:
        """Return the distance from the origin, mm."""
        return np.asarray(np.sqrt(self.x**2 + self.y**2 + self.z**2), dtype=np.float32)


def unit(vector: Vector) -> Vector:
    """Return the vector scaled to length 1."""
    x, y, z = vector
    length = float(np.sqrt(x * x + y * y + z * z))
    return x / length, y / length, z / length


def sphere(points: Points, centre: Vector, radius_mm: float) -> FloatArray:
    """Return the distance to a sphere."""
    return points.minus(centre).length() - np.float32(radius_mm)


def round_cone(
    points: Points, start: Vector, start_radius_mm: float, stop: Vector, stop_radius_mm: float
) -> FloatArray:
    """Return the distance to the hull of two spheres (a capsule when the radii are equal).

    Raises GeometryError when one sphere contains the other.
    """
    p = points.minus(start)
    axis = np.subtract(stop, start).astype(np.float64)
    length_2 = float(axis @ axis)
    radius_step = start_radius_mm - stop_radius_mm
    slant_2 = length_2 - radius_step**2
    if slant_2 <= 0:
        raise GeometryError(f"one sphere of the cone contains the other: {start} to {stop}")
    along = p.along((axis[0], axis[1], axis[2]))
    across = np.sqrt(np.maximum(p.length() ** 2 * length_2 - along**2, 0.0))
    slope = radius_step / np.sqrt(slant_2)
    # Foot of the perpendicular to the slanted side, as a share of the axis.
    share = np.clip((along - across * slope) / length_2, 0.0, 1.0)
    beside = np.sqrt((along - share * length_2) ** 2 + across**2) / np.sqrt(length_2)
    return np.asarray(beside - (start_radius_mm - share * radius_step), dtype=np.float32)


def ellipsoid(points: Points, centre: Vector, semi_axes_mm: Vector) -> FloatArray:
    """Return about the distance to an axis-parallel ellipsoid, good near its surface."""
    p = points.minus(centre)
    a, b, c = (np.float32(axis) for axis in semi_axes_mm)
    level = np.sqrt((p.x / a) ** 2 + (p.y / b) ** 2 + (p.z / c) ** 2)
    slope = np.sqrt((p.x / a**2) ** 2 + (p.y / b**2) ** 2 + (p.z / c**2) ** 2)
    inside_limit = np.float32(-min(semi_axes_mm))
    distance = level * (level - 1) / np.maximum(slope, np.float32(1e-6))
    return np.asarray(np.where(level > 1e-3, distance, inside_limit), dtype=np.float32)


def elliptic_rod(
    across: FloatArray, up: FloatArray, radius_mm: FloatArray, flattening: FloatArray
) -> FloatArray:
    """Return about the distance to a rod of elliptic section of equivalent radius `radius_mm`.

    `across` and `up` are coordinates in the section; `up` is stretched by 1 + flattening, `across`
    shrunk by it.
    """
    stretch = 1 + flattening
    u, v = up / stretch, across * stretch
    level = np.sqrt(u**2 + v**2)
    slope = np.sqrt((u / stretch) ** 2 + (v * stretch) ** 2)
    factor = np.where(level > 1e-3, level / np.maximum(slope, np.float32(1e-6)), 1.0)
    return np.asarray((level - radius_mm) * factor, dtype=np.float32)


def smooth_union(first: FloatArray, second: FloatArray, blend_mm: float) -> FloatArray:
    """Return the union with a fillet about `blend_mm` wide (polynomial smooth minimum)."""
    h = np.maximum(np.float32(blend_mm) - np.abs(first - second), 0) / np.float32(blend_mm)
    return np.asarray(np.minimum(first, second) - h * h * np.float32(blend_mm / 4), np.float32)


def smooth_cut(solid: FloatArray, cutter: FloatArray, blend_mm: float) -> FloatArray:
    """Return `solid` less `cutter`, the edge rounded over about `blend_mm`."""
    return -smooth_union(-solid, cutter, blend_mm)


def smooth_step(values: FloatArray, low: float, high: float) -> FloatArray:
    """Return 0 at `low`, 1 at `high`, a smooth cubic between and constant beyond."""
    t = np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def bump(distance: FloatArray, width_mm: float) -> FloatArray:
    """Return a Gaussian of the distance: 1 at 0, standard deviation `width_mm`."""
    return np.asarray(np.exp(-0.5 * (distance / np.float32(width_mm)) ** 2), dtype=np.float32)


def coverage(distance: FloatArray, width_mm: float) -> FloatArray:
    """Share of a voxel inside a surface, from its signed distance in mm: a ramp one voxel wide."""
    share: FloatArray = np.clip(np.float32(0.5) - distance / np.float32(width_mm), 0, 1)
    return share


def blend(image: FloatArray, share: FloatArray, hu: FloatArray | float) -> None:
    """Lay a material over an image of HU in place; ``share`` of each voxel becomes ``hu``."""
    image += share * (np.asarray(hu, dtype=np.float32) - image)
