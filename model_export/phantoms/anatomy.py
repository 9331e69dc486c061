"""A subject's bones sampled and posed, and the soft tissue around them, LPS mm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model_export.phantoms.femur_frame import FramedFemur, frame_femur, place
from model_export.phantoms.shape_model import Ball, BoneSurface, shape_model
from model_export.phantoms.subject import Subject, draw_subject
from service.domain.findings import FemurSide
from service.sample.body import BodyAnatomy
from service.sample.distance_fields import Vector
from service.sample.femur import FemurAnatomy
from service.sample.femur_parameters import MEAN_HEAD_RADIUS_MM, FemurPose
from service.sample.pelvis import Acetabulum, PelvisAnatomy
from service.sample.texture import Texture, draw_texture

FloatArray = npt.NDArray[np.float64]

SHAPE_STREAM = 22
"""Keeps the draws of shape apart from the others of the same seed."""

ASYMMETRY = 0.2
"""Standard deviation of the right femur's weights about the left one's."""

SOCKET_CLEARANCE_MM = 2.0
"""The head is this much smaller than the fitted socket; carving adds what a gap lacks."""

HEAD_RADIUS_RANGE_MM = (19.0, 27.5)
HALF_DISTANCE_SHIFT_MM = 12.0


@dataclass(frozen=True, eq=False)
class HipSide:
    """One femur of a subject.

    Attributes:
        framed: its surface in the femur frame.
        placed: the closed-form femur of that shape and pose: frame, neck, muscles.
        index: 0 for the left, 1 for the right one.
    """

    framed: FramedFemur
    placed: FemurAnatomy
    index: int


@dataclass(frozen=True, eq=False)
class PhantomAnatomy:
    """Everything that is scanned.

    Attributes:
        subject: what it was drawn as.
        sides: the left and the right femur.
        pelvis: surface of both hip bones and the sacrum, LPS mm.
        frame: the closed-form pelvis at the same place; muscles hang on it.
        body: soft tissue.
        texture: of bone and muscle.
    """

    subject: Subject
    sides: tuple[HipSide, HipSide]
    pelvis: BoneSurface
    frame: PelvisAnatomy
    body: BodyAnatomy
    texture: Texture

    @property
    def femurs(self) -> tuple[FemurAnatomy, FemurAnatomy]:
        """The placed closed-form femurs."""
        return self.sides[0].placed, self.sides[1].placed


def draw_phantom(seed: int) -> PhantomAnatomy:
    """The same seed always gives the same subject.

    Raises:
        ShapeModelError: when the shape model's package is not installed.
    """
    subject = draw_subject(seed)
    rng = np.random.default_rng((seed, SHAPE_STREAM))
    model = shape_model()
    weights = rng.standard_normal(model.mode_count)
    bones = model.bones(weights)
    other = model.bones(weights + ASYMMETRY * rng.standard_normal(model.mode_count))
    origin = rng.uniform(-HALF_DISTANCE_SHIFT_MM, HALF_DISTANCE_SHIFT_MM, 3)
    middle = (bones.left_socket.centre + bones.right_socket.centre) / 2
    turn = _pelvic_turn(subject, bones.left_socket.centre - bones.right_socket.centre)
    pelvis = BoneSurface(
        (bones.pelvis.points - middle) @ turn.T + origin, bones.pelvis.normals @ turn.T
    )
    sides = []
    for index, (femur, socket) in enumerate(
        ((bones.femur, bones.left_socket), (other.femur, bones.right_socket))
    ):
        moved = Ball(turn @ (socket.centre - middle) + origin, socket.radius_mm)
        sides.append(_side(subject, femur, moved, index))
    return PhantomAnatomy(
        subject=subject,
        sides=(sides[0], sides[1]),
        pelvis=pelvis,
        frame=_pelvic_frame(origin, (sides[0], sides[1])),
        body=_body(subject, sides[0], rng),
        texture=draw_texture(rng),
    )


def _pelvic_turn(subject: Subject, across: FloatArray) -> FloatArray:
    """Rotation that levels the line through the sockets, then tilts and rolls the pelvis."""
    x = across / np.linalg.norm(across)
    z = np.array((0.0, 0.0, 1.0)) - x[2] * x
    z /= np.linalg.norm(z)
    level = np.stack((x, np.cross(z, x), z))
    tilt, roll = np.radians((subject.pelvic_tilt_deg, subject.pelvic_roll_deg))
    about_x = np.array(
        [[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]]
    )
    about_y = np.array(
        [[np.cos(roll), 0, np.sin(roll)], [0, 1, 0], [-np.sin(roll), 0, np.cos(roll)]]
    )
    turn: FloatArray = about_y @ about_x @ level
    return turn


def _side(subject: Subject, femur: BoneSurface, socket: Ball, index: int) -> HipSide:
    radius = float(np.clip(socket.radius_mm - SOCKET_CLEARANCE_MM, *HEAD_RADIUS_RANGE_MM))
    framed = frame_femur(femur, radius, subject.anteversion_deg)
    # A worn joint is narrow above: the head has risen.
    rise = max(socket.radius_mm - radius - subject.joints[index].gap_mm, 0.0)
    x, y, z = (float(v) for v in socket.centre)
    pose = FemurPose(
        side=(FemurSide.LEFT, FemurSide.RIGHT)[index],
        head_centre_lps_mm=(x, y, z + rise),
        flexion_deg=subject.flexion_deg[index],
        abduction_deg=subject.abduction_deg[index],
        external_rotation_deg=subject.rotation_deg[index],
    )
    return HipSide(framed, place(framed.shape, pose), index)


def _pelvic_frame(origin: FloatArray, sides: tuple[HipSide, HipSide]) -> PelvisAnatomy:
    x, y, z = (float(v) for v in origin)
    sockets = []
    for side, sign in zip(sides, (1.0, -1.0), strict=True):
        a, b, c = side.placed.head_centre_lps_mm
        sockets.append(
            Acetabulum(
                head_centre=(sign * (a - x), b - y, c - z),
                head_radius_mm=side.placed.head_radius_mm,
                gap_mm=3.0,
                opening=(0.6, -0.2, -0.77),
                rim_mm=2.0,
            )
        )
    centre: Vector = (x, y, z)
    scale = sides[0].placed.head_radius_mm / MEAN_HEAD_RADIUS_MM
    return PelvisAnatomy(centre, scale, 1.4, sockets[0], sockets[1])


def _body(subject: Subject, side: HipSide, rng: np.random.Generator) -> BodyAnatomy:
    fat = subject.fat_mm
    half_distance = 86.0 * side.placed.scale
    return BodyAnatomy(
        half_width_mm=half_distance + 62 + fat,
        half_depth_mm=82 + 0.8 * fat,
        fat_mm=fat,
        thigh_radius_mm=68 + 0.8 * fat,
        septum_mm=float(rng.uniform(0.8, 3.2)),
        muscle_hu=float(rng.uniform(38, 66)),
        fat_hu=float(rng.uniform(-115, -92)),
        skin_hu=float(rng.uniform(10, 60)),
        vessel_hu=subject.contrast_hu or float(rng.uniform(35, 55)),
        table_gap_mm=float(
            rng.uniform(32, 38) if subject.calibration_phantom else rng.uniform(2, 10)
        ),
    )
