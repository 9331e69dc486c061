"""The lesser trochanter: the bump on the posteromedial shaft."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage, signal

from service.domain.findings import LandmarkFit
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

TOP_MM = 0.5

SAME_BUMP_CELLS = (10, 6)
"""Peaks within 10 mm along the shaft and 30 degrees around it are of one bump."""


@dataclass(frozen=True, eq=False)
class LesserTrochanter:
    """The most prominent point of the lesser trochanter.

    Attributes:
        point_mm: ``(3,)`` in the left frame.
        height_mm: along the line it was measured from.
        bump_mm: how far it stands out over the shaft; 0 when there is none.
        fit: half the length along the shaft within ``TOP_MM`` of the top; how much less any other
            bump stands out, as a share. None when there is none.
    """

    point_mm: FloatArray
    height_mm: float
    bump_mm: float
    fit: LandmarkFit | None = None

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
    best = _top(smooth)
    if best is None:
        return nothing
    i, j = best.height, best.ray
    shift = parabola_vertex(*(float(v) for v in smooth[i - 1 : i + 2, j]))
    height = float(heights[i] + shift * HEIGHT_STEP_MM)
    bump = float(smooth[i, j] - _shaft_radius(smooth, i))
    fit = LandmarkFit(residual_mm=_plateau_mm(smooth[:, j], i), quality=best.lead)
    return LesserTrochanter(line.at(height) + profile[i, j] * rays[j], height, bump, fit)


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


@dataclass(frozen=True)
class _Peak:
    """A peak of the profile: its cell, and how far the surface falls back on both sides of it.

    ``lead`` is 1 where there is no other bump, 0 where another stands out as far.
    """

    height: int
    ray: int
    prominence_mm: float
    lead: float = 1.0


def _top(profile: FloatArray) -> _Peak | None:
    """The lesser trochanter's top; None where there is none.

    The peak that stands out most along the shaft names the bump; its top is the farthest of the
    peaks around it.
    """
    tops: list[_Peak] = []
    for j in range(profile.shape[1]):
        peaks, facts = signal.find_peaks(profile[:, j], prominence=MIN_PROMINENCE_MM)
        tops += [
            _Peak(int(i), j, float(prominence))
            for i, prominence in zip(peaks, facts["prominences"], strict=True)
            if profile[i, j] - _shaft_radius(profile, int(i)) >= MIN_BUMP_MM
        ]
    if not tops:
        return None
    named = max(tops, key=lambda top: top.prominence_mm)
    same = [
        top
        for top in tops
        if abs(top.height - named.height) <= SAME_BUMP_CELLS[0]
        and abs(top.ray - named.ray) <= SAME_BUMP_CELLS[1]
    ]
    others = [top.prominence_mm for top in tops if top not in same]
    farthest = max(same, key=lambda top: float(profile[top.height, top.ray]))
    return replace(farthest, lead=1.0 - max(others, default=0.0) / named.prominence_mm)


def _plateau_mm(column: FloatArray, peak: int) -> float:
    """Half the length around a peak where the profile lies within ``TOP_MM`` of it."""
    below = column < column[peak] - TOP_MM
    above_end = np.argmax(below[peak:]) if below[peak:].any() else len(column) - peak
    under = below[peak::-1]
    below_end = np.argmax(under) if under.any() else peak + 1
    return 0.5 * HEIGHT_STEP_MM * float(above_end + below_end - 1)
