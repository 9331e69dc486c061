"""Where the report page cuts a femur, and from where it looks at it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from service.domain.findings import FemurGeometry, FemurSide, Vector
from service.domain.geometry import FloatArray, VolumeGeometry
from service.domain.imaging import FemurResult

Picture = npt.NDArray[np.float32]

MARGIN_MM = 9.0
"""Seen around the section on each side."""

SMALLEST_VIEW_MM = 64.0
"""No view is narrower: a shaft alone would fill the tile and hide what lies around it."""

SHAFT_BELOW_LESSER_TROCHANTER_MM = 40.0
"""Height of the shaft's plane: inside the stretch that gives the shaft axis (10-60 mm)."""

DEFAULT_HEIGHTS = (0.88, 0.72, 0.45, 0.12)
"""Heights of the axial planes as shares of the femur in view, where no landmark says better."""

ABOVE_NECK_AXIS_MM = 1.5
"""The cut along the neck lies this far above the axis: in the axis it would be the plane between
trochanter and intertrochanter itself, whose voxels belong to one or the other by chance."""

NAMES = ("head", "neck", "lesser trochanter", "shaft")

LONG_VIEW_MM = 160.0
"""Of a longer section, a plane along the shaft shows this much from the top: from the head to below
the distal plane of a large femur."""

SECTION_STEP_MM = 2.0
"""Grid on which a plane's section is measured to fit the view to it."""

LEFT_LPS: Vector = (1.0, 0.0, 0.0)
POSTERIOR_LPS: Vector = (0.0, 1.0, 0.0)
SUPERIOR_LPS: Vector = (0.0, 0.0, 1.0)
INFERIOR_LPS: Vector = (0.0, 0.0, -1.0)


@dataclass(frozen=True, eq=False)
class CutPlane:
    """A plane through the patient as a picture shows it.

    Attributes:
        name: what it cuts.
        centre_lps_mm: the middle of the picture.
        right_lps, down_lps: orthogonal unit vectors of the picture's axes.
        width_mm, height_mm: what must be in view.
    """

    name: str
    centre_lps_mm: FloatArray
    right_lps: FloatArray
    down_lps: FloatArray
    width_mm: float
    height_mm: float

    def points_lps_mm(self, rows: int, columns: int, mm_per_pixel: float) -> FloatArray:
        """Centres of the pixels in LPS mm, float64 ``[rows, columns, 3]``."""
        down = (np.arange(rows) - (rows - 1) / 2) * mm_per_pixel
        right = (np.arange(columns) - (columns - 1) / 2) * mm_per_pixel
        points: FloatArray = (
            self.centre_lps_mm
            + down[:, None, None] * self.down_lps
            + right[None, :, None] * self.right_lps
        )
        return points


@dataclass(frozen=True, eq=False)
class FemurFrame:
    """The femur's own directions, unit vectors in LPS.

    Where the shaft or the neck axis is unknown the patient's axes stand in.

    Attributes:
        up: proximal along the shaft axis.
        back: posterior, at right angles to shaft and neck axis, as in ``regions/v1``; so the view
            along it shows neck and shaft in full length.
        left: patient left, across both.
        is_own: whether it is the femur's; else the patient's.
    """

    up: FloatArray
    back: FloatArray
    left: FloatArray
    is_own: bool


def femur_frame(side: FemurSide, found: FemurGeometry) -> FemurFrame:
    """The frame that a femur's landmarks give."""
    shaft, neck = found.shaft_axis_lps, found.neck_axis_lps
    if shaft is None or neck is None:
        up, back, left = (np.array(axis) for axis in (SUPERIOR_LPS, POSTERIOR_LPS, LEFT_LPS))
        return FemurFrame(up, back, left, is_own=False)
    # mirrored, the product of shaft and neck axis changes its sign
    turn = 1.0 if side is FemurSide.LEFT else -1.0
    across = turn * np.cross(shaft, neck)
    up, back = np.array(shaft), across / np.linalg.norm(across)
    return FemurFrame(up, back, np.cross(back, up), is_own=True)


def letters(direction_lps: FloatArray) -> str:
    """The patient's directions along a vector, strongest first (DICOM PS3.3 C.7.6.1.1.1)."""
    order = np.argsort(-np.abs(direction_lps), kind="stable")
    # 0.3: less than about 17 degrees off an axis is that axis to the eye.
    named = [axis for axis in order if abs(direction_lps[axis]) >= 0.3]
    return "".join(("LPS" if direction_lps[axis] > 0 else "RAI")[axis] for axis in named)


def indices_of(geometry: VolumeGeometry, points_lps_mm: FloatArray) -> FloatArray:
    """Fractional voxel indices ``[3, ...]`` of points ``[..., 3]``, for ``sample``."""
    return np.moveaxis(geometry.lps_to_index(points_lps_mm), -1, 0)


def sample(array: npt.NDArray[np.generic], indices: FloatArray, outside: float) -> Picture:
    """Trilinear values at indices ``[3, ...]``; ``outside`` off the grid."""
    picture: Picture = ndimage.map_coordinates(
        array, indices, output=np.float32, order=1, mode="constant", cval=outside
    )
    return picture


def axial_planes(femur: FemurResult) -> tuple[CutPlane, ...]:
    """Axial planes through head, neck, lesser trochanter and shaft, each in the nearest slice.

    Numbered from the top. Seen from the feet: patient left is on the right.
    """
    slices = np.flatnonzero(femur.masks.periosteal.any(axis=(1, 2)))
    lowest, highest = int(slices[0]), int(slices[-1])
    _, rows, columns = femur.masks.geometry.shape_zyx
    levels = []
    for name, height, landmark in zip(NAMES, DEFAULT_HEIGHTS, _landmarks(femur), strict=True):
        z, title = lowest + height * (highest - lowest), f"{height:.0%} of the height"
        if landmark is not None:
            z, title = float(femur.masks.geometry.lps_to_index(landmark)[0]), name
        levels.append((float(np.clip(round(z), lowest, highest)), title))
    planes = []
    for number, (z, title) in enumerate(sorted(levels, reverse=True), start=1):
        through = femur.masks.geometry.index_to_lps((z, (rows - 1) / 2, (columns - 1) / 2))
        planes.append(_fitted(femur, f"{number}  {title}", through, (LEFT_LPS, POSTERIOR_LPS)))
    return tuple(planes)


def coronal_plane(femur: FemurResult) -> CutPlane:
    """The patient's coronal plane through the head, seen from the front."""
    return _fitted(femur, "coronal", _middle(femur), (LEFT_LPS, INFERIOR_LPS))


def long_plane(femur: FemurResult) -> CutPlane:
    """The plane of neck and shaft axis, seen from the front; the region planes stand upright on it.

    The patient's sagittal plane, seen from the left, where either axis is unknown.
    """
    frame = femur_frame(femur.report.side, femur.report.geometry)
    if frame.is_own:
        return _fitted(femur, "along neck and shaft", _middle(femur), (frame.left, -frame.up))
    return _fitted(femur, "sagittal", _middle(femur), (POSTERIOR_LPS, INFERIOR_LPS))


def along_neck_plane(femur: FemurResult) -> CutPlane | None:
    """The plane of the neck axis across the one of neck and shaft, seen from below.

    Without a shaft axis it is the one nearest to axial; None without a neck axis.
    """
    found = femur.report.geometry
    if found.neck_axis_lps is None:
        return None
    back = _behind(femur, found.neck_axis_lps)
    left = np.array(found.neck_axis_lps) * (1.0 if femur.report.side is FemurSide.LEFT else -1.0)
    up = np.cross(left, back)
    return _fitted(femur, "along the neck", _middle(femur) + ABOVE_NECK_AXIS_MM * up, (left, back))


def neck_section_plane(femur: FemurResult) -> CutPlane | None:
    """The narrowest section of the neck; None without a neck axis."""
    found = femur.report.geometry
    if found.neck_axis_lps is None or found.neck_centre_lps_mm is None:
        return None
    return _section(femur, "narrow neck", found.neck_centre_lps_mm, found.neck_axis_lps)


def intertrochanter_section_plane(femur: FemurResult) -> CutPlane | None:
    """The intertrochanteric section that was measured; None where it was not."""
    section = femur.report.measurements.cross_sections.intertrochanter
    if section is None:
        return None
    return _section(femur, "intertrochanter", section.centre_lps_mm, section.normal_lps)


def _section(femur: FemurResult, name: str, point: Vector, normal: Vector) -> CutPlane:
    """A plane with anterior on the left and the upper side on top."""
    back = _behind(femur, normal)
    down = np.cross(back, normal)
    down *= -1.0 if down[2] > 0 else 1.0
    return _fitted(femur, name, np.array(point), (back, down))


def _behind(femur: FemurResult, axis_lps: Vector) -> FloatArray:
    """Posterior, unit, at right angles to an axis."""
    axis = np.array(axis_lps)
    back = femur_frame(femur.report.side, femur.report.geometry).back
    back = back - (back @ axis) * axis
    unit: FloatArray = back / np.linalg.norm(back)
    return unit


def _middle(femur: FemurResult) -> FloatArray:
    """The head centre, or the middle of the mask where there is none."""
    head = femur.report.geometry.head_centre_lps_mm
    if head is not None:
        return np.array(head)
    return femur.masks.geometry.index_to_lps(ndimage.center_of_mass(femur.masks.periosteal))


def _landmarks(femur: FemurResult) -> tuple[Vector | FloatArray | None, ...]:
    found = femur.report.geometry
    shaft = None
    if found.lesser_trochanter_lps_mm is not None:
        axis = np.array(found.shaft_axis_lps or SUPERIOR_LPS)
        shaft = np.array(found.lesser_trochanter_lps_mm) - SHAFT_BELOW_LESSER_TROCHANTER_MM * axis
    lesser = found.lesser_trochanter_lps_mm
    return found.head_centre_lps_mm, found.neck_centre_lps_mm, lesser, shaft


def _fitted(
    femur: FemurResult,
    name: str,
    through_lps_mm: FloatArray,
    axes: tuple[Vector | FloatArray, Vector | FloatArray],
) -> CutPlane:
    """The plane through a point, centred on the femur's section and as large as that needs."""
    grid = femur.masks.geometry
    right, down = np.array(axes[0]), np.array(axes[1])
    corners = grid.index_to_lps(np.argwhere(np.ones((2, 2, 2))) * (np.array(grid.shape_zyx) - 1))
    reach = np.abs((corners - through_lps_mm) @ np.stack([right, down], axis=1)).max(axis=0)
    wide = CutPlane(name, through_lps_mm, right, down, *(2 * reach).tolist())
    across, along = (2 * int(most / SECTION_STEP_MM) + 1 for most in reach)
    points = wide.points_lps_mm(along, across, SECTION_STEP_MM)
    section = sample(femur.masks.periosteal, indices_of(grid, points), 0.0) >= 0.5
    if not section.any():
        return wide
    rows, columns = (np.flatnonzero(section.any(axis=axis))[[0, -1]] for axis in (1, 0))
    rows[1] = min(rows[1], rows[0] + int(LONG_VIEW_MM / SECTION_STEP_MM))
    centre = points[rows.sum() // 2, columns.sum() // 2]
    width, height = (
        max(float(ends[1] - ends[0]) * SECTION_STEP_MM + 2 * MARGIN_MM, SMALLEST_VIEW_MM)
        for ends in (columns, rows)
    )
    return CutPlane(name, centre, right, down, width, height)
