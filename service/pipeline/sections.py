"""Plane sections of a femur."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from service.domain.findings import LandmarkFit
from service.domain.geometry import FloatArray
from service.domain.imaging import BoolArray
from service.pipeline.distance_field import DistanceField

STEP_MM = 1.0
"""Distance between the samples of a section."""

ON_AXIS_MM = 1.5
"""A section whose centroid lies this near to an axis agrees with it."""

SNAP_MM = 6.0
"""How far from the bone an axis point may lie and still belong to the nearest piece."""


@dataclass(frozen=True, eq=False)
class Section:
    """The piece of bone that a plane shows around an axis point.

    Attributes:
        area_mm2: 0 where there is no bone near the axis point.
        centroid_mm: ``(3,)`` in the left frame; the axis point itself when empty.
        complete: whether the whole piece lies in the scan; false when empty.
    """

    area_mm2: float
    centroid_mm: FloatArray
    complete: bool


def unit(vector: FloatArray) -> FloatArray:
    """The vector at length 1; the zero vector stays as it is."""
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else vector


def perpendicular_axes(normal: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Two unit vectors that make a right-handed frame with a unit normal."""
    # written out, since np.cross takes a fifth of a section's time
    x, y, z = (float(c) for c in normal)
    least = int(np.argmin(np.abs(normal)))
    u = unit(np.array([(0.0, z, -y), (-z, 0.0, x), (y, -x, 0.0)][least]))
    a, b, c = (float(d) for d in u)
    return u, np.array([y * c - z * b, z * a - x * c, x * b - y * a])


def section(
    field: DistanceField, point_mm: FloatArray, normal: FloatArray, half_width_mm: float
) -> Section:
    """The component of the section through ``point_mm`` that contains that point.

    Args:
        field: of the periosteal surface.
        point_mm: ``(3,)``, the axis point, in the left frame.
        normal: ``(3,)``, unit.
        half_width_mm: half the side of the square that is looked at.
    """
    count = int(np.ceil(half_width_mm / STEP_MM))
    offsets = np.arange(-count, count + 1, dtype=np.float64) * STEP_MM
    u, v = perpendicular_axes(normal)
    distance, seen = field.sample_plane(point_mm, u, v, offsets)
    piece = central_piece(distance, seen, STEP_MM)
    if piece is None:
        return Section(0.0, point_mm, complete=False)
    total = float(piece.share.sum())
    along_u = float(piece.share.sum(axis=1) @ offsets) / total
    along_v = float(piece.share.sum(axis=0) @ offsets) / total
    centroid = point_mm + along_u * u + along_v * v
    return Section(total * STEP_MM**2, centroid, piece.complete)


def axis_fit(sections: list[Section], point_mm: FloatArray, axis: FloatArray) -> LandmarkFit:
    """How well sections' centroids follow an axis through a point.

    Args:
        sections: all that were looked at; at least one holds bone.
        point_mm: ``(3,)``, on the axis.
        axis: ``(3,)``, unit.

    Returns:
        RMS distance of the centroids from the axis, and the share of the sections that are
        complete with their centroid within ``ON_AXIS_MM``.
    """
    offset = np.array([s.centroid_mm for s in sections if s.area_mm2 > 0]) - point_mm
    away = np.linalg.norm(offset - np.outer(offset @ axis, axis), axis=1)
    complete = np.array([s.complete for s in sections if s.area_mm2 > 0])
    return LandmarkFit(
        residual_mm=float(np.sqrt(np.mean(away**2))),
        quality=float(np.count_nonzero(complete & (away <= ON_AXIS_MM)) / len(sections)),
    )


@dataclass(frozen=True, eq=False)
class Piece:
    """One connected piece of a sampled plane.

    Attributes:
        share: float64 ``[n, n]``, how much of each pixel lies inside, 0-1.
        complete: whether the whole piece lies in the scan.
    """

    share: FloatArray
    complete: bool


def central_piece(distance: FloatArray, seen: BoolArray, step_mm: float) -> Piece | None:
    """The piece of a plane at its middle, or the nearest within SNAP_MM; None if there is none.

    Args:
        distance: ``[n, n]``, n odd, in mm, positive inside, true near the rim.
        seen: which samples lie in the scan.
        step_mm: between samples.
    """
    pieces, _ = ndimage.label(distance > 0)
    number = _nearest_piece(pieces, len(pieces) // 2, int(SNAP_MM / step_mm))
    if number == 0:
        return None
    piece = pieces == number
    # pixels on the rim count by the share that lies inside
    chosen = ndimage.binary_dilation(piece) & (piece | (pieces == 0)) & seen
    share = np.where(chosen, np.clip(distance / step_mm + 0.5, 0.0, 1.0), 0.0)
    if share.sum() <= 0:
        return None
    return Piece(share, complete=not bool((piece & ~seen).any()))


def _nearest_piece(pieces: npt.NDArray[np.int32], centre: int, reach: int) -> int:
    """Label of the piece at the middle, or of the nearest within reach; 0 if there is none."""
    if pieces[centre, centre]:
        return int(pieces[centre, centre])
    near = pieces[centre - reach : centre + reach + 1, centre - reach : centre + reach + 1]
    found = np.argwhere(near > 0)
    if found.size == 0:
        return 0
    squared = ((found - reach) ** 2).sum(axis=1)
    best = found[int(np.argmin(squared))]
    return int(near[best[0], best[1]])
