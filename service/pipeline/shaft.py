"""The shaft: a rough line first, then the axis below the lesser trochanter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.domain.findings import LandmarkFit
from service.domain.geometry import FloatArray
from service.pipeline.distance_field import DistanceField
from service.pipeline.sections import Section, axis_fit, section, unit

SHELL_FROM_R = 3.3
SHELL_TO_R = 7.0
SHELL_STEP_MM = 4.0
"""Spherical shells about the head centre, in head radii, whose centroids start the shaft line
whatever the flexion of the hip; from 3.3 radii on they cross little but shaft."""

MIN_START_POINTS = 3

AXIAL_SHARE = 0.6
AXIAL_MAX_MM = 150.0
"""Without a head, the lower 60 % of the bone in view, 150 mm at most, starts the line."""

AXIS_FROM_MM = 10.0
AXIS_TO_MM = 60.0
AXIS_STEP_MM = 2.5
MIN_AXIS_LENGTH_MM = 20.0
"""Sections from 10 to 60 mm distal to the lesser trochanter carry the axis; at least 20 mm of them
must lie complete in the scan. The femur's bow turns a line fitted to more shaft by up to 8
degrees, hence the bounds."""

SECTION_HALF_WIDTH_MM = 40.0

OUTLIER_SCALES = 3.0
MIN_SCALE_MM = 0.3
"""Centroids farther from the line than three robust standard deviations do not count."""


@dataclass(frozen=True, eq=False)
class Line:
    """A line in the left frame: a point ``(3,)`` in mm and a unit direction, proximal."""

    point_mm: FloatArray
    direction: FloatArray

    def height_mm(self, points_mm: FloatArray) -> FloatArray:
        """Positions ``(..., 3)`` along the line, in mm from its point."""
        heights: FloatArray = (points_mm - self.point_mm) @ self.direction
        return heights

    def at(self, height_mm: float) -> FloatArray:
        """The point at this height."""
        return self.point_mm + height_mm * self.direction


@dataclass(frozen=True, eq=False)
class ShaftFit:
    """A line fitted to complete shaft sections.

    Attributes:
        line: through their centroids; meaningless when too short.
        length_mm: of the shaft the sections span.
        fit: of the sections sought; None with too few for a line.
    """

    line: Line
    length_mm: float
    fit: LandmarkFit | None = None

    @property
    def long_enough(self) -> bool:
        """Whether the sections span what the definition needs."""
        return self.length_mm >= MIN_AXIS_LENGTH_MM


def robust_line(points_mm: FloatArray, proximal: FloatArray) -> Line:
    """The line of least squared distance to points ``[n, 3]``, n >= 2, outliers left out.

    Args:
        points_mm: points along the line.
        proximal: ``(3,)``, a direction with a positive component along the result's.
    """
    kept = points_mm
    for _ in range(5):
        centre = kept.mean(axis=0)
        direction = np.linalg.svd(kept - centre)[2][0]
        offset = points_mm - centre
        distance = np.linalg.norm(offset - np.outer(offset @ direction, direction), axis=1)
        scale = max(1.4826 * float(np.median(distance)), MIN_SCALE_MM)
        inliers = points_mm[distance <= OUTLIER_SCALES * scale]
        if len(inliers) == len(kept) or len(inliers) < MIN_START_POINTS:
            break
        kept = inliers
    if direction @ proximal < 0:
        direction = -direction
    return Line(centre, unit(direction))


def shell_centroids(
    field: DistanceField, head_centre_mm: FloatArray, head_radius_mm: float
) -> FloatArray:
    """Centroids of the bone in spherical shells about the head, ``[n, 3]``, nearest first."""
    bone = field.bone_points_mm()
    distance = np.linalg.norm(bone - head_centre_mm, axis=1)
    edges = np.arange(SHELL_FROM_R * head_radius_mm, SHELL_TO_R * head_radius_mm, SHELL_STEP_MM)
    shells = [bone[(distance >= e) & (distance < e + SHELL_STEP_MM)] for e in edges]
    centroids = [s.mean(axis=0) for s in shells if len(s)]
    return np.array(centroids).reshape(-1, 3)


def axial_centroids(field: DistanceField) -> FloatArray:
    """Centroids of axial layers of the lower part of the bone, ``[n, 3]``, lowest first."""
    bone = field.bone_points_mm()
    if bone.size == 0:
        return np.empty((0, 3))
    low, high = float(bone[:, 2].min()), float(bone[:, 2].max())
    layer = ((bone[:, 2] - low) / SHELL_STEP_MM).astype(int)
    last = int(min(AXIAL_SHARE * (high - low), AXIAL_MAX_MM) / SHELL_STEP_MM)
    layers = [bone[layer == i] for i in range(last)]
    return np.array([part.mean(axis=0) for part in layers if len(part)]).reshape(-1, 3)


def shaft_section(field: DistanceField, line: Line, height_mm: float) -> Section:
    """The section perpendicular to a line at a height along it."""
    return section(field, line.at(height_mm), line.direction, SECTION_HALF_WIDTH_MM)


def fit_shaft(field: DistanceField, line: Line, trochanter_height_mm: float) -> ShaftFit:
    """The line through the centroids of complete sections below the lesser trochanter.

    Args:
        field: of the periosteal surface.
        line: the sections are perpendicular to it.
        trochanter_height_mm: of the lesser trochanter's most prominent point along ``line``.
    """
    sought = np.arange(AXIS_FROM_MM, AXIS_TO_MM + AXIS_STEP_MM / 2, AXIS_STEP_MM)
    cuts = []
    for below in sought:
        cut = shaft_section(field, line, trochanter_height_mm - float(below))
        if not cut.complete:
            break
        cuts.append(cut)
    length = AXIS_STEP_MM * max(len(cuts) - 1, 0)
    if len(cuts) < MIN_START_POINTS:
        return ShaftFit(line, length)
    fitted = robust_line(np.array([cut.centroid_mm for cut in cuts]), line.direction)
    seen = axis_fit(cuts, fitted.point_mm, fitted.direction)
    share = seen.quality * len(cuts) / len(sought)
    return ShaftFit(fitted, length, LandmarkFit(residual_mm=seen.residual_mm, quality=share))
