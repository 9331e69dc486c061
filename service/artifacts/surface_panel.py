"""The femur's surface on the report page: coloured by region and by cortical thickness."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from service.artifacts.ct_tile import draw_scale_bar
from service.artifacts.cut_planes import LONG_VIEW_MM, FemurFrame, femur_frame, letters
from service.artifacts.mesh import Mesh
from service.artifacts.palette import THICKNESS_RANGE_MM, region_colours, thickness_colours
from service.artifacts.pdf_sheet import Rect, Sheet, Stroke, Style
from service.artifacts.surface_view import Rgb, View, normals, render
from service.domain.geometry import FloatArray
from service.domain.imaging import FemurResult, SurfaceThickness

PIXELS_PER_MM = 9.0
"""Of paper: 230 dots per inch; edges are not smoothed, so more than the CT has."""

PAPER = (255, 255, 255)
CAPTION = Style(7.0, bold=True)
NOTE = Style(6.5, halo=PAPER)
LETTER = Style(7.0, (150, 90, 0), bold=True, halo=PAPER)
CAPTION_HEIGHT = 4.0
MARGIN = 1.5
"""White about the femur, in mm of paper."""

NEIGHBOURS = 3
NEAR_VOXELS = 2.0
"""A point of the mesh has the mean thickness of the nearest three points of the thickness map, if
these lie within two voxels; else, as on the face where the scan ends, it has none."""

INWARD_VOXELS = 1.0
"""How far below the mesh the region is looked up: nearer, points lie over corners of the mask."""

BAR_WIDTH = 3.0
BAR_STEPS = 120


class _Frame(NamedTuple):
    """What all views share: the femur's directions, what is in view, and the scale."""

    axes: FemurFrame
    centre_lps_mm: FloatArray
    mm_per_paper_mm: float


def draw_surface(sheet: Sheet, femur: FemurResult, mesh: Mesh, place: Rect) -> None:
    """Draw four views: regions and thickness, each from the front and from behind.

    Args:
        sheet: to draw on.
        femur: whose surface it is.
        mesh: of the periosteal mask.
        place: where; the bar of thickness stands at its right end.
    """
    bar = 16.0
    width, height = (place.width - bar) / 4, place.height - CAPTION_HEIGHT
    frame = _framed(femur, mesh, width, height)
    paintings = (
        region_colours(_labels(femur, mesh)),
        thickness_colours(_thickness_at(mesh, femur)),
    )
    for behind, side in enumerate(("the front", "behind")):
        right = frame.axes.left * (-1.0 if behind else 1.0)
        pictures = _rendered(mesh, paintings, frame, right, (width, height))
        for number, name in enumerate(("regions", "cortical thickness")):
            left = place.left + (2 * number + behind) * width
            tile = Rect(left, place.top + CAPTION_HEIGHT, width, height)
            sheet.picture(pictures[number], tile)
            sheet.text(left + width / 2, place.top + 2.8, f"{name}, from {side}", CAPTION, 0.5)
            _annotate(sheet, tile, right, frame.mm_per_paper_mm)
    x = place.left + place.width - bar + 3.0
    top = place.top + CAPTION_HEIGHT + 6.0
    _draw_bar(sheet, Rect(x, top, BAR_WIDTH, height - 12.0))


def _framed(femur: FemurResult, mesh: Mesh, width: float, height: float) -> _Frame:
    """Of a femur longer than LONG_VIEW_MM, its upper part."""
    axes = femur_frame(femur.report.side, femur.report.geometry)
    across, along, depth = (mesh.points_lps_mm @ d for d in (axes.left, axes.up, axes.back))
    top = float(along.max())
    bottom = max(float(along.min()), top - LONG_VIEW_MM)
    seen = across[along >= bottom]
    low, high = float(seen.min()), float(seen.max())
    scale = max((high - low) / (width - 2 * MARGIN), (top - bottom) / (height - 2 * MARGIN))
    centre = (
        (low + high) / 2 * axes.left
        + (top + bottom) / 2 * axes.up
        + float(np.mean(depth)) * axes.back
    )
    return _Frame(axes, centre, scale)


def _labels(femur: FemurResult, mesh: Mesh) -> npt.NDArray[np.uint8]:
    """The region of the voxel below each point of the mesh."""
    grid = femur.masks.geometry
    below = mesh.points_lps_mm - INWARD_VOXELS * max(grid.spacing_mm) * normals(mesh)
    index = np.rint(grid.lps_to_index(below)).astype(np.intp)
    z, y, x = np.clip(index, 0, np.array(grid.shape_zyx) - 1).T
    labels: npt.NDArray[np.uint8] = femur.labels[z, y, x]
    return labels


def _thickness_at(mesh: Mesh, femur: FemurResult) -> FloatArray:
    """Thickness in mm at each point of the mesh, NaN where there is none."""
    local: SurfaceThickness | None = femur.thickness
    if local is None or len(local.points_lps_mm) == 0:
        return np.full(len(mesh.points_lps_mm), np.nan)
    near = NEAR_VOXELS * max(femur.masks.geometry.spacing_mm)
    tree = cKDTree(local.points_lps_mm)
    _, nearest = tree.query(mesh.points_lps_mm, k=NEIGHBOURS, distance_upper_bound=near)
    # what is not found within the bound has the index n, one beyond the last
    values: FloatArray = np.append(local.thickness_mm, np.nan)[nearest].mean(axis=1)
    return values


def _rendered(
    mesh: Mesh,
    paintings: tuple[FloatArray, ...],
    frame: _Frame,
    right_lps: FloatArray,
    size_mm: tuple[float, float],
) -> tuple[Rgb, ...]:
    """The mesh from one side, upright, on pictures of this width and height of paper."""
    columns, rows = (round(side * PIXELS_PER_MM) for side in size_mm)
    scale = frame.mm_per_paper_mm * size_mm[0] / columns
    view = View(right_lps, -frame.axes.up, frame.centre_lps_mm, (rows, columns), scale)
    return render(mesh, paintings, view, PAPER)


def _annotate(sheet: Sheet, tile: Rect, right_lps: FloatArray, mm_per_paper_mm: float) -> None:
    """Orientation letters at the sides and a scale bar."""
    middle = tile.top + tile.height / 2
    sheet.text(tile.left + tile.width - 3.0, middle, letters(right_lps), LETTER, align=1.0)
    sheet.text(tile.left + 3.0, middle, letters(-right_lps), LETTER)
    draw_scale_bar(sheet, tile, mm_per_paper_mm, NOTE)


def _draw_bar(sheet: Sheet, place: Rect) -> None:
    """The colours of thickness with their millimetres."""
    low, high = THICKNESS_RANGE_MM
    values = np.linspace(high, low, BAR_STEPS)
    colours = np.repeat(thickness_colours(values)[:, None, :], 8, axis=1)
    sheet.picture(colours.astype(np.uint8), place)
    sheet.text(place.left, place.top - 1.8, "mm", NOTE)
    for tick in range(int(low), int(high) + 1):
        y = place.top + (high - tick) / (high - low) * place.height
        right = place.left + place.width
        sheet.line([(right, y), (right + 0.8, y)], Stroke(NOTE.colour, 0.4))
        more = " +" if tick == high else ""
        sheet.text(right + 1.4, y + 0.8, f"{tick}{more}", NOTE)
