"""The femur of the sample: a closed-form periosteal field and the cortex under it.

Femur frame (both sides): origin on the shaft axis at the height of the lesser trochanter, x
lateral, y posterior, z proximal, mm. Measures are those of a mean femur (head radius 22.8 mm) times
`scale`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from service.domain.findings import FemurSide
from service.sample.distance_fields import (
    FloatArray,
    Points,
    Vector,
    bump,
    elliptic_rod,
    round_cone,
    smooth_cut,
    smooth_step,
    smooth_union,
    sphere,
    unit,
)
from service.sample.femur_parameters import (
    MEAN_HEAD_RADIUS_MM,
    CortexShape,
    FemurPose,
    FemurShape,
    Ripple,
)

SHAFT_TOP_MM = 12.0
"""Where the shaft rod ends, inside the intertrochanteric mass."""


def _turn(angle_deg: float, axis: int) -> npt.NDArray[np.float64]:
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    rotation = np.eye(3)
    rotation[i, i], rotation[i, j], rotation[j, i], rotation[j, j] = c, -s, s, c
    return rotation


@dataclass(frozen=True)
class FemurAnatomy:
    """One proximal femur, its shaft without end."""

    shape: FemurShape
    pose: FemurPose
    cortex: CortexShape
    ripples: tuple[Ripple, ...]

    @property
    def side(self) -> FemurSide:
        """The body side."""
        return self.pose.side

    @property
    def head_radius_mm(self) -> float:
        """Radius of the head sphere."""
        return self.shape.head_radius_mm

    @property
    def head_centre_lps_mm(self) -> Vector:
        """Centre of the head sphere, LPS mm."""
        return self.pose.head_centre_lps_mm

    @cached_property
    def scale(self) -> float:
        """Size relative to the mean femur."""
        return self.shape.head_radius_mm / MEAN_HEAD_RADIUS_MM

    @cached_property
    def neck_direction(self) -> Vector:
        """Unit vector along the neck towards the head, femur frame."""
        tilt = np.radians(180 - self.shape.neck_shaft_angle_deg)
        version = np.radians(self.shape.anteversion_deg)
        return (
            float(-np.sin(tilt) * np.cos(version)),
            float(-np.sin(tilt) * np.sin(version)),
            float(np.cos(tilt)),
        )

    @cached_property
    def head_centre(self) -> Vector:
        """Centre of the head, femur frame."""
        x, y, _ = self.neck_direction
        length = self.shape.offset_mm / float(np.hypot(x, y))
        return x * length, y * length, self.shape.head_height_mm

    @cached_property
    def neck_base(self) -> Vector:
        """Where the neck axis meets the shaft axis, femur frame."""
        return 0.0, 0.0, self.head_centre[2] - self.neck_length_mm * self.neck_direction[2]

    @cached_property
    def neck_length_mm(self) -> float:
        """Distance of head centre and shaft axis along the neck."""
        x, y, _ = self.neck_direction
        return self.shape.offset_mm / float(np.hypot(x, y))

    @cached_property
    def rotation_to_femur(self) -> npt.NDArray[np.float64]:
        """3 x 3, turns an LPS vector into the femur frame; a reflection for the right femur."""
        pose = self.pose
        # Flexion lifts the knee to anterior, abduction moves it lateral, both for the left femur.
        to_patient = (
            _turn(-pose.flexion_deg, 0)
            @ _turn(-pose.abduction_deg, 1)
            @ _turn(pose.external_rotation_deg, 2)
        )
        if pose.side is FemurSide.RIGHT:
            to_patient = np.diag([-1.0, 1.0, 1.0]) @ to_patient
        return to_patient.T

    def to_femur(self, points_lps: npt.NDArray[np.floating]) -> Points:
        """LPS mm (..., 3) to the femur frame."""
        return self.points_to_femur(Points.of(points_lps))

    def points_to_femur(self, points: Points) -> Points:
        """LPS mm to the femur frame."""
        x, y, z = points.moved(self.rotation_to_femur, self.head_centre_lps_mm)
        a, b, c = (np.float32(component) for component in self.head_centre)
        return Points(x + a, y + b, z + c)

    def to_lps(self, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Femur frame (..., 3) to LPS mm."""
        moved: npt.NDArray[np.float64] = (
            np.asarray(points, np.float64) - self.head_centre
        ) @ self.rotation_to_femur + self.head_centre_lps_mm
        return moved

    def periosteal_distance_mm(self, points_lps: npt.NDArray[np.floating]) -> FloatArray:
        """Signed distance to the outer surface at LPS mm (..., 3): float32, negative inside."""
        return self.periosteal_field(self.to_femur(points_lps))

    def endosteal_distance_mm(self, points_lps: npt.NDArray[np.floating]) -> FloatArray:
        """Signed distance to the inner surface of the cortex; never below the periosteal one."""
        points = self.to_femur(points_lps)
        return self.periosteal_field(points) + self.cortical_thickness_mm(points)

    def periosteal_field(self, points: Points) -> FloatArray:
        """As `periosteal_distance_mm`, at points in the femur frame."""
        s = self.scale
        body = smooth_union(self._shaft(points), self._intertrochanteric(points), 10 * s)
        body = smooth_union(body, self._greater_trochanter(points), 9 * s)
        lesser = self.shape.lesser_reach_mm / np.sqrt(2)
        lesser_cone = round_cone(
            points, (-5 * s, 5 * s, 7 * s), 10.5 * s, (-lesser, lesser, 0.0), 5.2 * s
        )
        body = smooth_union(body, lesser_cone, 5 * s)
        body = smooth_union(body, self._neck(points), 16 * s)
        bone = smooth_union(body, self._head(points), 5 * s)
        return bone + self._roughness(points)

    def _shaft(self, points: Points) -> FloatArray:
        shape = self.shape
        below = np.minimum(points.z, 0)
        # The femur bows forward (-y) on its way down.
        back = points.y + below**2 / np.float32(2 * shape.bow_radius_mm)
        flare = smooth_step(points.z, -45 * self.scale, 5 * self.scale)
        radius = np.float32(shape.shaft_radius_mm) + np.float32(1.2 * self.scale) * flare
        flattening = np.full_like(radius, shape.shaft_flattening)
        rod = elliptic_rod(points.x, back.astype(np.float32), radius.astype(np.float32), flattening)
        ridge = np.hypot(points.x - 2, back - np.float32(shape.shaft_radius_mm - 1.5)) - 3
        rod = smooth_union(rod, ridge.astype(np.float32), 5)
        return np.asarray(
            np.maximum(rod, points.z - np.float32(SHAFT_TOP_MM * self.scale)), np.float32
        )

    def _intertrochanteric(self, points: Points) -> FloatArray:
        s = self.scale
        radius = self.shape.shaft_radius_mm
        base = self.neck_base[2]
        return round_cone(points, (0, 0, -12 * s), radius + 0.5, (1.5 * s, 0, base - 6 * s), 16 * s)

    def _greater_trochanter(self, points: Points) -> FloatArray:
        s = self.scale
        tip = self.head_centre[2] - self.shape.greater_tip_below_head_mm - 5.5 * s
        side = round_cone(
            points, (8 * s, 1 * s, 28 * s), 17 * s, (15 * s, 5 * s, tip - 11 * s), 11 * s
        )
        hook = round_cone(
            points, (14 * s, 7 * s, tip - 6 * s), 9.5 * s, (7 * s, 15 * s, tip), 6.5 * s
        )
        crest = round_cone(
            points, (7 * s, 15 * s, tip - 3 * s), 6 * s, (-6 * s, 11 * s, 10 * s), 6 * s
        )
        return smooth_union(smooth_union(side, hook, 9 * s), crest, 7 * s)

    def neck_section(self, points: Points) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return (along, across, up): mm along the neck from its base, and in its section."""
        centred = points.minus(self.neck_base)
        x, y, z = self.neck_direction
        up = unit((-z * x, -z * y, 1 - z * z))
        across = (y * up[2] - z * up[1], z * up[0] - x * up[2], x * up[1] - y * up[0])
        return centred.along((x, y, z)), centred.along(across), centred.along(up)

    def _neck(self, points: Points) -> FloatArray:
        along, across, up = self.neck_section(points)
        length = self.neck_length_mm
        waist = length - 1.15 * self.shape.head_radius_mm
        lateral = (waist - along) / np.float32(length)
        medial = np.clip(-lateral, 0, 1)
        # Towards its base the neck widens, in height much more than in depth, and mostly below.
        # Further in it narrows again, so that it ends inside the intertrochanteric mass.
        flare = smooth_step(lateral, 0, 0.38) * smooth_step(along, -0.05 * length, 0.45 * length)
        radius = np.float32(self.shape.neck_radius_mm) * (1 + 0.38 * flare + 0.8 * medial**2)
        flattening = np.float32(self.shape.neck_flattening) + np.float32(0.28) * flare
        lowered = up + np.float32(3.5 * self.scale) * flare
        rod = elliptic_rod(across, lowered, radius.astype(np.float32), flattening)
        rounded = smooth_cut(rod, along, 16 * self.scale)
        return np.asarray(np.maximum(rounded, along - np.float32(length)), np.float32)

    def _head(self, points: Points) -> FloatArray:
        radius = self.head_radius_mm
        x, y, z = self.head_centre
        # The fovea lies medially, a little below and behind the neck axis.
        a, b, c = unit((-0.85, 0.25, 0.35))
        far = radius + 4.2 * self.scale
        fovea = sphere(points, (x + a * far, y + b * far, z + c * far), 6.0 * self.scale)
        return smooth_cut(sphere(points, (x, y, z), radius), fovea, 2.0)

    def _roughness(self, points: Points) -> FloatArray:
        total = np.zeros_like(points.x)
        for ripple in self.ripples:
            total += np.float32(ripple.amplitude_mm) * np.sin(
                points.along(ripple.wave) + np.float32(ripple.phase)
            )
        outside_head = smooth_step(
            points.minus(self.head_centre).length(),
            self.head_radius_mm + 1,
            self.head_radius_mm + 10,
        )
        return total * (np.float32(0.15) + np.float32(0.85) * outside_head)

    def cortical_thickness_mm(self, points: Points) -> FloatArray:
        """Thickness of the cortex at points in the femur frame, float32, at least `head_mm` / 2."""
        s = self.scale
        along, _, up = self.neck_section(points)
        radius = np.maximum(np.hypot(points.x, points.y), 1).astype(np.float32)
        shaft = smooth_step(-points.z, -22 * s, 38 * s)
        # Thickest medially, a little less laterally, thinnest in front and behind.
        medial = -points.x / radius
        wall = np.float32(self.cortex.shaft_mm) * (
            np.float32(0.92) + np.float32(0.10) * medial + np.float32(0.12) * medial**2
        )
        near_head = smooth_step(along, self.neck_length_mm * 0.35, self.neck_length_mm * 0.8)
        thin = np.float32(self.cortex.trochanter_mm) + near_head * np.float32(
            self.cortex.head_mm - self.cortex.trochanter_mm
        )
        inferior = smooth_step(-up, 2 * s, 15 * s) * smooth_step(-points.x, -2 * s, 10 * s)
        calcar = inferior * (1 - smooth_step(along, 20 * s, self.neck_length_mm - 6 * s))
        extra = np.float32(self.cortex.calcar_mm - self.cortex.trochanter_mm)
        thick = np.maximum(shaft * (wall - thin), calcar * extra)
        # The lesser trochanter is a thin shell of trabecular bone.
        reach = 0.7 * self.shape.lesser_reach_mm
        tip = points.minus((-reach, reach, 1 * s)).length()
        return np.asarray(thin + thick * (1 - np.float32(0.8) * bump(tip, 8 * s)), np.float32)
