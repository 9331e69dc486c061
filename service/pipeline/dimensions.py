"""Landmarks and axes -> lengths and angles."""

from __future__ import annotations

import numpy as np

from service.domain.geometry import FloatArray
from service.domain.measurements import Dimensions
from service.pipeline.left_femur import FemurAxes, LeftFemur
from service.pipeline.shaft import Line

AXIS_STEP_MM = 0.25
AXIS_REACH_MM = 120.0
"""How far to both sides of the neck centre the surface is sought along the neck axis."""

LATERAL = np.array([1.0, 0.0, 0.0])
"""Of the scan, in the left frame."""


def measure_dimensions(
    femur: LeftFemur, head_radius_mm: float | None, neck_width_mm: float | None
) -> Dimensions:
    """Lengths and angles of one femur; each null where a landmark it needs is missing.

    Args:
        femur: with its axes.
        head_radius_mm: of the head, which may be known without a neck.
        neck_width_mm: of the narrowest section.
    """
    axes = femur.axes
    diameter = 2 * head_radius_mm if head_radius_mm is not None else None
    if axes is None:
        return Dimensions(head_diameter_mm=diameter)
    found = Dimensions(
        head_diameter_mm=diameter,
        neck_width_mm=neck_width_mm,
        neck_axis_length_mm=_neck_axis_length_mm(femur, axes),
    )
    if axes.shaft is None:
        return found
    lesser = axes.lesser_trochanter_mm
    return found.model_copy(
        update={
            "femoral_offset_mm": _distance_mm(axes.head_centre_mm, axes.shaft),
            "neck_version_to_scan_deg": _turn_deg(LATERAL, axes.neck_axis, axes.shaft),
            "neck_to_lesser_trochanter_deg": (
                _turn_deg(lesser - axes.shaft.point_mm, -axes.neck_axis, axes.shaft)
                if lesser is not None
                else None
            ),
        }
    )


def _neck_axis_length_mm(femur: LeftFemur, axes: FemurAxes) -> float | None:
    """Between the outermost crossings of the neck axis with the surface; None if one is cut."""
    along = np.arange(-AXIS_REACH_MM, AXIS_REACH_MM + AXIS_STEP_MM / 2, AXIS_STEP_MM)
    points = axes.neck_centre_mm + along[:, None] * axes.neck_axis
    depth = femur.outer.sample(points)
    inside = np.flatnonzero((depth > 0) & femur.outer.contains(points))
    if len(inside) == 0:
        return None
    first, last = int(inside[0]), int(inside[-1])
    if first == 0 or last == len(along) - 1 or depth[first - 1] > 0 or depth[last + 1] > 0:
        return None
    if not femur.off_border(points[[first, last]]).all():
        return None
    before = depth[first] / (depth[first] - depth[first - 1])
    after = depth[last] / (depth[last] - depth[last + 1])
    return float(last - first + before + after) * AXIS_STEP_MM


def _distance_mm(point_mm: FloatArray, line: Line) -> float:
    foot = line.at(float(line.height_mm(point_mm)))
    return float(np.linalg.norm(point_mm - foot))


def _turn_deg(start: FloatArray, end: FloatArray, shaft: Line) -> float:
    """From one direction to another about the shaft axis.

    Positive from lateral over posterior to medial. A head in front of the shaft makes the neck
    axis, which runs laterally, run backwards: a positive version.
    """
    s = shaft.direction
    sine = float(s @ np.cross(start, end))
    cosine = float(start @ end - (start @ s) * (end @ s))
    return float(np.rad2deg(np.arctan2(sine, cosine)))
