"""Fields of a femur and of the pelvis beside it: surface, cortex, filling, joint disease."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_export.phantoms.anatomy import HipSide, PhantomAnatomy
from model_export.phantoms.cortex import cortical_thickness_mm
from model_export.phantoms.field_grid import FieldGrid, distance_grid
from model_export.phantoms.subject import Joint, side_generator
from model_export.phantoms.trabeculae import trabecular_hu
from service.sample.distance_fields import (
    FloatArray,
    Points,
    Vector,
    bump,
    smooth_cut,
    smooth_step,
    smooth_union,
    sphere,
    unit,
)
from service.sample.femur import FemurAnatomy

FEMUR_STEP_MM = 1.0
PELVIS_STEP_MM = 1.5
"""Steps of the grids on which the bones' fields are kept."""

FEMUR_MARGIN_MM = 12.0
"""The femur's grid reaches this far beyond it."""

SHAFT_BELOW_LESSER_MM = 165.0
"""Length of shaft on the grid."""

ROUGH_MM = 0.12
"""Standard deviation of the roughness of the femur's surface."""

SHELL_MM = 4.0
FILLED_MM = 3.0
"""Where the sampled socket is too wide it is lined with so thick a shell, so far from its bone."""

DISEASE_STREAM = 23
"""Keeps the draws of osteophytes and cysts apart from the others of the same seed."""

TRANSITION_MM = 1.0
"""Trabeculae thin out from the cortex inwards over about this depth."""

CYST_HU = 25.0
PELVIC_CORTEX_MM = 1.3
ROOF_PLATE_MM = 0.8
"""Cortex of the pelvis, and what the subchondral plate of the socket's roof adds."""


@dataclass(frozen=True, eq=False)
class BoneFields:
    """A bone as three scalar fields.

    Attributes:
        surface: signed distance to the outer surface, mm.
        thickness: of the cortex, mm; where ``surface + thickness`` is 0 lies the inner surface.
        filling: HU inside the cortex.
    """

    surface: FieldGrid
    thickness: FieldGrid
    filling: FieldGrid


def femur_fields(anatomy: PhantomAnatomy, side: HipSide) -> BoneFields:
    """Fields of a femur in the femur frame."""
    femur = side.placed
    points = side.framed.surface.points
    kept = points[points[:, 2] > -SHAFT_BELOW_LESSER_MM]
    low = kept.min(axis=0) - FEMUR_MARGIN_MM
    high = kept.max(axis=0) + FEMUR_MARGIN_MM
    low[2] = -SHAFT_BELOW_LESSER_MM
    plain = distance_grid(side.framed.surface, low, high, FEMUR_STEP_MM)
    nodes = plain.nodes()
    joint = anatomy.subject.joints[side.index]
    rng = side_generator(anatomy.subject.seed, DISEASE_STREAM, side.index)
    distance = plain.values + np.float32(ROUGH_MM) * anatomy.texture.at(nodes, (4.0, 4.0, 5.0))
    distance = _with_fovea(distance, nodes, femur)
    distance = _with_osteophytes(distance, nodes, femur, joint, rng)
    near = np.nonzero((distance < 2.0) & (distance > -14.0))
    at_near = Points(*(component[near] for component in nodes))
    thickness = np.full_like(distance, anatomy.subject.cortex.trochanter)
    thickness[near] = cortical_thickness_mm(femur, anatomy.subject.cortex, anatomy.texture, at_near)
    thickness[near] += np.float32(joint.sclerosis_mm) * _roof(femur, at_near)
    inside = np.nonzero(distance < 2.0)
    at_inside = Points(*(component[inside] for component in nodes))
    filling = np.zeros_like(distance)
    depth = -(distance + thickness)[inside]
    filled = trabecular_hu(femur, anatomy.subject.tissue, anatomy.texture, at_inside)
    filled += np.float32(60 * joint.sclerosis_mm) * _roof(femur, at_inside)
    filled += np.float32(anatomy.subject.tissue.transition) * np.exp(
        -np.maximum(depth, 0) / np.float32(TRANSITION_MM)
    )
    filling[inside] = _with_cysts(filled, at_inside, femur, joint, rng)
    return BoneFields(
        FieldGrid(plain.origin_mm, plain.step_mm, distance),
        FieldGrid(plain.origin_mm, plain.step_mm, thickness),
        FieldGrid(plain.origin_mm, plain.step_mm, filling),
    )


def pelvis_fields(
    anatomy: PhantomAnatomy,
    side: HipSide,
    femur: BoneFields,
    box_lps_mm: tuple[Vector, Vector],
) -> BoneFields:
    """Fields of the pelvis within a box, LPS: the joint of one side has its gap.

    The socket is carved where the bones as sampled are nearer, and lined where they are further.
    """
    plain = distance_grid(anatomy.pelvis, *box_lps_mm, PELVIS_STEP_MM)
    nodes = plain.nodes()
    at_femur = side.placed.points_to_femur(nodes)
    joint = anatomy.subject.joints[side.index]
    outside = femur.surface.at(at_femur)
    off_head = at_femur.minus(side.placed.head_centre).length()
    radius = side.placed.head_radius_mm
    # beyond the articular surface, which lies a gap off the head, the bones part further
    away = smooth_step(off_head - np.float32(joint.gap_mm), radius * 1.1, radius * 1.5)
    gap = np.float32(joint.gap_mm) + np.float32(3.0) * away
    carved = np.maximum(plain.values, gap - outside)
    shell = np.maximum(
        np.maximum(gap - outside, outside - gap - SHELL_MM), plain.values - FILLED_MM
    )
    articular = np.maximum(shell, off_head - np.float32(1.5 * radius))
    distance = np.maximum(smooth_union(carved, articular, 2.0), gap - outside)
    tissue = anatomy.subject.tissue
    texture = anatomy.texture
    roof = _roof(side.placed, at_femur) * bump(np.maximum(outside - joint.gap_mm, 0), 4.0)
    thickness = np.float32(PELVIC_CORTEX_MM) * (1 + 0.25 * texture.at(nodes, (6.0, 6.0, 6.0)))
    thickness += np.float32(ROOF_PLATE_MM + joint.sclerosis_mm) * roof
    grain = np.float32(tissue.grain) * texture.at(nodes, (1.6, 1.6, 1.6))
    filling = np.float32(tissue.pelvic) * (1 + 1.2 * roof + grain)
    return BoneFields(
        FieldGrid(plain.origin_mm, plain.step_mm, np.asarray(distance, np.float32)),
        FieldGrid(plain.origin_mm, plain.step_mm, np.asarray(thickness, np.float32)),
        FieldGrid(plain.origin_mm, plain.step_mm, np.asarray(filling, np.float32)),
    )


def _roof(femur: FemurAnatomy, points: Points) -> FloatArray:
    """1 at the loaded top of the head, 0 from its equator down and on the neck."""
    off = points.minus(femur.head_centre)
    height = off.along(unit((-0.2, 0.0, 1.0))) / np.float32(femur.head_radius_mm)
    return smooth_step(height, 0.35, 0.85) * (
        1 - smooth_step(off.length(), 1.5 * femur.head_radius_mm, 1.9 * femur.head_radius_mm)
    )


def _on_head(femur: FemurAnatomy, direction: Vector, share: float) -> Vector:
    """A point so many head radii from the head's centre."""
    x, y, z = femur.head_centre
    a, b, c = (component * share * femur.head_radius_mm for component in unit(direction))
    return x + a, y + b, z + c


def _with_fovea(distance: FloatArray, nodes: Points, femur: FemurAnatomy) -> FloatArray:
    s = femur.scale
    share = 1 + 4.2 * s / femur.head_radius_mm
    dent = sphere(nodes, _on_head(femur, (-0.85, 0.25, 0.35), share), 6.0 * s)
    return smooth_cut(distance, dent, 2.0)


def _with_osteophytes(
    distance: FloatArray,
    nodes: Points,
    femur: FemurAnatomy,
    joint: Joint,
    rng: np.random.Generator,
) -> FloatArray:
    """Bumps on the border of the head, where it meets the neck."""
    axis = np.array(femur.neck_direction)
    across = np.cross(axis, (0.0, 1.0, 0.0))
    across /= np.linalg.norm(across)
    for _ in range(joint.osteophytes):
        angle = rng.uniform(0, 2 * np.pi)
        ring = np.cos(angle) * across + np.sin(angle) * np.cross(axis, across)
        x, y, z = ring - rng.uniform(0.2, 0.6) * axis
        size = float(rng.uniform(2.5, 5.0))
        place = _on_head(femur, (x, y, z), float(rng.uniform(0.92, 1.0)))
        distance = smooth_union(distance, sphere(nodes, place, size), 4.0)
    return distance


def _with_cysts(
    filling: FloatArray,
    points: Points,
    femur: FemurAnatomy,
    joint: Joint,
    rng: np.random.Generator,
) -> FloatArray:
    """Fluid-filled balls under the loaded surface, with a dense rim."""
    for _ in range(joint.cysts):
        direction = (float(rng.uniform(-0.7, 0.5)), float(rng.uniform(-0.6, 0.6)), 1.0)
        size = float(rng.uniform(2.0, 5.0))
        place = _on_head(femur, direction, 0.9 - size / femur.head_radius_mm)
        ball = sphere(points, place, size)
        filling = filling + np.float32(120) * bump(ball, 1.0)
        filling += (1 - smooth_step(ball, -1.0, 0.3)) * (np.float32(CYST_HU) - filling)
    return filling
