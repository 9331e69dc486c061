"""Bone outlines that follow each other from axial slice to axial slice: shafts and trochanters.

A femoral shaft is the easiest bone of the body to recognise: a filled outline of stable size, slice
after slice. Where the scan ends at the trochanters there is none, and the only sign of a femur in
its lowest slices is a compact outline of changing size, lateral of the ischium.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.morphology import convex_hull_image

from service.domain.imaging import BoolArray, CtVolume

BONE_HU = 220.0
"""Above muscle and most contrast-filled vessels after averaging to 2 mm, below shaft cortex."""

ANALYSIS_SPACING_MM = 2.0
"""In-plane voxel size of the search; a shaft cortex of 4 mm keeps two voxels."""

LOWEST_SLICES_MM = 30.0
"""A trochanter that ends a scan begins within this height of its lowest slice."""


@dataclass(frozen=True, eq=False)
class SearchGrid:
    """The volume averaged in-plane to about 2 mm; every slice kept.

    Attributes:
        hu: float32 ``[z, y, x]``.
        pixel_mm: size in y and x.
        start_yx_mm: outer border of pixel 0, from that of the volume's voxel 0.
        slice_mm: distance between slices.
    """

    hu: npt.NDArray[np.float32]
    pixel_mm: tuple[float, float]
    start_yx_mm: tuple[float, float]
    slice_mm: float


@dataclass(frozen=True)
class BoneSection:
    """One filled bone outline in one axial slice of the search grid (mm from voxel 0)."""

    slice_index: int
    area_mm2: float
    centre_yx_mm: tuple[float, float]
    low_yx_mm: tuple[float, float]
    high_yx_mm: tuple[float, float]


Track = tuple[BoneSection, ...]
"""Sections that follow each other upward, one per slice."""


@dataclass(frozen=True)
class _Shape:
    """What outlines of one kind look like.

    Attributes:
        area_mm2: least and most.
        box_share: of the bounding box that the outline fills at least; an ellipse fills pi/4,
            crescents and oblique rods do not pass.
        elongation: the bounding box's longer side is at most this many times the shorter.
        growth: a section larger or smaller by more than this than the track's median ends it.
        length_mm: a shorter track is none.
        convex: whether an outline is its pieces' convex hull, gaps in the cortex bridged; else what
            its bone encloses.
    """

    area_mm2: tuple[float, float]
    box_share: float
    elongation: float
    growth: float
    length_mm: float
    convex: bool


SHAFT = _Shape(
    area_mm2=(300.0, 2200.0),
    box_share=0.55,
    elongation=2.4,
    growth=1.45,
    length_mm=20.0,
    convex=False,
)
"""Sections 20 to 53 mm across, oblique cuts through a flexed thigh included; forearm bones lying
beside the hip are smaller. A section 1.45 times the median has left the shaft."""

TROCHANTER = _Shape(
    area_mm2=(300.0, 4500.0), box_share=0.45, elongation=3.0, growth=2.0, length_mm=8.0, convex=True
)
"""From the tip of a trochanter to a section through both trochanters and the neck; its cortex of
1-2 mm, or one that the field of view cuts, encloses nothing in slices of 3 mm."""


def search_grid(volume: CtVolume) -> SearchGrid:
    """Average a volume, z to superior, y to posterior, x to left, in-plane to about 2 mm.

    A mirrored scan gives mirrored averages: blocks lie about the middle of the image.
    """
    spacing = volume.geometry.spacing_mm
    factor = max(1, round(ANALYSIS_SPACING_MM / min(spacing.y, spacing.x)))
    slices = [_averaged(_averaged(s, factor, 0), factor, 1) for s in volume.hu]
    _, height, width = volume.geometry.shape_zyx
    rows, columns = slices[0].shape
    return SearchGrid(
        np.stack(slices),
        (spacing.y * factor, spacing.x * factor),
        ((height - rows * factor) / 2 * spacing.y, (width - columns * factor) / 2 * spacing.x),
        spacing.z,
    )


def _averaged(values: npt.NDArray[np.generic], factor: int, axis: int) -> npt.NDArray[np.float32]:
    """Means of blocks along one axis, those at both ends filled up with the nearest value."""
    pixels = np.moveaxis(np.asarray(values, np.float32), axis, 0)
    if factor % 2 == 0 and len(pixels) % 2:
        # no even blocks lie about the middle of an odd number: of neighbours' means there are fewer
        pixels = (pixels[1:] + pixels[:-1]) / np.float32(2)
    lacking = -len(pixels) % factor
    if lacking % 2:
        lacking += factor
    ends = [(lacking // 2, lacking // 2), (0, 0)]
    blocks = np.pad(pixels, ends, mode="edge").reshape(-1, factor, pixels.shape[1])
    return np.moveaxis(blocks.mean(axis=1), 0, axis)


def shaft_tracks(grid: SearchGrid) -> list[Track]:
    """Tracks that look like a shaft; empty where there is none."""
    return _tracks(grid, SHAFT, range(grid.hu.shape[0]))


def trochanter_tracks(grid: SearchGrid) -> list[Track]:
    """Tracks in the lowest slices that may be a femur cut at its trochanters; many are not."""
    count = int(LOWEST_SLICES_MM / grid.slice_mm) + 1
    return _tracks(grid, TROCHANTER, range(min(count, grid.hu.shape[0])))


def track_length_mm(track: Track, grid: SearchGrid) -> float:
    """The height a track spans."""
    return len(track) * grid.slice_mm


def track_x_mm(track: Track) -> float:
    """Mean x of the sections' centres, from voxel 0."""
    return sum(s.centre_yx_mm[1] for s in track) / len(track)


def _tracks(grid: SearchGrid, shape: _Shape, slices: Iterable[int]) -> list[Track]:
    """Runs of sections that follow each other upward, long enough for their kind."""
    open_tracks: list[list[BoneSection]] = []
    tracks: list[list[BoneSection]] = []
    for k in slices:
        sections = _sections(grid, k, shape)
        for track in list(open_tracks):
            median_area = float(np.median([s.area_mm2 for s in track]))
            following = [s for s in sections if _follows(s, track[-1], median_area, shape.growth)]
            if following:
                nearest = min(following, key=lambda s: abs(s.area_mm2 - median_area))
                track.append(nearest)
                sections.remove(nearest)
            else:
                open_tracks.remove(track)
        new = [[s] for s in sections]
        open_tracks += new
        tracks += new
    return [tuple(t) for t in tracks if len(t) * grid.slice_mm >= shape.length_mm]


def _sections(grid: SearchGrid, slice_index: int, shape: _Shape) -> list[BoneSection]:
    """Bone outlines of one kind in one slice."""
    bone = grid.hu[slice_index] > BONE_HU
    labels, _ = ndimage.label(_bridged(bone) if shape.convex else ndimage.binary_fill_holes(bone))
    pixel_y, pixel_x = grid.pixel_mm
    start_y, start_x = grid.start_yx_mm
    found = []
    for label, where in enumerate(ndimage.find_objects(labels), start=1):
        low = (start_y + where[0].start * pixel_y, start_x + where[1].start * pixel_x)
        high = (start_y + where[0].stop * pixel_y, start_x + where[1].stop * pixel_x)
        height, width = high[0] - low[0], high[1] - low[1]
        if max(height, width) > shape.elongation * min(height, width):
            continue
        if height * width < shape.area_mm2[0]:
            continue
        piece = labels[where] == label
        if shape.convex:
            piece = convex_hull_image(piece)
        rows, columns = np.nonzero(piece)
        area = rows.size * pixel_y * pixel_x
        if not shape.area_mm2[0] <= area <= shape.area_mm2[1]:
            continue
        if area < shape.box_share * height * width:
            continue
        centre = (
            low[0] + (float(rows.mean()) + 0.5) * pixel_y,
            low[1] + (float(columns.mean()) + 0.5) * pixel_x,
        )
        found.append(BoneSection(slice_index, area, centre, low, high))
    return found


def _bridged(bone: BoolArray) -> BoolArray:
    """Bone with gaps of two pixels closed."""
    square = np.ones((3, 3), dtype=np.bool_)
    closed: BoolArray = ndimage.binary_closing(np.pad(bone, 1), square)[1:-1, 1:-1]
    return closed


def _follows(section: BoneSection, last: BoneSection, median_area: float, growth: float) -> bool:
    """Whether a section continues a track: centre within the last outline, size alike."""
    y, x = section.centre_yx_mm
    inside = (
        last.low_yx_mm[0] <= y <= last.high_yx_mm[0]
        and last.low_yx_mm[1] <= x <= last.high_yx_mm[1]
    )
    return inside and median_area / growth <= section.area_mm2 <= median_area * growth
