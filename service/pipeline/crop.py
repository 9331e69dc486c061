"""Volume -> one box per femur, by classical image analysis.

The femur's shaft is the easiest bone of the body to recognise: in axial sections a filled outline
of stable size, slice after slice. Each shaft found gives one femur; the proximal end is looked for
above it. The box is generous, since the networks decide what is femur; it only must not cut the
femur off. The paper cropped by hand (section 2.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.measure import block_reduce

from service.domain.findings import FemurSide
from service.domain.geometry import Box
from service.domain.imaging import CtVolume, FemurCrop

BONE_HU = 220.0
"""Above muscle and most contrast-filled vessels after averaging to 2 mm, below shaft cortex."""

ANALYSIS_SPACING_MM = 2.0
"""In-plane voxel size of the search; a shaft cortex of 4 mm keeps two voxels."""

SHAFT_AREA_MM2 = (300.0, 2200.0)
"""Filled cross-section of a femoral shaft: 20 to 53 mm across, oblique cuts through a flexed
thigh included; forearm bones lying beside the hip are smaller."""

SHAFT_GROWTH = 1.45
"""A section this much larger than the track's median has left the shaft (trochanter, condyles)."""

SHAFT_LENGTH_MM = 20.0
"""A track shorter than this is no shaft."""

BODY_WIDTH_MM = 300.0
"""Two thighs or a pelvis are wider than this; one thigh is not, and its middle divides nothing."""

MARGIN_MM = 16.0
"""Kept around everything that is taken for femur."""

PROXIMAL_REACH_MM = 125.0
"""From the top of the shaft track to above the head, along z (lesser trochanter to dome of the
head: 70-100 mm in adults)."""

HEAD_HEIGHT_MM = 65.0
"""From the top of the shaft track to the head's centre, along z."""

SHAFT_REACH_MM = 36.0
"""From the shaft's extrapolated axis to its own outline, below the track."""

MEDIAL_REACH_MM = 92.0
"""From the shaft's axis to the medial border of the head (offset 30-60 mm + radius 20-28 mm)."""

LATERAL_REACH_MM = 46.0
"""From the shaft's axis to the lateral face of the greater trochanter."""

ANTEROPOSTERIOR_REACH_MM = 60.0
"""From the shaft's extrapolated axis to the front of the head or the back of the trochanter."""


@dataclass(frozen=True)
class _Section:
    """One filled bone outline in one axial slice of the search grid (mm from voxel 0)."""

    slice_index: int
    area_mm2: float
    centre_yx_mm: tuple[float, float]
    low_yx_mm: tuple[float, float]
    high_yx_mm: tuple[float, float]


def find_femurs(volume: CtVolume) -> tuple[FemurCrop, ...]:
    """Find the femurs in view.

    Args:
        volume: HU ``[z, y, x]`` turned so that z grows to superior, y to posterior, x to left.

    Returns:
        At most one crop per side, left first; empty where no shaft is seen.
    """
    factor, search = _search_grid(volume)
    spacing = volume.geometry.spacing_mm
    pixel_mm = (spacing.y * factor, spacing.x * factor)
    tracks = _shaft_tracks(search, pixel_mm, spacing.z)
    midline_mm = _midline_mm(volume, search, pixel_mm[1])
    crops = []
    for side in FemurSide:
        own = [t for t in tracks if (_track_x_mm(t) > midline_mm) == (side is FemurSide.LEFT)]
        if own:
            # the femur's shaft is the longest; a tibia or a forearm is shorter or lower
            track = max(own, key=lambda t: (len(t), t[-1].slice_index))
            crops.append(FemurCrop(side, _box_around(track, volume, side)))
    return tuple(crops)


def _search_grid(volume: CtVolume) -> tuple[int, npt.NDArray[np.float32]]:
    """The volume averaged in-plane to about 2 mm; every slice kept."""
    spacing = volume.geometry.spacing_mm
    factor = max(1, round(ANALYSIS_SPACING_MM / min(spacing.y, spacing.x)))
    slices = [
        block_reduce(s, (factor, factor), np.mean, cval=float(s.min())).astype(np.float32)
        for s in volume.hu
    ]
    return factor, np.stack(slices)


def _midline_mm(volume: CtVolume, search: npt.NDArray[np.float32], pixel_x_mm: float) -> float:
    """The x distance from voxel 0 that divides left from right.

    Where the whole width of the body is in view, the middle of the body; else the scanner's
    isocentre (x = 0 in LPS), on which patients are centred.
    """
    body = ndimage.binary_opening(search.max(axis=1) > -300.0, iterations=2)
    touches = body[:, 0].mean() > 0.1 or body[:, -1].mean() > 0.1
    columns = np.flatnonzero(body.any(axis=0))
    if columns.size and not touches and np.ptp(columns) * pixel_x_mm > BODY_WIDTH_MM:
        return float((columns[0] + columns[-1] + 1) / 2 * pixel_x_mm)
    centre = (np.asarray(volume.geometry.shape_zyx) - 1) / 2
    x_axis = volume.geometry.affine_lps[0, 0]
    middle_x_mm = float(volume.geometry.index_to_lps(centre)[0])
    return float(centre[2]) * abs(float(x_axis)) - middle_x_mm


def _sections(
    plane: npt.NDArray[np.float32], slice_index: int, pixel_mm: tuple[float, float]
) -> list[_Section]:
    """Filled bone outlines of shaft size in one slice."""
    filled = ndimage.binary_fill_holes(plane > BONE_HU)
    labels, count = ndimage.label(filled)
    if not count:
        return []
    areas = np.bincount(labels.ravel())[1:] * pixel_mm[0] * pixel_mm[1]
    found = []
    for label, where in enumerate(ndimage.find_objects(labels), start=1):
        area = float(areas[label - 1])
        if not SHAFT_AREA_MM2[0] <= area <= SHAFT_AREA_MM2[1]:
            continue
        rows, columns = np.nonzero(labels[where] == label)
        low = (where[0].start * pixel_mm[0], where[1].start * pixel_mm[1])
        high = (where[0].stop * pixel_mm[0], where[1].stop * pixel_mm[1])
        height, width = high[0] - low[0], high[1] - low[1]
        # an ellipse fills pi/4 of its bounding box; crescents and rods do not pass
        if area < 0.55 * height * width or max(height, width) > 2.4 * min(height, width):
            continue
        centre = (
            low[0] + (float(rows.mean()) + 0.5) * pixel_mm[0],
            low[1] + (float(columns.mean()) + 0.5) * pixel_mm[1],
        )
        found.append(_Section(slice_index, area, centre, low, high))
    return found


def _follows(section: _Section, last: _Section, median_area: float) -> bool:
    """Whether a section continues a track: centre within the last outline, size alike."""
    y, x = section.centre_yx_mm
    inside = (
        last.low_yx_mm[0] <= y <= last.high_yx_mm[0]
        and last.low_yx_mm[1] <= x <= last.high_yx_mm[1]
    )
    return inside and median_area / SHAFT_GROWTH <= section.area_mm2 <= median_area * SHAFT_GROWTH


def _shaft_tracks(
    search: npt.NDArray[np.float32], pixel_mm: tuple[float, float], slice_mm: float
) -> list[list[_Section]]:
    """Runs of sections that follow each other upward, long enough to be a shaft."""
    open_tracks: list[list[_Section]] = []
    tracks: list[list[_Section]] = []
    for k in range(search.shape[0]):
        sections = _sections(search[k], k, pixel_mm)
        for track in list(open_tracks):
            median_area = float(np.median([s.area_mm2 for s in track]))
            following = [s for s in sections if _follows(s, track[-1], median_area)]
            if following:
                nearest = min(following, key=lambda s: abs(s.area_mm2 - median_area))
                track.append(nearest)
                sections.remove(nearest)
            else:
                open_tracks.remove(track)
        new = [[s] for s in sections]
        open_tracks += new
        tracks += new
    return [t for t in tracks if len(t) * slice_mm >= SHAFT_LENGTH_MM]


def _track_x_mm(track: list[_Section]) -> float:
    return sum(s.centre_yx_mm[1] for s in track) / len(track)


def _box_around(track: list[_Section], volume: CtVolume, side: FemurSide) -> Box:
    """The shaft, everything below it, and the reach of a proximal femur above it."""
    spacing = volume.geometry.spacing_mm
    z = np.array([s.slice_index * spacing.z for s in track])
    centres = np.array([s.centre_yx_mm for s in track])
    slope = np.polyfit(z, centres, 1)[0] if len(track) > 2 else np.zeros(2)
    slope = np.clip(slope, -1.0, 1.0)
    top_z, top = z[-1], centres[-1]
    below = centres[0] - slope * z[0]
    # where the shaft's line is at the height of the head (a flexed thigh leans backward going up)
    above = top + slope * HEAD_HEIGHT_MM
    medial, lateral = MEDIAL_REACH_MM, LATERAL_REACH_MM
    left = side is FemurSide.LEFT
    x_low, x_high = (medial, lateral) if left else (lateral, medial)
    reach = ANTEROPOSTERIOR_REACH_MM
    proximal = (top, above)
    low = np.min(
        [
            below - SHAFT_REACH_MM,
            *(np.array(s.low_yx_mm) - MARGIN_MM for s in track),
            *(c - np.array((reach, x_low)) for c in proximal),
        ],
        axis=0,
    )
    high = np.max(
        [
            below + SHAFT_REACH_MM,
            *(np.array(s.high_yx_mm) + MARGIN_MM for s in track),
            *(c + np.array((reach, x_high)) for c in proximal),
        ],
        axis=0,
    )
    shape = volume.geometry.shape_zyx
    pixel = np.array([spacing.y, spacing.x])
    start = np.clip(np.floor(low / pixel), 0, np.array(shape[1:]) - 1).astype(int)
    stop = np.clip(np.ceil(high / pixel), start + 1, shape[1:]).astype(int)
    z_stop = min(shape[0], int(np.ceil((top_z + PROXIMAL_REACH_MM) / spacing.z)) + 1)
    return Box((0, int(start[0]), int(start[1])), (z_stop, int(stop[0]), int(stop[1])))
