"""The lesser trochanter: the bump on the posteromedial shaft."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, signal

from service.domain.geometry import FloatArray
from service.pipeline.distance_field import DistanceField
from service.pipeline.neck import parabola_vertex
from service.pipeline.sections import unit
from service.pipeline.shaft import Line

SECTOR_DEG = (20.0, 115.0)
SECTOR_STEP_DEG = 5.0
"""Where around the shaft axis it is sought: from medial (the head's side, 0) to posterior (90)."""

HEIGHT_STEP_MM = 1.0
RAY_STEP_MM = 0.5
RAY_LENGTH_MM = 50.0

SMOOTHING_CELLS = (1.0, 1.0)
"""Gaussian over height and angle before peaks are sought."""

MIN_PROMINENCE_MM = 1.5
"""How far the surface must fall back on both sides along the shaft."""

MIN_BUMP_MM = 4.0
"""How far the peak must stand out over the typical shaft radius of the profile's distal part."""


SAME_BUMP_CELLS = (10, 6)
"""Peaks within 10 mm along the shaft and 30 degrees around it are of one bump."""


@dataclass(frozen=True, eq=False)
class LesserTrochanter:
    """The most prominent point of the lesser trochanter.

    Attributes:
        point_mm: ``(3,)`` in the left frame.
        height_mm: along the line it was measured from.
        bump_mm: how far it stands out over the shaft; 0 when there is none.
    """

    point_mm: FloatArray
    height_mm: float
    bump_mm: float

    @property
    def found(self) -> bool:
        """Whether there is one."""
        return self.bump_mm > 0


def find_lesser_trochanter(
    field: DistanceField, line: Line, medial: FloatArray, heights_mm: tuple[float, float]
) -> LesserTrochanter:
    """Farthest point from a shaft line among the posteromedial bumps of the first surface met.

    Args:
        field: of the periosteal surface.
        line: the shaft, roughly or better.
        medial: ``(3,)``, a direction with a component towards the head's side.
        heights_mm: range along ``line`` to look at, lowest first.
    """
    nothing = LesserTrochanter(line.point_mm, 0.0, 0.0)
    heights = np.arange(heights_mm[0], heights_mm[1], HEIGHT_STEP_MM)
    if heights.size < 10:
        return nothing
    m = unit(medial - (medial @ line.direction) * line.direction)
    posterior = np.cross(line.direction, -m)
    angles = np.deg2rad(np.arange(SECTOR_DEG[0], SECTOR_DEG[1] + 0.1, SECTOR_STEP_DEG))
    rays = np.cos(angles)[:, None] * m + np.sin(angles)[:, None] * posterior
    profile = _first_exits(field, line, heights, rays)
    smooth = ndimage.gaussian_filter(profile, SMOOTHING_CELLS, mode="nearest")
    best, found = _top(smooth)
    if not found:
        return nothing
    i, j = best
    shift = parabola_vertex(*(float(v) for v in smooth[i - 1 : i + 2, j]))
    height = float(heights[i] + shift * HEIGHT_STEP_MM)
    bump = float(smooth[i, j] - _shaft_radius(smooth, i))
    return LesserTrochanter(line.at(height) + profile[i, j] * rays[j], height, bump)


def _first_exits(
    field: DistanceField, line: Line, heights_mm: FloatArray, rays: FloatArray
) -> FloatArray:
    """Distance from the line to the surface, ``[height, ray]``; 0 where the line is outside."""
    along = np.arange(0.0, RAY_LENGTH_MM, RAY_STEP_MM)
    origins = line.point_mm + heights_mm[:, None] * line.direction
    points = origins[:, None, None, :] + along[None, None, :, None] * rays[None, :, None, :]
    inside = (field.sample(points) > 0) & field.contains(points)
    exits = np.where(inside.all(axis=2), along.size, np.argmin(inside, axis=2))
    distances: FloatArray = exits * RAY_STEP_MM
    return distances


def _shaft_radius(profile: FloatArray, peak: int) -> float:
    """Typical radius of the bone met below a peak, without its own flank."""
    below = profile[: max(peak - 10, 1)]
    seen = below[below > 0]
    return float(np.median(seen)) if seen.size else np.inf


def _top(profile: FloatArray) -> tuple[tuple[int, int], bool]:
    """Indices of the lesser trochanter's top, and whether there is one.

    The peak that stands out most along the shaft names the bump; its top is the farthest of the
    peaks around it.
    """
    tops: list[tuple[int, int]] = []
    named, best_prominence = (0, 0), 0.0
    for j in range(profile.shape[1]):
        peaks, facts = signal.find_peaks(profile[:, j], prominence=MIN_PROMINENCE_MM)
        for i, prominence in zip(peaks, facts["prominences"], strict=True):
            bump = profile[i, j] - _shaft_radius(profile, int(i))
            if bump < MIN_BUMP_MM:
                continue
            tops.append((int(i), j))
            if prominence > best_prominence:
                named, best_prominence = (int(i), j), float(prominence)
    same = [
        top
        for top in tops
        if abs(top[0] - named[0]) <= SAME_BUMP_CELLS[0]
        and abs(top[1] - named[1]) <= SAME_BUMP_CELLS[1]
    ]
    return max(same, key=lambda top: float(profile[top]), default=named), bool(same)
