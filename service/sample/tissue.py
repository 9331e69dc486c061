"""HU of what fills the bones: trabecular bone of the femur, its weak and strong places, marrow."""

from dataclasses import dataclass

import numpy as np

from service.sample.distance_fields import FloatArray, Points, Vector, bump, round_cone, smooth_step
from service.sample.femur import FemurAnatomy
from service.sample.texture import Texture


@dataclass(frozen=True)
class BoneTissue:
    """HU of the bone of one subject.

    Attributes:
        cortical_hu: compact bone of the femur.
        pelvic_cortical_hu: compact bone of the pelvis, more porous.
        head_hu: trabecular bone of the head.
        neck_hu: trabecular bone of neck and trochanters.
        ward_hu: Ward's triangle, the weak place in the neck.
        marrow_hu: fatty marrow of the shaft.
        pelvic_hu: trabecular bone of the pelvis.
        grain: standard deviation of the texture as a share of the local trabecular HU + 100.
    """

    cortical_hu: float
    pelvic_cortical_hu: float
    head_hu: float
    neck_hu: float
    ward_hu: float
    marrow_hu: float
    pelvic_hu: float
    grain: float


def draw_tissue(rng: np.random.Generator) -> BoneTissue:
    """Draw the bone of one subject: dense in some, osteoporotic in others."""
    density = float(np.clip(rng.normal(1.0, 0.22), 0.55, 1.45))
    cortical = float(rng.uniform(950, 1400))
    return BoneTissue(
        cortical_hu=cortical,
        pelvic_cortical_hu=cortical * float(rng.uniform(0.62, 0.85)),
        head_hu=float(rng.uniform(270, 360)) * density,
        neck_hu=float(rng.uniform(80, 160)) * density,
        ward_hu=float(rng.uniform(-30, 50)),
        marrow_hu=float(rng.uniform(-80, 0)),
        pelvic_hu=float(rng.uniform(140, 240)) * density,
        grain=float(rng.uniform(0.12, 0.26)),
    )


def trabecular_hu(
    femur: FemurAnatomy, tissue: BoneTissue, texture: Texture, points: Points
) -> FloatArray:
    """HU inside the cortex at points in the femur frame, float32."""
    s = femur.scale
    from_head = points.minus(femur.head_centre).length()
    hu = np.full_like(points.x, tissue.neck_hu)
    head = 1 - smooth_step(from_head, femur.head_radius_mm * 0.75, femur.head_radius_mm * 1.35)
    hu += head * np.float32(tissue.head_hu - tissue.neck_hu)
    hu += np.float32(0.45 * tissue.head_hu) * _compressive_arcade(femur, points)
    ward = bump(points.minus(_on_neck(femur, 0.36, -1.0)).length(), 9 * s)
    hu += ward * np.float32(tissue.ward_hu - tissue.neck_hu)
    lateral = smooth_step(points.x, 4 * s, 18 * s) * smooth_step(points.z, 10 * s, 30 * s)
    hu -= lateral * np.float32(0.35 * tissue.neck_hu)
    shaft = smooth_step(-points.z, -28 * s, 35 * s)
    hu += shaft * (np.float32(tissue.marrow_hu) - hu)
    grain = np.float32(tissue.grain) * (np.maximum(hu, 0) + 60 * (1 - shaft) + 10)
    # Grains run along the neck into the head, as the principal compressive trabeculae do.
    return np.asarray(hu + grain * texture.at(points, (1.0, 1.0, 2.2)), dtype=np.float32)


def _on_neck(femur: FemurAnatomy, share: float, up_mm: float) -> Vector:
    x, y, z = femur.neck_direction
    a, b, c = femur.neck_base
    length = share * femur.neck_length_mm
    return a + x * length, b + y * length, c + z * length + up_mm * femur.scale


def _compressive_arcade(femur: FemurAnatomy, points: Points) -> FloatArray:
    """Weight of the principal compressive trabeculae: from the top of the head to the calcar."""
    s = femur.scale
    x, y, z = femur.head_centre
    top = (x + 1 * s, y, z + 0.55 * femur.head_radius_mm)
    bottom = (0.52 * x, 0.52 * y, z - 1.15 * femur.head_radius_mm)
    return bump(np.maximum(round_cone(points, top, 6 * s, bottom, 2.5 * s), 0), 5 * s)
