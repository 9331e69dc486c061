"""What a femur of the sample is drawn as: lengths, pose, cortex, roughness."""

from dataclasses import dataclass

from service.domain.findings import FemurSide
from service.errors import GeometryError
from service.sample.distance_fields import Vector

MEAN_HEAD_RADIUS_MM = 22.8
"""Head radius of the mean femur to which all other lengths are given."""


@dataclass(frozen=True)
class FemurShape:
    """Lengths in mm of this femur (already scaled), angles in degrees.

    Raises:
        GeometryError: for a length that is not positive or an angle outside 90 to 180 degrees.
    """

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

    def __post_init__(self) -> None:
        lengths = (self.head_radius_mm, self.neck_radius_mm, self.shaft_radius_mm, self.offset_mm)
        if min(lengths) <= 0 or not 90 < self.neck_shaft_angle_deg < 180:
            raise GeometryError(
                f"a femur needs positive lengths and a neck-shaft angle of 90-180 degrees: {self}"
            )


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
    """Thickness of the cortex in mm where it is typical.

    Raises:
        GeometryError: for a thickness that is not positive.
    """

    shaft_mm: float
    calcar_mm: float
    head_mm: float
    trochanter_mm: float

    def __post_init__(self) -> None:
        if min(self.shaft_mm, self.calcar_mm, self.head_mm, self.trochanter_mm) <= 0:
            raise GeometryError(f"a cortex needs positive thickness everywhere: {self}")


@dataclass(frozen=True)
class Ripple:
    """One sine wave that roughens the surface: amplitude mm, wave vector rad/mm, phase rad."""

    amplitude_mm: float
    wave: Vector
    phase: float
