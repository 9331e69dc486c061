"""Head, shaft axis and neck of a sampled femur, and the frame they define.

The frame is that of the sample's closed-form femur (``service.sample.femur``): origin on the shaft
axis at the height of the lesser trochanter, x lateral, y posterior, z proximal. So its muscles, its
pose and its neck coordinates serve here too.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from model_export.phantoms.shape_model import Ball, BoneSurface, fit_ball
from service.sample.femur import FemurAnatomy
from service.sample.femur_parameters import (
    MEAN_HEAD_RADIUS_MM,
    CortexShape,
    FemurPose,
    FemurShape,
)

FloatArray = npt.NDArray[np.float64]

PROXIMAL_MM = 260.0
"""As much of the femur, from its top, is kept."""

HEAD_ROUNDS = 30
HEAD_SHELL_MM = 3.0
"""The head's sphere is fitted again to what lies this near to it, so many times."""

MEDIAL_UP = np.array((-0.75, 0.0, 0.66))
"""About where the head looks, in the model's frame."""

NECK_RANGE = (1.25, 1.6)
"""The neck is where the surface lies between so many head radii from the head's centre."""

LESSER_RANGE = (4.0, 2.0)
SHAFT_RANGE = (7.0, 4.2)
"""The lesser trochanter lies, and the shaft axis is fitted, so many head radii below the head."""

SLAB_MM = 4.0


class FramedFemur(NamedTuple):
    """A femur in its own frame.

    Attributes:
        surface: in the frame.
        shape: head, neck and shaft as the closed-form femur's.
    """

    surface: BoneSurface
    shape: FemurShape


def frame_femur(femur: BoneSurface, head_radius_mm: float, anteversion_deg: float) -> FramedFemur:
    """Finds the frame and scales the femur until its head has a given radius.

    Args:
        femur: in the model's frame, whose femurs lie in outward rotation.
        head_radius_mm: wanted.
        anteversion_deg: angle of the direction to the head with the frame's x, which it defines.
    """
    top = femur.points[:, 2].max()
    kept = femur.points[:, 2] > top - PROXIMAL_MM
    points, normals = femur.points[kept], femur.normals[kept]
    head = _fit_head(points)
    origin, axis = _shaft(points, head)
    towards = head.centre - origin
    towards -= (towards @ axis) * axis
    towards /= np.linalg.norm(towards)
    across = np.cross(axis, towards)
    c, s = np.cos(np.radians(anteversion_deg)), np.sin(np.radians(anteversion_deg))
    lateral = -c * towards + s * across
    rotation = np.stack((lateral, np.cross(axis, lateral), axis))
    scale = head_radius_mm / head.radius_mm
    framed = (points - origin) @ rotation.T * scale
    centre = rotation @ (head.centre - origin) * scale
    lesser = np.array((0.0, 0.0, _lesser_trochanter_z(framed, centre[2], head_radius_mm)))
    surface = BoneSurface(framed - lesser, normals @ rotation.T)
    return FramedFemur(surface, _shape(surface.points, centre - lesser, head_radius_mm))


def place(shape: FemurShape, pose: FemurPose) -> FemurAnatomy:
    """The closed-form femur of that shape and pose: its frame, its neck and its muscles."""
    cortex = CortexShape(shaft_mm=5.0, calcar_mm=3.5, head_mm=1.0, trochanter_mm=1.5)
    return FemurAnatomy(shape=shape, pose=pose, cortex=cortex, ripples=())


def _fit_head(points: FloatArray) -> Ball:
    upper = points[points[:, 2] > points[:, 2].max() - 70]
    cap = upper[np.argsort(upper[:, 0] - upper[:, 2])[:1000]]
    ball = Ball(cap.mean(axis=0) + np.array((5.0, 0.0, -10.0)), 22.0)
    for _ in range(HEAD_ROUNDS):
        off = points - ball.centre
        length = np.linalg.norm(off, axis=1)
        shell = np.abs(length - ball.radius_mm) < HEAD_SHELL_MM
        ball = fit_ball(points[shell & (off @ MEDIAL_UP > 0)])
    return ball


def _lesser_trochanter_z(points: FloatArray, head_z: float, radius_mm: float) -> float:
    """Height where the bone stands out most medially and back, between neck and shaft."""
    low, high = (head_z - share * radius_mm for share in LESSER_RANGE)
    heights = np.arange(low, high, SLAB_MM)
    reach = np.array(
        [np.max((points[:, 1] - points[:, 0])[np.abs(points[:, 2] - z) < SLAB_MM]) for z in heights]
    )
    flare = np.interp(heights, heights[[0, -1]], reach[[0, -1]])
    return float(heights[np.argmax(reach - flare)])


def _shaft(points: FloatArray, head: Ball) -> tuple[FloatArray, FloatArray]:
    """A point of the shaft axis and its direction, up."""
    low, high = (head.centre[2] - share * head.radius_mm for share in SHAFT_RANGE)
    centres = []
    for z in np.arange(low, high, SLAB_MM):
        slab = points[np.abs(points[:, 2] - z) < SLAB_MM]
        # Midrange, since the surface's points are not evenly spread.
        centres.append((slab.max(axis=0) + slab.min(axis=0)) / 2)
    middle = np.mean(centres, axis=0)
    axis = np.linalg.svd(np.array(centres) - middle)[2][0]
    return middle, axis * np.sign(axis[2])


def _shape(points: FloatArray, head: FloatArray, radius_mm: float) -> FemurShape:
    """The closed-form femur with this head and neck; the rest are its means."""
    length = np.linalg.norm(points - head, axis=1) / radius_mm
    neck = points[(length > NECK_RANGE[0]) & (length < NECK_RANGE[1])]
    towards = head - (neck.max(axis=0) + neck.min(axis=0)) / 2
    tilt = np.degrees(np.arctan2(np.hypot(towards[0], towards[1]), towards[2]))
    scale = radius_mm / MEAN_HEAD_RADIUS_MM
    return FemurShape(
        head_radius_mm=radius_mm,
        neck_shaft_angle_deg=float(np.clip(180 - tilt, 112, 142)),
        anteversion_deg=float(np.degrees(np.arctan2(-head[1], -head[0]))),
        offset_mm=float(np.hypot(head[0], head[1])),
        head_height_mm=float(head[2]),
        neck_radius_mm=0.67 * radius_mm,
        neck_flattening=0.1,
        shaft_radius_mm=13.8 * scale,
        shaft_flattening=0.0,
        bow_radius_mm=1000.0,
        greater_tip_below_head_mm=6.0 * scale,
        lesser_reach_mm=18.0 * scale,
    )
