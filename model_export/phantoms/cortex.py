"""Thickness of a femur's cortex at any place of it, from its thickness by site."""

from __future__ import annotations

import numpy as np

from model_export.phantoms.subject import Cortex
from service.sample.distance_fields import FloatArray, Points, bump, smooth_step
from service.sample.femur import FemurAnatomy
from service.sample.texture import Texture

UNEVEN_SHARE = 0.10
"""Standard deviation of the patchy variation, as a share of the thickness (Poole 2012)."""

PATCH_STRETCH = 6.0
"""Grains of the texture, 1 to 4 mm, are stretched to patches by this."""

THINNEST_MM = 0.4


def cortical_thickness_mm(
    femur: FemurAnatomy, cortex: Cortex, texture: Texture, points: Points
) -> FloatArray:
    """Thickness in mm at points in the femur frame, float32, at least ``THINNEST_MM``.

    Head, neck, trochanters and shaft blend into one another. Around the neck the thickness goes by
    direction: thin above, thick below (Mayhew 2005, Poole 2010); the thick part runs on as the
    calcar to the shaft's medial wall. The shaft is thickest medially and laterally.
    """
    s = femur.scale
    along, across, up = femur.neck_section(points)
    length = femur.neck_length_mm
    radius = femur.head_radius_mm
    upward: FloatArray = (up / np.maximum(np.hypot(across, up), 1)).astype(np.float32)
    thick: FloatArray = np.full_like(points.x, cortex.trochanter)
    neck = np.where(
        upward > 0,
        cortex.side_neck + (cortex.superior_neck - cortex.side_neck) * upward**2,
        cortex.side_neck + (cortex.inferior_neck - cortex.side_neck) * upward**2,
    )
    to_neck = smooth_step(along, 0.22 * length, 0.48 * length)
    thick += to_neck * (neck - thick)
    to_head = smooth_step(along, length - 1.05 * radius, length - 0.45 * radius)
    thick += to_head * (np.float32(cortex.head) - thick)
    calcar = (
        smooth_step(-points.x, 2 * s, 11 * s)
        * smooth_step(-upward, -0.1, 0.6)
        * (1 - smooth_step(along, 0.45 * length, length - 0.8 * radius))
        * smooth_step(points.z, -40 * s, -5 * s)
    )
    thick = np.maximum(thick, calcar * np.float32(0.95 * cortex.inferior_neck))
    shaft = smooth_step(-points.z, -18 * s, 40 * s)
    sideways = points.x / np.maximum(np.hypot(points.x, points.y), 1)
    wall = np.float32(cortex.shaft) * (np.float32(0.8) + np.float32(0.2) * sideways**2)
    # The medial wall is thick further up than the lateral one.
    medial = smooth_step(-points.z, -30 * s, 15 * s) * smooth_step(-points.x, 4 * s, 12 * s)
    thick = np.maximum(thick, (thick + np.maximum(shaft, 0.85 * medial) * (wall - thick)))
    lesser = points.minus((-13 * s, 13 * s, 0.0)).length()
    thick -= np.float32(0.55) * bump(lesser, 8 * s) * (thick - np.float32(cortex.trochanter))
    patchy = 1 + np.float32(UNEVEN_SHARE) * texture.at(points, (PATCH_STRETCH,) * 3)
    return np.asarray(np.maximum(thick * patchy, THINNEST_MM), dtype=np.float32)
