"""One picture per femur: both surfaces and the regions over the CT, in five planes."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from skimage.measure import find_contours

from service.artifacts.cut_planes import CutPlane, Picture, axial_planes, long_plane, sample
from service.domain.findings import Compartments, FemurReport
from service.domain.geometry import FloatArray
from service.domain.imaging import FemurRegion, FemurResult

NOTICE = "Research use only: not validated for clinical use."

Colour = tuple[int, int, int]

BONE_WINDOW_HU = (-300.0, 1300.0)
"""Shown from black to white: level 500, width 1600."""

OUTSIDE_HU = -1024.0
"""Beyond the crop."""

BACKGROUND: Colour = (14, 16, 20)
TEXT: Colour = (228, 231, 235)
FAINT: Colour = (138, 146, 158)
AMBER: Colour = (255, 179, 71)
PERIOSTEAL: Colour = (255, 214, 10)
ENDOSTEAL: Colour = (0, 229, 255)
REGION_COLOURS: tuple[tuple[FemurRegion, Colour], ...] = (
    (FemurRegion.HEAD, (239, 83, 80)),
    (FemurRegion.NECK, (186, 104, 255)),
    (FemurRegion.TROCHANTER, (102, 204, 102)),
    (FemurRegion.INTERTROCHANTER, (66, 133, 255)),
)
TINT = 0.30
"""Share of a region's colour over the CT."""

CONTOUR_SMOOTHING_VOXELS = 0.7
"""Standard deviation of the Gaussian over a mask before its contour is drawn: takes the voxels'
steps out of the line, moves it by less than 0.1 mm where the surface bends with radius 5 mm."""

FINE = 2
"""Pixels drawn per pixel delivered, each way: Pillow's lines are not anti-aliased."""

SIZE = (1400, 900)
HEADER, FOOTER, GAP = 58, 66, 8
AXIAL_TILE = (436, 380)
SCALE_BAR_MM = 20.0


class Tile(NamedTuple):
    """A rectangle of the picture, in delivered pixels."""

    left: int
    top: int
    width: int
    height: int


class Scene(NamedTuple):
    """One femur as drawn: both masks smoothed, float32 0-1 on the grid of ``femur.masks``."""

    femur: FemurResult
    periosteal: Picture
    endosteal: Picture


def preview(femur: FemurResult) -> Image.Image:
    """Draw one femur.

    CT at ``BONE_WINDOW_HU`` with equal mm per pixel both ways, the periosteal and the endosteal
    contour, the regions tinted; axial planes at head, neck, trochanter and shaft, and one plane
    along head and shaft. Patient left is on the right of the picture, letters say so.

    Args:
        femur: its periosteal mask holds at least one voxel; landmarks may be missing.

    Returns:
        RGB, 1400 x 900, without metadata.
    """
    canvas = Image.new("RGB", (SIZE[0] * FINE, SIZE[1] * FINE), BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    axial = axial_planes(femur)
    scene = Scene(femur, _smoothed(femur.masks.periosteal), _smoothed(femur.masks.endosteal))
    for number, plane in enumerate(axial):
        left = GAP + (number % 2) * (AXIAL_TILE[0] + GAP)
        top = HEADER + (number // 2) * (AXIAL_TILE[1] + GAP)
        plane = replace(plane, name=f"{number + 1}  {plane.name}")
        _paint_tile(canvas, scene, plane, Tile(left, top, *AXIAL_TILE), ())
    left = GAP + 2 * (AXIAL_TILE[0] + GAP)
    tall = Tile(left, HEADER, SIZE[0] - left - GAP, 2 * AXIAL_TILE[1] + GAP)
    _paint_tile(canvas, scene, long_plane(femur), tall, axial)
    _write_header(draw, femur.report)
    _write_footer(draw, femur.report)
    return canvas.resize(SIZE, Image.Resampling.LANCZOS)


def _paint_tile(
    canvas: Image.Image,
    scene: Scene,
    plane: CutPlane,
    tile: Tile,
    levels: tuple[CutPlane, ...],
) -> None:
    """One plane: CT, tints, contours, heights of the axial planes, title, letters, scale bar."""
    mm_per_pixel = max(plane.width_mm / tile.width, plane.height_mm / tile.height)
    points = plane.points_lps_mm(tile.height, tile.width, mm_per_pixel)
    grid = scene.femur.masks.geometry
    inside = sample(scene.periosteal, grid, points, 0.0)
    colours = _tinted(scene.femur, points, inside >= 0.5)
    picture = Image.fromarray(colours).resize(
        (tile.width * FINE, tile.height * FINE), Image.Resampling.BICUBIC
    )
    draw = ImageDraw.Draw(picture)
    for number, level in enumerate(levels, start=1):
        _draw_level(draw, number, _level_ends(plane, level, tile, mm_per_pixel))
    _draw_contours(draw, inside, PERIOSTEAL)
    _draw_contours(draw, sample(scene.endosteal, grid, points, 0.0), ENDOSTEAL)
    _annotate(draw, plane, tile, mm_per_pixel)
    canvas.paste(picture, (tile.left * FINE, tile.top * FINE))


def _smoothed(mask: npt.NDArray[np.bool_]) -> Picture:
    """A mask's share of the neighbourhood of each voxel; at the edge of the array it goes on."""
    share: Picture = ndimage.gaussian_filter(
        mask.astype(np.float32), CONTOUR_SMOOTHING_VOXELS, mode="nearest"
    )
    return share


def _tinted(
    femur: FemurResult, points: FloatArray, inside: npt.NDArray[np.bool_]
) -> npt.NDArray[np.uint8]:
    """The windowed CT as RGB, each region's pixels mixed with its colour."""
    low, high = BONE_WINDOW_HU
    hu = sample(femur.hu, femur.masks.geometry, points, OUTSIDE_HU)
    grey = np.clip((hu - low) / (high - low), 0.0, 1.0) * 255.0
    rgb = np.repeat(grey[..., None], 3, axis=2)
    shares = [
        sample(femur.labels == region, femur.masks.geometry, points, 0.0)
        for region, _ in REGION_COLOURS
    ]
    strongest = np.argmax(shares, axis=0)
    # Below the distal plane no region has the larger share.
    labelled = inside & (np.sum(shares, axis=0) >= 0.5)
    for number, (_, colour) in enumerate(REGION_COLOURS):
        here = labelled & (strongest == number)
        rgb[here] = (1 - TINT) * rgb[here] + TINT * np.array(colour)
    return rgb.astype(np.uint8)


def _draw_contours(draw: ImageDraw.ImageDraw, share: Picture, colour: Colour) -> None:
    """The line where the mask's share of a point, interpolated, is one half."""
    for line in find_contours(share, 0.5):
        xy = [((column + 0.5) * FINE - 0.5, (row + 0.5) * FINE - 0.5) for row, column in line]
        draw.line(xy, fill=colour, width=3, joint="curve")


def _level_ends(
    plane: CutPlane, level: CutPlane, tile: Tile, mm_per_pixel: float
) -> list[tuple[float, float]]:
    """Where an axial plane meets the tile's left and right edge, in fine pixels."""
    ends = []
    for side in (-0.5, 0.5):
        across_mm = side * tile.width * mm_per_pixel
        rise_mm = level.centre_lps_mm[2] - plane.centre_lps_mm[2] - across_mm * plane.right_lps[2]
        down = rise_mm / plane.down_lps[2] / mm_per_pixel
        ends.append(((side + 0.5) * tile.width * FINE, (tile.height / 2 + down) * FINE))
    return ends


def _draw_level(draw: ImageDraw.ImageDraw, number: int, ends: list[tuple[float, float]]) -> None:
    (x0, y0), (x1, y1) = ends
    for start in np.arange(0.0, 1.0, 0.02):
        stop = start + 0.008
        dash = [(x0 + t * (x1 - x0), y0 + t * (y1 - y0)) for t in (start, stop)]
        draw.line(dash, fill=FAINT, width=2)
    draw.text((x0 + 30 * FINE, y0 - 2), str(number), FAINT, _font(13), anchor="ls")


def _annotate(draw: ImageDraw.ImageDraw, plane: CutPlane, tile: Tile, mm_per_pixel: float) -> None:
    """Title, orientation letters on the four edges, scale bar."""
    width, height, edge = tile.width * FINE, tile.height * FINE, 7 * FINE
    _text(draw, (edge, edge), plane.name, "la", TEXT)
    right, down = plane.right_lps, plane.down_lps
    _text(draw, (width - edge, height / 2), _letters(right), "rm", AMBER)
    _text(draw, (edge, height / 2), _letters(-right), "lm", AMBER)
    _text(draw, (width / 2, height - edge), _letters(down), "md", AMBER)
    _text(draw, (width / 2, edge), _letters(-down), "ma", AMBER)
    length = SCALE_BAR_MM / mm_per_pixel * FINE
    draw.line([(edge, height - edge), (edge + length, height - edge)], fill=TEXT, width=4)
    _text(draw, (edge, height - edge - 4), f"{SCALE_BAR_MM:.0f} mm", "ld", TEXT)


def _letters(direction_lps: FloatArray) -> str:
    """The patient's directions along a vector, strongest first (DICOM PS3.3 C.7.6.1.1.1)."""
    order = np.argsort(-np.abs(direction_lps), kind="stable")
    # 0.3: less than about 17 degrees off an axis is that axis to the eye.
    named = [axis for axis in order if abs(direction_lps[axis]) >= 0.3]
    return "".join(("LPS" if direction_lps[axis] > 0 else "RAI")[axis] for axis in named)


def _write_header(draw: ImageDraw.ImageDraw, report: FemurReport) -> None:
    """Side, and what each colour means."""
    y = HEADER / 2 * FINE
    _text(draw, (GAP * FINE, y), f"{report.side.value.capitalize()} femur", "lm", TEXT, 24)
    x = 190.0 * FINE
    legend = [("periosteal", PERIOSTEAL), ("endosteal", ENDOSTEAL)]
    for name, colour in legend:
        draw.line([(x, y), (x + 26 * FINE, y)], fill=colour, width=6)
        x = _text(draw, (x + 34 * FINE, y), name, "lm", TEXT) + 22 * FINE
    for region, colour in REGION_COLOURS:
        draw.rectangle([x, y - 8 * FINE, x + 16 * FINE, y + 8 * FINE], fill=colour)
        x = _text(draw, (x + 24 * FINE, y), region.name.lower(), "lm", TEXT) + 22 * FINE


def _write_footer(draw: ImageDraw.ImageDraw, report: FemurReport) -> None:
    """Volumes, the notice, flags."""
    volumes = report.volumes_cm3
    parts = (
        ("head", volumes.head),
        ("neck", volumes.neck),
        ("trochanter", volumes.trochanter),
        ("intertrochanter", volumes.intertrochanter),
        ("total", volumes.total),
    )
    x, y = float(GAP * FINE), (SIZE[1] - FOOTER + 20) * FINE
    x = _text(draw, (x, y), "cm3 (cortical)", "lm", FAINT) + 24 * FINE
    for name, volume in parts:
        x = _text(draw, (x, y), name, "lm", FAINT) + 8 * FINE
        x = _text(draw, (x, y), _volume(volume), "lm", TEXT) + 28 * FINE
    y = (SIZE[1] - 20) * FINE
    _text(draw, (GAP * FINE, y), NOTICE, "lm", AMBER)
    codes = ", ".join(flag.code.value for flag in report.flags)
    _text(draw, ((SIZE[0] - GAP) * FINE, y), codes, "rm", AMBER, 13)


def _volume(volume: Compartments | None) -> str:
    """The integral volume and, where the cortex is known, the cortical one."""
    if volume is None:
        return "not measured"
    cortical = "unknown" if volume.cortical is None else f"{volume.cortical:.1f}"
    return f"{volume.integral:.1f} ({cortical})"


def _text(
    draw: ImageDraw.ImageDraw,
    xy: tuple[float, float],
    text: str,
    anchor: str,
    colour: Colour,
    size: int = 16,
) -> float:
    """Write text with a dark rim; returns the x where it ends."""
    font = _font(size)
    draw.text(xy, text, colour, font, anchor=anchor, stroke_width=2, stroke_fill=BACKGROUND)
    return float(draw.textbbox(xy, text, font, anchor=anchor)[2])


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size * FINE)
