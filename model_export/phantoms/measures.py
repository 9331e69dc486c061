"""Lengths and densities of a phantom's femur, read from the fields that it is rendered from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from model_export.phantoms.anatomy import HipSide, PhantomAnatomy
from model_export.phantoms.bones import BoneFields, femur_fields, pelvis_fields
from service.sample.distance_fields import FloatArray, Points, Vector

REACH_MM = 45.0
"""The joint is looked at within this of the head's centre."""

ROI_MM = 4.0
"""Radius of the ball in which HU are averaged."""


class Measures(NamedTuple):
    """Of one femur: age in years, lengths in mm, densities in HU at 120 kVp.

    ``worn`` says whether its joint was drawn with osteoarthritis; all else is read.
    """

    age: float
    worn: bool
    joint_gap_mm: float
    head_radius_mm: float
    neck_shaft_angle_deg: float
    head_cortex_mm: float
    superior_neck_mm: float
    inferior_neck_mm: float
    trochanter_mm: float
    shaft_mm: float
    head_hu: float
    compressive_hu: float
    neck_hu: float
    ward_hu: float
    trochanter_hu: float
    marrow_hu: float
    cortical_hu: float
    pelvic_hu: float


def measure(anatomy: PhantomAnatomy, side: HipSide) -> Measures:
    """Reads the measures of a femur from the fields it is rendered from."""
    femur = femur_fields(anatomy, side)
    placed = side.placed
    length, radius, s = placed.neck_length_mm, placed.head_radius_mm, placed.scale
    surface = Points.of(side.framed.surface.points)
    along, across, up = placed.neck_section(surface)
    upward = up / np.maximum(np.hypot(across, up), 1)
    mid_neck = (along > 0.5 * length) & (along < length - 1.05 * radius)
    thickness = femur.thickness.at(surface)
    x, y, z = placed.head_centre

    def at_neck(share: float, up_mm: float) -> Vector:
        point = np.array(placed.neck_base) + share * length * np.array(placed.neck_direction)
        return float(point[0]), float(point[1]), float(point[2]) + up_mm * s

    def roi(centre: Vector) -> float:
        grid = femur.filling.nodes()
        inside = grid.minus(centre).length() < ROI_MM
        return float(femur.filling.values[inside].mean())

    return Measures(
        age=anatomy.subject.age,
        worn=anatomy.subject.joints[side.index].osteophytes > 0,
        joint_gap_mm=joint_gap_mm(anatomy, side, femur),
        head_radius_mm=radius,
        neck_shaft_angle_deg=placed.shape.neck_shaft_angle_deg,
        head_cortex_mm=float(np.median(thickness[along > length + 0.2 * radius])),
        superior_neck_mm=float(np.median(thickness[mid_neck & (upward > 0.9)])),
        inferior_neck_mm=float(np.median(thickness[mid_neck & (upward < -0.9)])),
        trochanter_mm=float(np.median(thickness[(surface.x > 18 * s) & (surface.z > 20 * s)])),
        shaft_mm=float(np.median(thickness[np.abs(surface.z + 60) < 10])),
        head_hu=roi((x, y + 0.45 * radius, z)),
        compressive_hu=roi((x + 2 * s, y, z + 0.1 * radius)),
        neck_hu=roi(at_neck(0.45, 0.0)),
        ward_hu=roi(at_neck(0.3, -3.0)),
        trochanter_hu=roi((9 * s, 3 * s, 0.6 * z)),
        marrow_hu=roi((0.0, 0.0, -70.0)),
        cortical_hu=anatomy.subject.tissue.cortical,
        pelvic_hu=anatomy.subject.tissue.pelvic,
    )


def joint_gap_mm(anatomy: PhantomAnatomy, side: HipSide, femur: BoneFields) -> float:
    """Median distance to the head from the pelvis's surface above it."""
    centre = np.array(side.placed.head_centre_lps_mm)
    low, high = centre - REACH_MM, centre + REACH_MM
    box = ((low[0], low[1], low[2]), (high[0], high[1], high[2]))
    pelvis = pelvis_fields(anatomy, side, femur, box)
    nodes = pelvis.surface.nodes()
    x, y, z = (float(v) for v in centre)
    up = nodes.minus((x, y, z))
    steep = up.z > 0.85 * up.length()
    gaps: FloatArray = femur.surface.at(side.placed.points_to_femur(nodes))
    at_roof = steep & (np.abs(pelvis.surface.values) < 0.5) & (gaps < 10)
    return float(np.median((gaps + pelvis.surface.values)[at_roof]))
