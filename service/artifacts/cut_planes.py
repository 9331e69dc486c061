"""Where the preview cuts a femur: four axial planes and one along head and shaft."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from service.domain.findings import FemurGeometry, Vector
from service.domain.geometry import FloatArray, VolumeGeometry
from service.domain.imaging import FemurRegion, FemurResult

Picture = npt.NDArray[np.float32]

MARGIN_MM = 9.0
"""Seen around the section on each side."""

SMALLEST_VIEW_MM = 64.0
"""No view is narrower: a shaft alone would fill the tile and hide what lies around it."""

SHAFT_BELOW_LESSER_TROCHANTER_MM = 40.0
"""Height of the shaft's plane: inside the stretch that gives the shaft axis (10-60 mm)."""

DEFAULT_HEIGHTS = (0.88, 0.72, 0.55, 0.12)
"""Heights of the axial planes as shares of the femur in view, where no landmark says better."""

NAMES = ("head", "neck", "trochanter", "shaft")

LONG_VIEW_MM = 190.0
"""Of a longer section, the plane along the shaft shows this much from the top."""

SECTION_STEP_MM = 1.0
"""Grid on which a plane's section is measured to fit the view to it."""

LEFT_LPS: Vector = (1.0, 0.0, 0.0)
POSTERIOR_LPS: Vector = (0.0, 1.0, 0.0)
INFERIOR_LPS: Vector = (0.0, 0.0, -1.0)


@dataclass(frozen=True, eq=False)
class CutPlane:
    """A plane through the patient as a picture shows it.

    Attributes:
        name: what it cuts.
        centre_lps_mm: the middle of the picture.
        right_lps, down_lps: orthogonal unit vectors of the picture's axes. The viewer stands at
            the feet (axial) or before the patient (coronal): patient left is on the right.
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


def sample(
    array: npt.NDArray[np.generic], geometry: VolumeGeometry, points: FloatArray, outside: float
) -> Picture:
    """Trilinear values at LPS points ``[rows, columns, 3]``; ``outside`` off its grid."""
    indices = np.moveaxis(geometry.lps_to_index(points), -1, 0)
    picture: Picture = ndimage.map_coordinates(
        array, indices, output=np.float32, order=1, mode="constant", cval=outside
    )
    return picture


def axial_planes(femur: FemurResult) -> tuple[CutPlane, ...]:
    """Axial planes through head, neck, trochanter and shaft, each snapped to the nearest slice."""
    slices = np.flatnonzero(femur.masks.periosteal.any(axis=(1, 2)))
    lowest, highest = int(slices[0]), int(slices[-1])
    _, rows, columns = femur.masks.geometry.shape_zyx
    planes = []
    for name, height, landmark in zip(NAMES, DEFAULT_HEIGHTS, _landmarks(femur), strict=True):
        z = lowest + height * (highest - lowest)
        title = f"{height:.0%} of the height"
        if landmark is not None:
            z, title = float(femur.masks.geometry.lps_to_index(landmark)[0]), name
        z = float(np.clip(round(z), lowest, highest))
        through = femur.masks.geometry.index_to_lps((z, (rows - 1) / 2, (columns - 1) / 2))
        planes.append(_fitted(femur, title, through, (LEFT_LPS, POSTERIOR_LPS)))
    return tuple(planes)


def long_plane(femur: FemurResult) -> CutPlane:
    """The plane of head centre and shaft axis; the coronal one where either is unknown."""
    found = femur.report.geometry
    if found.head_centre_lps_mm is not None:
        through = np.array(found.head_centre_lps_mm)
    else:
        middle_zyx = ndimage.center_of_mass(femur.masks.periosteal)
        through = femur.masks.geometry.index_to_lps(middle_zyx)
    right, down = _long_axes(found)
    name = "coronal" if down == INFERIOR_LPS else "oblique coronal"
    return _fitted(femur, name, through, (right, down))


def _landmarks(femur: FemurResult) -> tuple[Vector | FloatArray | None, ...]:
    found = femur.report.geometry
    shaft = None
    if found.lesser_trochanter_lps_mm is not None:
        axis = np.array(found.shaft_axis_lps or (0.0, 0.0, 1.0))
        shaft = np.array(found.lesser_trochanter_lps_mm) - SHAFT_BELOW_LESSER_TROCHANTER_MM * axis
    trochanter = None
    if (trochanter_voxels := femur.labels == FemurRegion.TROCHANTER).any():
        centre_zyx = ndimage.center_of_mass(trochanter_voxels)
        trochanter = femur.masks.geometry.index_to_lps(centre_zyx)
    return found.head_centre_lps_mm, found.neck_centre_lps_mm, trochanter, shaft


def _long_axes(found: FemurGeometry) -> tuple[Vector, Vector]:
    """Picture axes: down along the shaft, right across it in the plane of the head centre."""
    head, point = found.head_centre_lps_mm, found.shaft_point_lps_mm
    if head is None or point is None or found.shaft_axis_lps is None:
        return LEFT_LPS, INFERIOR_LPS
    shaft = np.array(found.shaft_axis_lps)
    across = np.subtract(head, point)
    across = across - (across @ shaft) * shaft
    across *= (1.0 if across[0] >= 0 else -1.0) / np.linalg.norm(across)
    right, down = across.tolist(), (-shaft).tolist()
    return (right[0], right[1], right[2]), (down[0], down[1], down[2])


def _fitted(
    femur: FemurResult, name: str, through_lps_mm: FloatArray, axes: tuple[Vector, Vector]
) -> CutPlane:
    """The plane through a point, centred on the femur's section and as large as that needs."""
    grid = femur.masks.geometry
    diagonal_mm = float(np.linalg.norm(np.array(grid.shape_zyx) * grid.spacing_mm))
    right, down = np.array(axes[0]), np.array(axes[1])
    wide = CutPlane(name, through_lps_mm, right, down, diagonal_mm, diagonal_mm)
    # The point may lie at a corner of the grid: look one diagonal to either side.
    pixels = 2 * int(diagonal_mm / SECTION_STEP_MM) + 1
    points = wide.points_lps_mm(pixels, pixels, SECTION_STEP_MM)
    section = sample(femur.masks.periosteal, grid, points, 0.0) >= 0.5
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
