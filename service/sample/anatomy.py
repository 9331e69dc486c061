"""The anatomy of a sample hip, drawn from a seed: femurs, pelvis, soft tissue, tissue HU."""

from dataclasses import dataclass

import numpy as np

from service.domain.findings import FemurSide
from service.sample.body import BodyAnatomy
from service.sample.distance_fields import unit
from service.sample.femur import FemurAnatomy
from service.sample.femur_parameters import (
    MEAN_HEAD_RADIUS_MM,
    CortexShape,
    FemurPose,
    FemurShape,
    Ripple,
)
from service.sample.pelvis import Acetabulum, PelvisAnatomy
from service.sample.texture import Texture, draw_texture
from service.sample.tissue import BoneTissue, draw_tissue

ANATOMY_STREAM = 11
"""Keeps these draws apart from the acquisition's; chosen so that seed 0, the demo, lies flat."""

NARROW_GAP_SHARE = 0.15
"""Share of the hips with a joint gap narrowed to 1.5-2 mm."""

FLEXED_SHARE = 0.12
"""Share of the subjects who lie with a thigh flexed by 15 to 35 degrees."""


@dataclass(frozen=True)
class HipAnatomy:
    """Everything that is scanned, in closed form, LPS mm."""

    left: FemurAnatomy
    right: FemurAnatomy
    pelvis: PelvisAnatomy
    body: BodyAnatomy
    tissue: BoneTissue
    texture: Texture

    @property
    def femurs(self) -> tuple[FemurAnatomy, FemurAnatomy]:
        """Left and right."""
        return self.left, self.right


def draw_anatomy(seed: int) -> HipAnatomy:
    """Draw a subject; the same seed always gives the same one.

    Args:
        seed: any integer >= 0.

    Raises:
        ValueError: for a negative seed (NumPy's own).
    """
    rng = np.random.default_rng([seed, ANATOMY_STREAM])
    radius = float(np.clip(rng.normal(22.8, 1.4), 20.0, 26.0))
    scale = radius / MEAN_HEAD_RADIUS_MM
    cortex = _draw_cortex(rng)
    half_distance = float(rng.uniform(84, 92)) * scale
    x, y, z = (float(rng.uniform(-a, a)) for a in (12, 15, 15))
    flexed = rng.random() < FLEXED_SHARE
    femurs: list[FemurAnatomy] = []
    sockets: list[Acetabulum] = []
    for side, sign in ((FemurSide.LEFT, 1.0), (FemurSide.RIGHT, -1.0)):
        own_radius = radius * float(rng.uniform(0.985, 1.015))
        head = (half_distance, float(rng.uniform(-2, 2)), float(rng.uniform(-3, 3)))
        centre = (x + sign * head[0], y + head[1], z + head[2])
        femurs.append(
            FemurAnatomy(
                shape=_draw_shape(rng, own_radius),
                pose=_draw_pose(rng, side, centre, flexed),
                cortex=cortex,
                ripples=_draw_ripples(rng),
            )
        )
        sockets.append(_draw_socket(rng, head, own_radius))
    pelvis = PelvisAnatomy(
        origin_lps_mm=(x, y, z),
        scale=scale * float(rng.uniform(0.96, 1.06)),
        cortex_mm=float(rng.uniform(1.0, 2.0)),
        left=sockets[0],
        right=sockets[1],
    )
    return HipAnatomy(
        left=femurs[0],
        right=femurs[1],
        pelvis=pelvis,
        body=_draw_body(rng, half_distance),
        tissue=draw_tissue(rng),
        texture=draw_texture(rng),
    )


def _draw_cortex(rng: np.random.Generator) -> CortexShape:
    factor = float(np.clip(rng.normal(1.0, 0.15), 0.7, 1.35))
    return CortexShape(
        shaft_mm=float(rng.uniform(5.0, 6.6)) * factor,
        calcar_mm=float(rng.uniform(3.0, 4.0)) * factor,
        head_mm=max(0.8, float(rng.uniform(0.95, 1.35)) * factor),
        trochanter_mm=max(1.0, float(rng.uniform(1.2, 1.8)) * factor),
    )


def _draw_shape(rng: np.random.Generator, radius: float) -> FemurShape:
    s = radius / MEAN_HEAD_RADIUS_MM
    return FemurShape(
        head_radius_mm=radius,
        neck_shaft_angle_deg=float(np.clip(rng.normal(125, 5), 113, 138)),
        anteversion_deg=float(rng.uniform(5, 25)),
        offset_mm=float(rng.uniform(40, 48)) * s,
        head_height_mm=float(rng.uniform(68, 77)) * s,
        neck_radius_mm=float(rng.uniform(0.63, 0.70)) * radius,
        neck_flattening=float(rng.uniform(0.04, 0.15)),
        shaft_radius_mm=float(rng.uniform(12.8, 14.8)) * s,
        shaft_flattening=float(rng.uniform(-0.06, 0.06)),
        bow_radius_mm=float(rng.uniform(700, 1400)),
        greater_tip_below_head_mm=float(rng.uniform(0, 12)) * s,
        lesser_reach_mm=float(rng.uniform(16.5, 20.0)) * s,
    )


def _draw_pose(
    rng: np.random.Generator, side: FemurSide, centre: tuple[float, float, float], flexed: bool
) -> FemurPose:
    flexion = rng.uniform(15, 35) if flexed else rng.normal(2, 5)
    return FemurPose(
        side=side,
        head_centre_lps_mm=centre,
        flexion_deg=float(np.clip(flexion, -10, 35)),
        abduction_deg=float(np.clip(rng.normal(-2, 5), -12, 14)),
        external_rotation_deg=float(np.clip(rng.normal(4, 9), -16, 25)),
    )


def _draw_ripples(rng: np.random.Generator) -> tuple[Ripple, ...]:
    waves = []
    for _ in range(5):
        wavelength = float(rng.uniform(22, 60))
        x, y, z = unit((rng.normal(), rng.normal(), rng.normal()))
        k = 2 * np.pi / wavelength
        waves.append(
            Ripple(
                amplitude_mm=0.007 * wavelength,
                wave=(x * k, y * k, z * k),
                phase=float(rng.uniform(0, 2 * np.pi)),
            )
        )
    return tuple(waves)


def _draw_socket(
    rng: np.random.Generator, head: tuple[float, float, float], radius: float
) -> Acetabulum:
    narrow = rng.random() < NARROW_GAP_SHARE
    inclination = np.radians(rng.uniform(36, 46))
    version = np.radians(rng.uniform(10, 24))
    return Acetabulum(
        head_centre=head,
        head_radius_mm=radius,
        gap_mm=float(rng.uniform(1.5, 2.0) if narrow else rng.uniform(2.2, 4.0)),
        opening=(
            float(np.sin(inclination) * np.cos(version)),
            float(-np.sin(inclination) * np.sin(version)),
            float(-np.cos(inclination)),
        ),
        rim_mm=float(rng.uniform(-1.0, 4.0)),
    )


def _draw_body(rng: np.random.Generator, half_distance: float) -> BodyAnatomy:
    fat = float(rng.uniform(10, 40))
    contrast = rng.random() < 0.25
    return BodyAnatomy(
        half_width_mm=half_distance + 62 + fat,
        half_depth_mm=82 + 0.8 * fat,
        fat_mm=fat,
        thigh_radius_mm=68 + 0.8 * fat,
        septum_mm=float(rng.uniform(2.0, 4.5)),
        muscle_hu=float(rng.uniform(42, 66)),
        fat_hu=float(rng.uniform(-112, -92)),
        skin_hu=float(rng.uniform(10, 60)),
        vessel_hu=float(rng.uniform(120, 260) if contrast else rng.uniform(40, 60)),
        table_gap_mm=float(rng.uniform(2, 10)),
    )
