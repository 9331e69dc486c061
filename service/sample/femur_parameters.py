"""What a femur of the sample is drawn as: lengths, pose, cortex, roughness."""

from dataclasses import dataclass

from service.domain.findings import FemurSide
from service.sample.distance_fields import Vector

MEAN_HEAD_RADIUS_MM = 22.8
"""Head radius of the mean femur to which all other lengths are given."""


@dataclass(frozen=True)
class FemurShape:
    """Lengths in mm of this femur (already scaled), angles in degrees."""

    head_radius_mm: float
    neck_shaft_angle_deg: float
    anteversion_deg: float
    offset_mm: float
    head_height_mm: float
    neck_radius_mm: float
    neck_flattening: float
    shaft_radius_mm: float
    shaft_flattening: float
    bow_radius_mm: float
    greater_tip_below_head_mm: float
    lesser_reach_mm: float


@dataclass(frozen=True)
class FemurPose:
    """Where the head is (LPS mm) and how the femur is turned about it (degrees)."""

    side: FemurSide
    head_centre_lps_mm: Vector
    flexion_deg: float
    abduction_deg: float
    external_rotation_deg: float


@dataclass(frozen=True)
class CortexShape:
    """Thickness of the cortex in mm where it is typical."""

    shaft_mm: float
    calcar_mm: float
    head_mm: float
    trochanter_mm: float


@dataclass(frozen=True)
class Ripple:
    """One sine wave that roughens the surface: amplitude mm, wave vector rad/mm, phase rad."""

    amplitude_mm: float
    wave: Vector
    phase: float
