"""The pelvis of the sample: an acetabulum around each head, the three bones of the hip, the sacrum.

Side frame: origin between the two heads, x lateral (mirrored for the right side), y posterior, z
superior, mm. Only what lies near the hip joint is anatomical in detail; the rest is there so that a
crop or a network meets the bone it will meet in life.
"""

from dataclasses import dataclass

import numpy as np

from service.sample.distance_fields import (
    FloatArray,
    Points,
    Vector,
    ellipsoid,
    round_cone,
    smooth_cut,
    smooth_union,
    sphere,
    unit,
)


@dataclass(frozen=True)
class Acetabulum:
    """The socket of one hip.

    Attributes:
        head_centre: centre of the femoral head in the side frame, mm.
        head_radius_mm: its radius.
        gap_mm: distance of subchondral bone and head.
        opening: unit vector the socket opens to (lateral, anterior, inferior), side frame.
        rim_mm: how far the rim reaches past the head centre along `opening`; negative for a shallow
            socket.
    """

    head_centre: Vector
    head_radius_mm: float
    gap_mm: float
    opening: Vector
    rim_mm: float


@dataclass(frozen=True)
class PelvisAnatomy:
    """Both hip bones and the sacrum.

    Attributes:
        origin_lps_mm: origin of the side frames.
        scale: size relative to a mean adult pelvis.
        cortex_mm: thickness of the cortex.
        left, right: the sockets.
    """

    origin_lps_mm: Vector
    scale: float
    cortex_mm: float
    left: Acetabulum
    right: Acetabulum

    def side_points(self, points: Points, lateral_sign: float) -> Points:
        """LPS points to the side frame; `lateral_sign` is +1 for left and -1 for right."""
        x, y, z = points.minus(self.origin_lps_mm)
        return Points(x * np.float32(lateral_sign), y, z)

    def distance_mm(self, points: Points) -> FloatArray:
        """Signed distance to the bone surface at LPS points, float32, good to a millimetre."""
        left = self._hip_bone(self.side_points(points, 1.0), self.left)
        right = self._hip_bone(self.side_points(points, -1.0), self.right)
        return np.minimum(np.minimum(left, right), self._sacrum(points.minus(self.origin_lps_mm)))

    def _hip_bone(self, points: Points, socket: Acetabulum) -> FloatArray:
        s = self.scale
        x, y, z = socket.head_centre
        local = Points(*(c / np.float32(s) for c in points.minus((x, y, z))))
        bone = smooth_union(_ilium(local), _ischium(local), 8)
        bone = smooth_union(bone, _pubis(local), 8) * np.float32(s)
        return _carve(smooth_union(bone, _wall(points, socket), 7), points, socket)

    def _sacrum(self, points: Points) -> FloatArray:
        s = self.scale
        # Tilted, so that its tip points down and back and then forward at the coccyx.
        tilted = Points(points.x, points.y - np.float32(0.25) * points.z, points.z)
        body = ellipsoid(tilted, (0, 55 * s, 72 * s), (52 * s, 17 * s, 48 * s))
        coccyx = round_cone(points, (0, 74 * s, 34 * s), 8 * s, (0, 66 * s, 2 * s), 4.5 * s)
        return smooth_union(body, coccyx, 8)


def _ilium(p: Points) -> FloatArray:
    """Wing above the roof, its front edge lateral (head-centred, mean size)."""
    angle = np.radians(28)
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    x, y, z = p.minus((-6, 4, 74))
    leaning = x - np.float32(0.18) * z
    turned = Points(c * leaning + s * y, -s * leaning + c * y, z)
    wing = ellipsoid(turned, (0, 0, 0), (9, 58, 62))
    spine = round_cone(p, (6, -30, 22), 8, (14, -38, 48), 9)
    notch = round_cone(p, (-12, 26, 10), 12, (-24, 44, 46), 13)
    return smooth_union(smooth_union(wing, spine, 10), notch, 10)


def _ischium(p: Points) -> FloatArray:
    column = round_cone(p, (-14, 26, 6), 11, (-22, 30, -50), 14)
    spine = round_cone(p, (-20, 36, -2), 6, (-34, 44, -8), 3.5)
    return smooth_union(column, spine, 6)


def _pubis(p: Points) -> FloatArray:
    upper = round_cone(p, (-16, -24, -8), 10, (-76, -42, -32), 8)
    symphysis = round_cone(p, (-80, -42, -32), 8, (-80, -38, -56), 7)
    lower = round_cone(p, (-78, -37, -58), 6, (-32, 22, -60), 6.5)
    return smooth_union(smooth_union(upper, symphysis, 8), lower, 8)


def _wall(points: Points, socket: Acetabulum) -> FloatArray:
    """Roof and walls: a ball shifted up and back, so the floor is thin, cut at the rim."""
    x, y, z = socket.head_centre
    inner = socket.head_radius_mm + socket.gap_mm
    ball = sphere(points, (x - 0.5, y + 2.5, z + 5.0), inner + 7.5)
    rim = points.minus(socket.head_centre).along(socket.opening) - np.float32(socket.rim_mm)
    return smooth_cut(ball, -rim, 4.0)


def _carve(bone: FloatArray, points: Points, socket: Acetabulum) -> FloatArray:
    """Cut out the joint, its fossa (fat in the floor) and what lies beyond the rim."""
    x, y, z = socket.head_centre
    inner = socket.head_radius_mm + socket.gap_mm
    a, b, c = unit((-0.80, 0.05, -0.60))
    deep = inner - 8.0
    fossa = sphere(points, (x + a * deep, y + b * deep, z + c * deep), 11.5)
    joint = np.minimum(sphere(points, socket.head_centre, inner), fossa)
    beyond = round_cone(
        points,
        socket.head_centre,
        inner,
        (
            x + 60 * socket.opening[0],
            y + 60 * socket.opening[1],
            z + 60 * socket.opening[2],
        ),
        inner + 14,
    )
    return smooth_cut(bone, np.minimum(joint, beyond), 1.5)
