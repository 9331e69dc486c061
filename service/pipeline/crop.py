"""Volume -> one box per femur, by classical image analysis.

Each shaft found gives one femur; the proximal end is looked for above it. Where a side shows no
shaft, or so little that it may be an ischium, the most lateral bone of the lowest slices is taken
too. The box is generous, since the networks decide what is femur; it only must not cut the femur
off. The paper cropped by hand (section 2.2).
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from service.domain.findings import FemurSide
from service.domain.frozen import Vector
from service.domain.geometry import Box, FloatArray, VolumeGeometry
from service.domain.imaging import CtVolume, FemurCrop
from service.pipeline.bone_tracks import (
    SearchGrid,
    Track,
    search_grid,
    shaft_tracks,
    track_length_mm,
    track_x_mm,
    trochanter_tracks,
)

CERTAIN_SHAFT_MM = 45.0
"""A shorter track may be an ischium (26 to 40 mm in the reference series)."""

LATERAL_OF_MIDLINE_MM = 70.0
"""A trochanter lies farther from the body's midline (78 to 138 mm in the reference series), an
ischium, a pubis or a vertebra nearer."""

BODY_WIDTH_MM = 300.0
"""Two thighs or a pelvis are wider than this; one thigh is not, and its middle divides nothing."""

MARGIN_MM = 16.0
"""Kept around everything that is taken for femur."""

PROXIMAL_REACH_MM = 145.0
"""From the top of the shaft track to above the head, along z. Lesser trochanter to dome of the head
is 70-100 mm in adults, but a track may end below the lesser trochanter: the dome lay up to 95 mm
above it in the reference series and 133 mm in the generated ones."""

HEAD_HEIGHT_MM = 65.0
"""From the top of the shaft track to the head's centre, along z."""

SHAFT_REACH_MM = 36.0
"""From the shaft's extrapolated axis to its own outline, below the track."""

CONDYLE_REACH_MM = 60.0
"""From the extrapolated axis of a shaft whose track begins above the scan's lowest slice: condyles
are up to 95 mm wide and reach farther back than forward."""

MEDIAL_REACH_MM = 92.0
"""From the shaft's axis to the medial border of the head (offset 30-60 mm + radius 20-28 mm)."""

LATERAL_REACH_MM = 46.0
"""From the shaft's axis to the lateral face of the greater trochanter."""

ANTEROPOSTERIOR_REACH_MM = 60.0
"""From the shaft's extrapolated axis to the front of the head or the back of the trochanter."""

PIECE_MM = 16.0
"""Height of the pieces of a box along the shaft; a thigh that leans by 45 degrees makes them wider
by as much."""

ROUNDING = 1e-6
"""Pixels of overlap that count as none, so that a box does not depend on the last digit."""


def find_femurs(volume: CtVolume) -> tuple[FemurCrop, ...]:
    """Find the femurs in view.

    Args:
        volume: HU ``[z, y, x]`` turned so that z grows to superior, y to posterior, x to left.

    Returns:
        At most one crop per side, left first; empty where nothing looks like a femur.
    """
    grid = search_grid(volume)
    midline_mm = _midline_mm(volume, grid)
    shafts = shaft_tracks(grid)
    trochanters = trochanter_tracks(grid)
    crops = []
    for side in FemurSide:
        tracks = _shaft(shafts, side, midline_mm)
        certain = any(track_length_mm(track, grid) >= CERTAIN_SHAFT_MM for track in tracks)
        if not certain:
            tracks += _most_lateral(trochanters, side, midline_mm)
        if tracks:
            box = _union([_box_around(track, volume, side) for track in tracks])
            pieces = _pieces(tracks[0], volume, side) if certain else ()
            crops.append(FemurCrop(side, box, _centres(tracks, volume.geometry), pieces))
    return tuple(crops)


def _shaft(tracks: list[Track], side: FemurSide, midline_mm: float) -> list[Track]:
    """The side's femoral shaft, if any: the longest; a tibia or a forearm is shorter or lower."""
    own = [t for t in tracks if (track_x_mm(t) > midline_mm) == (side is FemurSide.LEFT)]
    return [max(own, key=lambda t: (len(t), t[-1].slice_index))] if own else []


def _most_lateral(tracks: list[Track], side: FemurSide, midline_mm: float) -> list[Track]:
    """The side's most lateral track, if any."""
    outward = 1 if side is FemurSide.LEFT else -1
    lateral_mm = [outward * (track_x_mm(t) - midline_mm) for t in tracks]
    farthest = int(np.argmax(lateral_mm)) if tracks else -1
    found = farthest >= 0 and lateral_mm[farthest] > LATERAL_OF_MIDLINE_MM
    return [tracks[farthest]] if found else []


def _centres(tracks: list[Track], geometry: VolumeGeometry) -> tuple[Vector, ...]:
    """The middle of each section, LPS mm."""
    spacing = geometry.spacing_mm
    middles = [(s.slice_index, *s.centre_yx_mm) for track in tracks for s in track]
    # positions in plane count from the outer border of voxel 0
    voxels = [(z, y / spacing.y - 0.5, x / spacing.x - 0.5) for z, y, x in middles]
    return tuple((float(x), float(y), float(z)) for x, y, z in geometry.index_to_lps(voxels))


def _union(boxes: list[Box]) -> Box:
    """The smallest box around boxes."""
    start = np.min([b.start_zyx for b in boxes], axis=0)
    stop = np.max([b.stop_zyx for b in boxes], axis=0)
    return Box(
        (int(start[0]), int(start[1]), int(start[2])), (int(stop[0]), int(stop[1]), int(stop[2]))
    )


def _midline_mm(volume: CtVolume, grid: SearchGrid) -> float:
    """The x distance from voxel 0 that divides left from right.

    Where the whole width of the body is in view, the middle of the body; else the scanner's
    isocentre (x = 0 in LPS), on which patients are centred.
    """
    body = ndimage.binary_opening(grid.hu.max(axis=1) > -300.0, iterations=2)
    pixel_x_mm = grid.pixel_mm[1]
    touches = body[:, 0].mean() > 0.1 or body[:, -1].mean() > 0.1
    columns = np.flatnonzero(body.any(axis=0))
    if columns.size and not touches and np.ptp(columns) * pixel_x_mm > BODY_WIDTH_MM:
        return grid.start_yx_mm[1] + float((columns[0] + columns[-1] + 1) / 2 * pixel_x_mm)
    centre = (np.asarray(volume.geometry.shape_zyx) - 1) / 2
    x_axis = volume.geometry.affine_lps[0, 0]
    middle_x_mm = float(volume.geometry.index_to_lps(centre)[0])
    return float(centre[2] + 0.5) * abs(float(x_axis)) - middle_x_mm


def _box_around(track: Track, volume: CtVolume, side: FemurSide) -> Box:
    """The track, everything below it, and the reach of a proximal femur above it."""
    _, below = _line(track, volume)
    shaft_low, shaft_high = _outline(track, below)
    low, high = _proximal_outline(track, volume, side)
    low, high = np.minimum(low, shaft_low), np.maximum(high, shaft_high)
    return _pixels(low, high, (0, _above_head(track, volume)), volume)


def _pieces(track: Track, volume: CtVolume, side: FemurSide) -> tuple[Box, ...]:
    """What ``_box_around`` gives, but of each few slices only where they may show the femur."""
    slope, below = _line(track, volume)
    slice_mm = volume.geometry.spacing_mm.z
    sections = {section.slice_index: section for section in track}
    top, step = track[-1].slice_index, max(1, round(PIECE_MM / slice_mm))
    pieces = []
    for start in range(0, top, step):
        slices = range(start, min(start + step, top))
        line = [below + slope * z * slice_mm for z in slices if z not in sections]
        found = [sections[z] for z in slices if z in sections]
        low = [c - CONDYLE_REACH_MM for c in line]
        low += [np.array(s.low_yx_mm) - MARGIN_MM for s in found]
        high = [c + CONDYLE_REACH_MM for c in line]
        high += [np.array(s.high_yx_mm) + MARGIN_MM for s in found]
        ends = np.min(low, axis=0), np.max(high, axis=0)
        pieces.append(_pixels(*ends, (start, slices.stop), volume))
    upper = _proximal_outline(track, volume, side)
    return (*pieces, _pixels(*upper, (top, _above_head(track, volume)), volume))


def _above_head(track: Track, volume: CtVolume) -> int:
    """The slice above all of the femur, as far as the scan reaches."""
    reach = int(np.ceil(PROXIMAL_REACH_MM / volume.geometry.spacing_mm.z))
    return min(volume.geometry.shape_zyx[0], track[-1].slice_index + reach + 1)


def _proximal_outline(
    track: Track, volume: CtVolume, side: FemurSide
) -> tuple[FloatArray, FloatArray]:
    """Lowest and highest y and x that a proximal femur above the track reaches."""
    slope, _ = _line(track, volume)
    top = np.array(track[-1].centre_yx_mm)
    # where the shaft's line is at the height of the head (a flexed thigh leans backward going up)
    above = top + slope * HEAD_HEIGHT_MM
    medial, lateral = MEDIAL_REACH_MM, LATERAL_REACH_MM
    x_low, x_high = (medial, lateral) if side is FemurSide.LEFT else (lateral, medial)
    reach = ANTEROPOSTERIOR_REACH_MM
    return (
        np.minimum(top, above) - np.array((reach, x_low)),
        np.maximum(top, above) + np.array((reach, x_high)),
    )


def _line(track: Track, volume: CtVolume) -> tuple[FloatArray, FloatArray]:
    """How far the track leans, in y and x per mm of z, and where its line meets voxel 0 of z."""
    z = np.array([s.slice_index for s in track]) * volume.geometry.spacing_mm.z
    centres = np.array([s.centre_yx_mm for s in track])
    slope = np.polyfit(z, centres, 1)[0] if len(track) > 2 else np.zeros(2)
    slope = np.clip(slope, -1.0, 1.0)
    return slope, centres[0] - slope * z[0]


def _outline(track: Track, below: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Lowest and highest y and x up to the track's top; ``below`` is its line's lower end."""
    reach = SHAFT_REACH_MM if track[0].slice_index == 0 else CONDYLE_REACH_MM
    low = [below - reach, *(np.array(s.low_yx_mm) - MARGIN_MM for s in track)]
    high = [below + reach, *(np.array(s.high_yx_mm) + MARGIN_MM for s in track)]
    return np.min(low, axis=0), np.max(high, axis=0)


def _pixels(low: FloatArray, high: FloatArray, slices: tuple[int, int], volume: CtVolume) -> Box:
    """A box of some slices, in y and x from low to high as far as the volume reaches."""
    spacing = volume.geometry.spacing_mm
    shape = volume.geometry.shape_zyx
    pixel = np.array([spacing.y, spacing.x])
    start = np.clip(np.floor(low / pixel + ROUNDING), 0, np.array(shape[1:]) - 1).astype(int)
    stop = np.clip(np.ceil(high / pixel - ROUNDING), start + 1, shape[1:]).astype(int)
    return Box((slices[0], int(start[0]), int(start[1])), (slices[1], int(stop[0]), int(stop[1])))
