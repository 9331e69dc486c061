"""Soft tissue of the sample: skin, fat, muscles between fat septa, vessels, organs, table.

Muscles are capsules that share the space inside the fat: each point belongs to the nearest one, and
where two are nearly as near there is a fat septum. Pelvic muscles are placed in the pelvis's side
frame, thigh muscles in the femur frame, so a flexed thigh takes its muscles along.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from service.sample.distance_fields import (
    FloatArray,
    Points,
    Vector,
    ellipsoid,
    round_cone,
    smooth_union,
)
from service.sample.femur import FemurAnatomy
from service.sample.pelvis import PelvisAnatomy


class Strand(NamedTuple):
    """A muscle, vessel or gut loop: a round cone and how its HU differs from muscle."""

    start: Vector
    start_radius_mm: float
    stop: Vector
    stop_radius_mm: float
    hu_offset: float = 0.0
    vessel: bool = False


PELVIC_STRANDS = (
    Strand((18, 62, 40), 26, (52, 48, -40), 20),  # gluteus maximus
    Strand((-20, 72, 60), 22, (24, 72, -30), 20),  # gluteus maximus, medial part
    Strand((22, 10, 75), 24, (38, 8, 25), 14),  # gluteus medius
    Strand((26, -18, 70), 18, (42, -10, 15), 9),  # gluteus minimus
    Strand((38, -36, 60), 13, (52, -30, -20), 10),  # tensor fasciae latae
    Strand((-16, -26, 70), 20, (4, -36, 0), 15),  # iliopsoas
    Strand((-48, 14, 10), 9, (-40, 26, -20), 8),  # obturator internus
    Strand((-40, -16, -34), 10, (-6, 8, -36), 7),  # obturator externus
    Strand((-30, -48, -20), 12, (-20, -40, -60), 12, 5),  # pectineus
    Strand((-14, -54, 10), 6, (-18, -54, -70), 5, vessel=True),  # femoral vessels
)
"""Muscles of the pelvis, head-centred side frame, mm."""

THIGH_STRANDS = (
    Strand((-4, -42, 55), 12, (4, -48, -160), 22),  # rectus femoris
    Strand((28, -16, 14), 12, (26, -22, -160), 24),  # vastus lateralis
    Strand((-18, -22, -10), 10, (-22, -26, -160), 22),  # vastus medialis
    Strand((2, -24, 0), 10, (2, -24, -160), 14),  # vastus intermedius
    Strand((-40, -46, 40), 8, (-58, -20, -160), 12),  # sartorius
    Strand((-52, -8, 0), 18, (-46, 14, -160), 24),  # adductors
    Strand((-66, 18, 0), 16, (-64, 30, -160), 18),  # gracilis and adductor magnus
    Strand((-16, 48, 0), 20, (-10, 44, -160), 24),  # biceps femoris
    Strand((-40, 50, 0), 16, (-36, 50, -160), 20),  # semitendinosus
    Strand((36, 30, 20), 16, (28, 26, -60), 12),  # gluteus maximus insertion
)
"""Muscles of the thigh, femur frame, mm."""

CENTRAL_STRANDS = (
    Strand((0, -8, 5), 34, (0, -16, 40), 26, -45.0),  # bladder
    Strand((0, 44, -20), 15, (4, 50, 40), 18, -20.0),  # rectum
    Strand((-30, -20, 70), 22, (34, -24, 80), 24, -25.0),  # bowel
    Strand((0, 10, -40), 18, (0, -6, -62), 14, 0.0),  # pelvic floor
    Strand((-14, -72, 90), 16, (-12, -58, -10), 8, 0.0),  # rectus abdominis
    Strand((14, -72, 90), 16, (12, -58, -10), 8, 0.0),
)
"""Organs between the hips, pelvis frame, mm."""


@dataclass(frozen=True)
class BodyAnatomy:
    """Size and HU of the soft tissue.

    Attributes:
        half_width_mm, half_depth_mm: semi-axes of the trunk at the hips.
        fat_mm: thickness of the subcutaneous fat.
        thigh_radius_mm: outer radius of the thigh at its top.
        septum_mm: width of the fat between muscles.
        muscle_hu, fat_hu, skin_hu, vessel_hu: HU; vessels are bright after contrast medium.
        table_gap_mm: distance of the table top from the back.
    """

    half_width_mm: float
    half_depth_mm: float
    fat_mm: float
    thigh_radius_mm: float
    septum_mm: float
    muscle_hu: float
    fat_hu: float
    skin_hu: float
    vessel_hu: float
    table_gap_mm: float


class SoftTissue(NamedTuple):
    """Fields of the soft tissue at some points, each float32 of their shape.

    Attributes:
        body_mm: signed distance to the skin.
        muscle_mm: signed distance to the nearest muscle or organ.
        muscle_hu: HU of that muscle or organ.
    """

    body_mm: FloatArray
    muscle_mm: FloatArray
    muscle_hu: FloatArray


def soft_tissue(
    body: BodyAnatomy,
    pelvis: PelvisAnatomy,
    femurs: tuple[FemurAnatomy, FemurAnatomy],
    points: Points,
) -> SoftTissue:
    """Evaluate the soft tissue at LPS points."""
    skin = _skin(body, pelvis, femurs, points)
    nearest = np.full_like(points.x, 1e3)
    second = np.full_like(points.x, 1e3)
    hu = np.full_like(points.x, body.muscle_hu)
    for strand, placed in _strands(pelvis, femurs, points):
        distance = round_cone(
            placed, strand.start, strand.start_radius_mm, strand.stop, strand.stop_radius_mm
        )
        closer = distance < nearest
        second = np.where(closer, nearest, np.minimum(second, distance))
        nearest = np.where(closer, distance, nearest)
        strand_hu = body.vessel_hu if strand.vessel else body.muscle_hu + strand.hu_offset
        hu[closer] = strand_hu
    septum = np.float32(body.septum_mm / 2) - (second - nearest) / 2
    envelope = np.maximum(skin + np.float32(body.fat_mm), nearest - 11)
    return SoftTissue(skin, np.maximum(envelope, septum).astype(np.float32), hu)


def _strands(
    pelvis: PelvisAnatomy, femurs: tuple[FemurAnatomy, FemurAnatomy], points: Points
) -> list[tuple[Strand, Points]]:
    pairs = [(strand, points.minus(pelvis.origin_lps_mm)) for strand in CENTRAL_STRANDS]
    for femur, socket, sign in zip(femurs, (pelvis.left, pelvis.right), (1.0, -1.0), strict=True):
        at_hip = pelvis.side_points(points, sign).minus(socket.head_centre)
        at_thigh = femur.points_to_femur(points)
        pairs += [(strand, at_hip) for strand in PELVIC_STRANDS]
        pairs += [(strand, at_thigh) for strand in THIGH_STRANDS]
    return pairs


def _skin(
    body: BodyAnatomy,
    pelvis: PelvisAnatomy,
    femurs: tuple[FemurAnatomy, FemurAnatomy],
    points: Points,
) -> FloatArray:
    centred = points.minus(pelvis.origin_lps_mm)
    trunk = ellipsoid(
        Points(centred.x, centred.y, np.maximum(-centred.z, 0)),
        (0, 8, 0),
        (body.half_width_mm, body.half_depth_mm, 95),
    )
    skin = trunk
    for femur in femurs:
        placed = femur.points_to_femur(points)
        top = body.thigh_radius_mm
        thigh = round_cone(placed, (-8, 0, 20), top, (-10, -4, -400), top * 0.62)
        skin = smooth_union(skin, thigh, 35)
    return skin.astype(np.float32)


def table_distance_mm(body: BodyAnatomy, pelvis: PelvisAnatomy, points: Points) -> FloatArray:
    """Signed distance to the table top, a curved shell 10 mm thick under the back."""
    x, y, _ = points.minus(pelvis.origin_lps_mm)
    top = np.float32(8 + body.half_depth_mm + body.table_gap_mm)
    sag = x**2 / np.float32(1400.0)
    middle = np.abs(y + sag - top - 5) - 5
    return np.asarray(np.maximum(middle, np.abs(x) - 215), np.float32)
