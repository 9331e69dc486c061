"""One cut through the CT on the report page: regions tinted, contours, region planes, letters."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.measure import find_contours

from service.artifacts.cut_planes import CutPlane, Picture, indices_of, letters, sample
from service.artifacts.palette import ENDOSTEAL, PERIOSTEAL, REGION_COLOURS, Colour
from service.artifacts.pdf_sheet import Rect, Sheet, Stroke, Style
from service.domain.findings import Plane
from service.domain.geometry import FloatArray
from service.domain.imaging import BoolArray, FemurRegion, FemurResult

BONE_WINDOW_HU = (-300.0, 1300.0)
"""Shown from black to white: level 500, width 1600."""

OUTSIDE_HU = -1024.0
"""Beyond the crop."""

TINT = 0.26
"""Share of a region's colour over the CT."""

CONTOUR_SMOOTHING_VOXELS = 0.7
"""Standard deviation of the Gaussian over a mask before its contour is drawn: takes the voxels'
steps out of the line, moves it by less than 0.1 mm where the surface bends with radius 5 mm."""

REACH_VOXELS = 3
"""What lies farther from a voxel has no share in its smoothed value."""

POINTS_KEPT = 3
"""Of a contour every third point: two per mm of paper."""

PIXELS_PER_MM = 6.0
"""Of paper: 152 dots per inch."""

LONGEST_SCALE_BAR = 0.4
SCALE_BARS_MM = (50.0, 20.0, 10.0)
"""The longest that fills no more than this share of the tile's width is drawn."""

ACROSS_PLANE_MM = 1.5
"""How far beside a region plane the regions are looked up that it parts: a voxel and a half."""

BEYOND_BONE_MM = 5.0
"""A region plane is drawn this far beyond what it parts."""

PLANE_STROKE = Stroke((255, 255, 255), 0.7, (2.4, 1.6))
LEVEL_STROKE = Stroke((190, 190, 190), 0.4, (1.0, 1.6))
BLACK: Colour = (0, 0, 0)
TITLE = Style(7.0, (255, 255, 255), bold=True, halo=BLACK)
LABEL = Style(6.5, (255, 255, 255), halo=BLACK)
LETTER = Style(7.5, (255, 179, 71), bold=True, halo=BLACK)
EMPTY: Colour = (40, 42, 46)


class Scene(NamedTuple):
    """One femur as drawn, on the grid of its masks.

    Attributes:
        femur: what is known of it.
        periosteal, endosteal: its masks smoothed, float32 0-1.
        regions: where each region of REGION_COLOURS lies, bool.
    """

    femur: FemurResult
    periosteal: Picture
    endosteal: Picture
    regions: tuple[BoolArray, ...]


_Bound = tuple[Plane | None, tuple[int, ...], tuple[int, ...]]
"""A region plane and the labels on its one and on its other side."""


class _Placed(NamedTuple):
    """A cut plane on the sheet: where, and at what scale."""

    plane: CutPlane
    place: Rect
    mm_per_paper_mm: float

    def on_sheet(self, points_lps_mm: npt.ArrayLike) -> FloatArray:
        """Points ``[..., 3]``, looked at along the plane's normal, in mm of the sheet."""
        offset = np.asarray(points_lps_mm) - self.plane.centre_lps_mm
        across = np.stack([offset @ self.plane.right_lps, offset @ self.plane.down_lps], axis=-1)
        left, top, width, height = self.place
        middle = np.array([left + width / 2, top + height / 2])
        placed: FloatArray = middle + across / self.mm_per_paper_mm
        return placed


def scene_of(femur: FemurResult) -> Scene:
    """A femur made ready to be cut."""
    regions = tuple(femur.labels == region for region, _ in REGION_COLOURS)
    masks = femur.masks
    return Scene(femur, _smoothed(masks.periosteal), _smoothed(masks.endosteal), regions)


def draw_cut(
    sheet: Sheet, scene: Scene, plane: CutPlane, place: Rect, levels: tuple[CutPlane, ...] = ()
) -> None:
    """Draw one cut, with equal mm per pixel both ways.

    Args:
        sheet: to draw on.
        scene: the femur.
        plane: where it is cut.
        place: where on the sheet.
        levels: axial planes whose heights are marked and numbered from 1.
    """
    scale = max(plane.width_mm / place.width, plane.height_mm / place.height)
    placed = _Placed(plane, place, scale)
    rows, columns = (round(side * PIXELS_PER_MM) for side in (place.height, place.width))
    points = plane.points_lps_mm(rows, columns, place.width * scale / columns)
    indices = indices_of(scene.femur.masks.geometry, points)
    inside = sample(scene.periosteal, indices, 0.0)
    sheet.picture(_tinted(scene, indices, inside >= 0.5), place)
    _draw_region_planes(sheet, placed, scene)
    _draw_contours(sheet, placed, sample(scene.endosteal, indices, 0.0), ENDOSTEAL)
    _draw_contours(sheet, placed, inside, PERIOSTEAL)
    for number, level in enumerate(levels, start=1):
        _draw_level(sheet, placed, level, number)
    _annotate(sheet, placed)


def draw_missing(sheet: Sheet, place: Rect, title: str, reason: str) -> None:
    """A tile for a cut that cannot be made."""
    sheet.rectangle(place, EMPTY)
    sheet.text(place.left + 1.5, place.top + 3.6, title, TITLE)
    middle = place.left + place.width / 2
    sheet.text(middle, place.top + place.height / 2, reason, LABEL, align=0.5)


def draw_scale_bar(sheet: Sheet, place: Rect, mm_per_paper_mm: float, style: Style) -> None:
    """A bar of a round length in the lower left corner of a rectangle."""
    longest = LONGEST_SCALE_BAR * place.width * mm_per_paper_mm
    length = next((bar for bar in SCALE_BARS_MM if bar <= longest), SCALE_BARS_MM[-1])
    x, y = place.left + 1.5, place.top + place.height - 1.6
    end = x + length / mm_per_paper_mm
    sheet.line([(x, y), (end, y)], Stroke(style.colour, 1.2))
    sheet.text(x, y - 1.0, f"{length:.0f} mm", style)


def _smoothed(mask: BoolArray) -> Picture:
    """A mask's share of the neighbourhood of each voxel; at the edge of the array it goes on."""
    share = np.zeros(mask.shape, dtype=np.float32)
    for bone in ndimage.find_objects(mask.view(np.uint8)):
        around = tuple(slice(max(s.start - REACH_VOXELS, 0), s.stop + REACH_VOXELS) for s in bone)
        part = mask[around].astype(np.float32)
        share[around] = ndimage.gaussian_filter(
            part, CONTOUR_SMOOTHING_VOXELS, mode="nearest", radius=REACH_VOXELS
        )
    return share


def _tinted(scene: Scene, indices: FloatArray, inside: BoolArray) -> npt.NDArray[np.uint8]:
    """The windowed CT as RGB, each region's pixels mixed with its colour."""
    low, high = BONE_WINDOW_HU
    hu = sample(scene.femur.hu, indices, OUTSIDE_HU)
    grey = np.clip((hu - low) / (high - low), 0.0, 1.0) * 255.0
    rgb = np.repeat(grey[..., None], 3, axis=2)
    within = indices[:, inside]
    shares = np.stack([sample(region, within, 0.0) for region in scene.regions])
    colours = np.array([colour for _, colour in REGION_COLOURS], dtype=np.float64)
    rgb[inside] += TINT * (shares.T @ colours - shares.sum(axis=0)[:, None] * rgb[inside])
    return rgb.astype(np.uint8)


def _draw_contours(sheet: Sheet, placed: _Placed, share: Picture, colour: Colour) -> None:
    """The line where the mask's share of a point, interpolated, is one half."""
    per_mm = share.shape[1] / placed.place.width
    corner = (placed.place.left, placed.place.top)
    for line in find_contours(share, 0.5):
        kept = np.concatenate([line[:-1:POINTS_KEPT], line[-1:]])
        sheet.line(corner + (kept[:, ::-1] + 0.5) / per_mm, Stroke(colour), clip=placed.place)


def _draw_region_planes(sheet: Sheet, placed: _Placed, scene: Scene) -> None:
    planes = scene.femur.report.geometry.planes
    lateral = (FemurRegion.TROCHANTER, FemurRegion.INTERTROCHANTER)
    bounds: tuple[_Bound, ...] = (
        (planes.head_neck, (FemurRegion.HEAD,), (FemurRegion.NECK,)),
        (planes.neck_trochanter, (FemurRegion.NECK,), lateral),
        (planes.trochanter_intertrochanter, lateral[:1], lateral[1:]),
        (planes.distal, lateral, (0,)),
    )
    for bound in bounds:
        if (ends := _ends(placed.plane, bound, scene.femur)) is not None:
            sheet.line(placed.on_sheet(ends), PLANE_STROKE, clip=placed.place)


def _ends(cut: CutPlane, bound: _Bound, femur: FemurResult) -> FloatArray | None:
    """Where, in a cut, a region plane begins and ends to part its regions; None where nowhere.

    Returns:
        LPS mm ``[2, 3]``.
    """
    plane, one_side, other_side = bound
    if plane is None:
        return None
    normal = np.array(plane.normal_lps)
    across = np.array([normal @ cut.right_lps, normal @ cut.down_lps])
    steepness = float(np.linalg.norm(across))
    # a plane that is nearly the cut's own has no line in it
    if steepness < 0.2:
        return None
    across /= steepness
    in_cut = across[0] * cut.right_lps + across[1] * cut.down_lps
    along = -across[1] * cut.right_lps + across[0] * cut.down_lps
    distance = normal @ (np.array(plane.point_lps_mm) - cut.centre_lps_mm) / steepness
    reach = np.hypot(cut.width_mm, cut.height_mm) / 2
    places = np.arange(-reach, reach, 0.5)
    line = cut.centre_lps_mm + distance * in_cut + places[:, None] * along
    one, other = (_labels_at(femur, line + side * ACROSS_PLANE_MM * in_cut) for side in (-1.0, 1.0))
    parted = np.flatnonzero(
        (np.isin(one, one_side) & np.isin(other, other_side))
        | (np.isin(other, one_side) & np.isin(one, other_side))
    )
    if len(parted) == 0:
        return None
    first, last = places[parted[0]] - BEYOND_BONE_MM, places[parted[-1]] + BEYOND_BONE_MM
    ends: FloatArray = cut.centre_lps_mm + distance * in_cut + np.outer([first, last], along)
    return ends


def _labels_at(femur: FemurResult, points: FloatArray) -> npt.NDArray[np.uint8]:
    indices = np.moveaxis(femur.masks.geometry.lps_to_index(points), -1, 0)
    labels: npt.NDArray[np.uint8] = ndimage.map_coordinates(
        femur.labels, indices, order=0, mode="constant", cval=0
    )
    return labels


def _draw_level(sheet: Sheet, placed: _Placed, level: CutPlane, number: int) -> None:
    """The height of an axial plane, with its number."""
    plane, place = placed.plane, placed.place
    half = place.width / 2 * placed.mm_per_paper_mm
    ends = []
    for aside in (-half, half):
        rise = level.centre_lps_mm[2] - plane.centre_lps_mm[2] - aside * plane.right_lps[2]
        ends.append(aside * plane.right_lps + rise / plane.down_lps[2] * plane.down_lps)
    on_sheet = placed.on_sheet(plane.centre_lps_mm + np.array(ends))
    sheet.line(on_sheet, LEVEL_STROKE, clip=place)
    x, y = on_sheet[0]
    if place.top + 5 < y < place.top + place.height:
        sheet.text(x + 4.2, y - 0.6, str(number), LABEL)


def _annotate(sheet: Sheet, placed: _Placed) -> None:
    """Title, orientation letters on the four edges, scale bar."""
    left, top, width, height = placed.place
    right_lps, down_lps = placed.plane.right_lps, placed.plane.down_lps
    end = sheet.text(left + 1.5, top + 3.6, placed.plane.name, TITLE)
    sheet.text(left + width - 1.2, top + height / 2, letters(right_lps), LETTER, align=1.0)
    sheet.text(left + 1.2, top + height / 2, letters(-right_lps), LETTER)
    sheet.text(left + width / 2, top + height - 1.4, letters(down_lps), LETTER, align=0.5)
    below_title = 3.6 if end > left + width / 2 - 4.0 else 0.0
    sheet.text(left + width / 2, top + 3.6 + below_title, letters(-down_lps), LETTER, align=0.5)
    draw_scale_bar(sheet, placed.place, placed.mm_per_paper_mm, LABEL)
