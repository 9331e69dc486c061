"""HU of the trabecular bone of a femur: its groups of trabeculae and what lies between them.

The groups are those that Singh's index grades (Singh, Nagrath, Maini, JBJS Am 1970): the principal
compressive one from the calcar to the top of the head, the principal tensile one in an arc from the
lateral cortex through the upper neck into the head, the secondary compressive and the trochanteric
one; between them lies Ward's triangle.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from model_export.phantoms.subject import Tissue
from service.sample.distance_fields import (
    FloatArray,
    Points,
    Vector,
    bump,
    round_cone,
    smooth_step,
)
from service.sample.femur import FemurAnatomy
from service.sample.texture import Texture

SCAR_HU = 90.0
"""What the closed growth plate adds."""

WARD_SHARE = 0.3
WARD_WEIGHT = 0.85
"""Where Ward's triangle lies on the way from the shaft axis to the head, and how empty it is."""

GROUP_LEAN_DEG = 22.0
"""Angle of the principal compressive group with the shaft axis."""


def trabecular_hu(
    femur: FemurAnatomy, tissue: Tissue, texture: Texture, points: Points
) -> FloatArray:
    """HU inside the cortex at points in the femur frame, float32."""
    s = femur.scale
    head = np.array(femur.head_centre)
    radius = femur.head_radius_mm
    hu = np.full_like(points.x, tissue.background)
    off_head = points.minus(femur.head_centre).length()
    in_head = 1 - smooth_step(off_head, 0.7 * radius, 1.25 * radius)
    hu += in_head * np.float32(tissue.head - tissue.background)
    compressive = _fan(points, head, radius, s)
    tensile = _band(points, _tensile_path(head, s), 5.5 * s)
    trochanteric = _band(points, ((17 * s, 0, 4 * s), (15 * s, 5 * s, 0.75 * head[2])), 6 * s)
    secondary = _band(points, ((-12 * s, 4 * s, 2 * s), (6 * s, 2 * s, 34 * s)), 6 * s)
    hu += np.float32(tissue.compressive) * compressive
    hu += np.float32(tissue.tensile) * tensile * (1 - 0.6 * compressive)
    hu += np.float32(tissue.trochanteric) * trochanteric
    hu += np.float32(0.35 * tissue.tensile) * secondary
    lateral = smooth_step(points.x, 0, 14 * s) * smooth_step(points.z, 5 * s, 30 * s)
    hu -= np.float32(0.6 * tissue.background) * lateral
    ward = bump(points.minus(_on_neck(femur, WARD_SHARE)).length(), 9 * s) * (1 - compressive)
    hu += np.float32(WARD_WEIGHT) * ward * (np.float32(tissue.ward) - hu)
    shaft = smooth_step(-points.z, -22 * s, 40 * s)
    hu += shaft * (np.float32(tissue.marrow) - hu)
    hu += _grain(points, hu - np.float32(tissue.marrow), shaft, tissue, texture)
    scar = points.minus(femur.head_centre).along(femur.neck_direction) - np.float32(0.05 * radius)
    bent = scar + off_head**2 / np.float32(5 * radius) - np.float32(2.0)
    hu += np.float32(SCAR_HU) * bump(bent, 0.8) * in_head
    return np.asarray(hu, dtype=np.float32)


def _grain(
    points: Points, bone: FloatArray, shaft: FloatArray, tissue: Tissue, texture: Texture
) -> FloatArray:
    """Trabeculae: grains drawn out along the principal compressive group."""
    c, s = np.cos(np.radians(GROUP_LEAN_DEG)), np.sin(np.radians(GROUP_LEAN_DEG))
    leaning = points.moved(np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]), (0.0, 0.0, 0.0))
    amount = np.float32(tissue.grain) * np.maximum(bone, 0) + 12 * shaft + 8
    return np.asarray(amount * texture.at(leaning, (0.7, 0.9, 2.4)), dtype=np.float32)


def _fan(points: Points, head: FloatArray, radius: float, s: float) -> FloatArray:
    """Weight of the principal compressive group: widening from the calcar to the head's top."""
    top = (float(head[0]) + 3 * s, float(head[1]), float(head[2]) + 0.5 * radius)
    bottom = (0.48 * float(head[0]), 0.55 * float(head[1]), float(head[2]) - 1.35 * radius)
    inside = round_cone(points, top, 7.5 * s, bottom, 2.5 * s)
    return bump(np.maximum(inside, 0), 4.5 * s)


def _tensile_path(head: FloatArray, s: float) -> tuple[Vector, ...]:
    x, y, z = (float(v) for v in head)
    return (
        (15 * s, 0.0, -6 * s),
        (9 * s, 0.0, 0.42 * z),
        (0.22 * x, 0.25 * y, 0.74 * z),
        (0.6 * x, 0.6 * y, 0.95 * z),
        (1.05 * x, y, 0.9 * z),
        (1.25 * x, y, 0.72 * z),
    )


def _band(points: Points, path: tuple[Vector, ...], width_mm: float) -> FloatArray:
    """Weight of a group that follows a path, flat at its middle."""
    nearest = np.full_like(points.x, 1e3)
    for start, stop in pairwise(path):
        nearest = np.minimum(nearest, round_cone(points, start, 2.0, stop, 2.0))
    return bump(np.maximum(nearest, 0), 0.7 * width_mm)


def _on_neck(femur: FemurAnatomy, share: float) -> Vector:
    x, y, z = femur.neck_direction
    a, b, c = femur.neck_base
    length = share * femur.neck_length_mm
    return a + x * length, b + y * length, c + z * length - 3.0 * femur.scale
