"""Where the three sections of hip structural analysis lie, and what a plane shows there.

Narrow neck: perpendicular to the neck axis at its smallest section. Intertrochanter: along the
bisector of the neck-shaft angle through the axes' crossing. Shaft: perpendicular to the shaft axis,
1.5 neck widths distal to that crossing (Beck, Invest Radiol 1990; Khoo et al., Bone 2005).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.domain.geometry import FloatArray
from service.pipeline.left_femur import FemurAxes, LeftFemur
from service.pipeline.sections import central_piece, unit
from service.pipeline.shaft import Line

STEP_MM = 0.5
HALF_WIDTH_MM = 60.0
"""Half the square looked at; the intertrochanteric section of a large femur is 90 mm long."""

SHAFT_BELOW_NECK_WIDTHS = 1.5


@dataclass(frozen=True, eq=False)
class SectionPlane:
    """A plane with its two anatomical directions, all ``(3,)`` in the left frame, axes unit.

    Attributes:
        point_mm: on the bone's axis.
        frontal: in the plane, within the plane of neck and shaft.
        posterior: in the plane, across that.
    """

    point_mm: FloatArray
    frontal: FloatArray
    posterior: FloatArray

    @property
    def normal(self) -> FloatArray:
        """Unit."""
        return np.cross(self.frontal, self.posterior)


@dataclass(frozen=True, eq=False)
class SectionImage:
    """What a plane shows of one bone, sampled every STEP_MM; arrays ``[n, n]``, indexed [u, v].

    Attributes:
        plane: u runs along its frontal, v along its posterior direction.
        offsets_mm: ``[n]``, of the samples along u and v from the plane's point.
        outer: share of each pixel within the periosteal surface, 0-1; other bone is left out.
        inner: share within the endosteal surface; None without one.
        hu: CT values.
        near_border: whether the bone ends at the scan's border or one voxel short of it.
    """

    plane: SectionPlane
    offsets_mm: FloatArray
    outer: FloatArray
    inner: FloatArray | None
    hu: FloatArray
    near_border: bool


def neck_plane(axes: FemurAxes) -> SectionPlane | None:
    """The narrow neck; None without a shaft axis, which gives the directions."""
    superior, posterior = axes.superior, axes.posterior
    if superior is None or posterior is None:
        return None
    return SectionPlane(axes.neck_centre_mm, superior, posterior)


def intertrochanteric_plane(axes: FemurAxes) -> SectionPlane | None:
    """The bisector of the neck-shaft angle; None without a shaft axis."""
    posterior = axes.posterior
    if axes.shaft is None or posterior is None:
        return None
    medial_distal = unit(-axes.neck_axis - axes.shaft.direction)
    return SectionPlane(_crossing(axes, axes.shaft), -medial_distal, posterior)


def shaft_plane(axes: FemurAxes, neck_width_mm: float) -> SectionPlane | None:
    """The shaft 1.5 neck widths below the crossing; None without a shaft axis."""
    posterior = axes.posterior
    if axes.shaft is None or posterior is None:
        return None
    top = float(axes.shaft.height_mm(_crossing(axes, axes.shaft)))
    point = axes.shaft.at(top - SHAFT_BELOW_NECK_WIDTHS * neck_width_mm)
    return SectionPlane(point, unit(np.cross(posterior, axes.shaft.direction)), posterior)


def _crossing(axes: FemurAxes, shaft: Line) -> FloatArray:
    """Midway between neck and shaft axis where they pass each other; axes are never parallel."""
    n, s = axes.neck_axis, shaft.direction
    between = shaft.point_mm - axes.neck_centre_mm
    cosine = float(n @ s)
    along_neck = float(between @ n - cosine * (between @ s)) / (1 - cosine**2)
    along_shaft = float(cosine * (between @ n) - between @ s) / (1 - cosine**2)
    return 0.5 * (axes.neck_centre_mm + along_neck * n + shaft.at(along_shaft))


def section_image(femur: LeftFemur, plane: SectionPlane) -> SectionImage | None:
    """The bone around the plane's point.

    None where there is none, where the scan cuts it, and where it is larger than the square looked
    at, as a mask that holds more than a femur may be.
    """
    count = int(HALF_WIDTH_MM / STEP_MM)
    offsets = np.arange(-count, count + 1, dtype=np.float64) * STEP_MM
    distance, seen = femur.outer.sample_plane(
        plane.point_mm, plane.frontal, plane.posterior, offsets
    )
    piece = central_piece(distance, seen, STEP_MM)
    if piece is None or not piece.complete or _leaves(piece.share):
        return None
    inner = None
    if femur.has_inner:
        depth, _ = femur.inner.sample_plane(plane.point_mm, plane.frontal, plane.posterior, offsets)
        inner = np.minimum(np.clip(depth / STEP_MM + 0.5, 0.0, 1.0), piece.share)
    along = offsets[:, None, None] * plane.frontal + offsets[None, :, None] * plane.posterior
    points = plane.point_mm + along
    near_border = not bool(femur.off_border(points[piece.share > 0]).all())
    return SectionImage(plane, offsets, piece.share, inner, femur.sample_hu(points), near_border)


def _leaves(share: FloatArray) -> bool:
    """Whether a piece meets the rim of the square."""
    return bool(share[[0, -1]].any() or share[:, [0, -1]].any())
