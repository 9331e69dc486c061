"""Slices of one orientation and size -> their order and the one grid they lie on."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.domain.findings import SliceGap
from service.domain.geometry import VolumeGeometry
from service.errors import SeriesError
from service.pipeline.dicom_header import data_set_bytes
from service.pipeline.slice_header import SliceHeader

FloatArray = npt.NDArray[np.float64]

SAME_PLACE_MM = 0.01
"""Slices closer than this along the normal lie in one place."""

EVENNESS_MM = 0.1
"""How far a slice may lie from the even grid: positions rounded to a tenth of a millimetre pass."""

ALIGNMENT_MM = 0.2
"""How far a slice's corner may lie off the stack's line: rounding to a tenth of a millimetre moves
an oblique slice by up to 0.09 mm, and those at the line's ends as much."""

TILT_DEGREES = 0.1
"""Between the stack's direction and the slices' normal; rounded positions stay far below."""

MAX_TILT_DEGREES = 35.0
"""No gantry tilts further (30 degrees is common): such a stack was not acquired like this."""

MAX_SPACING_MM = 6.0
"""Twelve slices per head-to-trochanter span; the paper's are 1 mm, routine pelvic CT 3 to 5 mm."""

MAX_VOXELS = 2**29
"""512 x 512 x 2048, 1 GiB of HU: far above any hip CT, and what a worker's memory bears."""


@dataclass(frozen=True, eq=False)
class StackGrid:
    """The even grid on which slices lie.

    Attributes:
        geometry: of the volume; its slice axis leans by ``tilt_deg`` against the slices' normal.
        evenness_mm: how far the worst slice lies from an even stack, along the normal.
        tilt_deg: 0 where below ``TILT_DEGREES``.
        places: where each slice lies along the z index; None where slice i lies at i.
        gaps: between neighbours farther apart than the rest; empty unless ``places`` are given.
    """

    geometry: VolumeGeometry
    evenness_mm: float
    tilt_deg: float
    places: tuple[float, ...] | None = None
    gaps: tuple[SliceGap, ...] = ()


def order_along_normal(stack: list[SliceHeader]) -> list[SliceHeader]:
    """The slices ascending along row x column, each SOP instance (or frame of one) once.

    Raises:
        SeriesError: ``duplicate_instance`` for files that share an UID and differ in position,
            rescaling or content; ``duplicate_position`` for two slices in one place.
    """
    by_uid: dict[tuple[str, int | None], SliceHeader] = {}
    for header in stack:
        first = by_uid.setdefault((header.ct_slice.sop_instance_uid, header.ct_slice.frame), header)
        if not _same_slice(first, header):
            raise SeriesError(
                f"files {_position(first)} and {_position(header)} have the same SOP Instance UID "
                "and different positions, rescaling or pixels; each slice needs its own UID: "
                "export the series again",
                code="duplicate_instance",
            )
    ordered = sorted(by_uid.values(), key=lambda header: header.depth_mm)
    for lower, upper in itertools.pairwise(ordered):
        if upper.depth_mm - lower.depth_mm < SAME_PLACE_MM:
            raise SeriesError(
                f"files {_position(lower)} and {_position(upper)} are different slices at the same "
                f"place, {lower.depth_mm:.2f} mm along the slice normal; one slice per place is "
                "needed: send one phase or reconstruction only",
                code="duplicate_position",
            )
    return ordered


def grid_of(ordered: list[SliceHeader], *, resample_gaps: bool = False) -> StackGrid:
    """The one even grid on which the slices lie.

    Args:
        ordered: at least two slices, ascending along the normal.
        resample_gaps: lay an even grid through unevenly spaced slices, at their usual spacing.

    Raises:
        SeriesError: ``mixed_pixel_spacing``, ``mixed_orientation``, ``uneven_spacing``,
            ``gantry_tilt``, ``unaligned_slices``, ``slices_too_thick``, ``volume_too_large``.
    """
    first = ordered[0]
    _check_pixel_spacing(ordered)
    _check_orientation(ordered)
    positions = np.array([header.ct_slice.position_lps_mm for header in ordered])
    depths_mm = positions @ first.normal
    _check_alignment(positions, depths_mm)
    tilt_deg = _tilt_degrees(positions[-1] - positions[0], first.normal)
    even = np.linspace(depths_mm[0], depths_mm[-1], len(depths_mm))
    evenness_mm = float(np.abs(depths_mm - even).max())
    intervals = len(ordered) - 1
    places: tuple[float, ...] | None = None
    gaps: tuple[SliceGap, ...] = ()
    if evenness_mm > EVENNESS_MM:
        if not resample_gaps:
            raise _uneven(depths_mm)
        intervals, places, gaps = _even_places(depths_mm)
    step = (positions[-1] - positions[0]) / intervals
    _check_size(float(np.linalg.norm(step)), (intervals + 1, *first.shape))
    affine = np.eye(4)
    affine[:3, 0] = first.orientation[:3] * first.spacing_mm[1]
    affine[:3, 1] = first.orientation[3:] * first.spacing_mm[0]
    affine[:3, 2] = step
    affine[:3, 3] = positions[0]
    geometry = VolumeGeometry((intervals + 1, *first.shape), affine)
    return StackGrid(geometry, evenness_mm, tilt_deg, places, gaps)


def _same_slice(a: SliceHeader, b: SliceHeader) -> bool:
    return a is b or (
        a.ct_slice.position_lps_mm == b.ct_slice.position_lps_mm
        and a.ct_slice.rescale_slope == b.ct_slice.rescale_slope
        and a.ct_slice.rescale_intercept == b.ct_slice.rescale_intercept
        and data_set_bytes(a.ct_slice.member) == data_set_bytes(b.ct_slice.member)
    )


def _position(header: SliceHeader) -> int:
    return header.ct_slice.member.position


def _check_pixel_spacing(ordered: list[SliceHeader]) -> None:
    first = ordered[0]
    for header in ordered:
        rows, columns = first.shape
        drift = np.abs(np.subtract(header.spacing_mm, first.spacing_mm)) * (rows, columns)
        if drift.max() > EVENNESS_MM:
            raise SeriesError(
                f"tag (0028,0030) Pixel Spacing is {first.spacing_mm} mm in file "
                f"{_position(first)} and {header.spacing_mm} mm in file {_position(header)}; one "
                "spacing is needed: send one reconstruction only",
                code="mixed_pixel_spacing",
            )


def _check_orientation(ordered: list[SliceHeader]) -> None:
    first = ordered[0]
    sides_mm = (first.shape[1] * first.spacing_mm[1], first.shape[0] * first.spacing_mm[0])
    for header in ordered:
        turned = (header.orientation - first.orientation).reshape(2, 3)
        drift_mm = np.linalg.norm(turned, axis=1) * sides_mm
        if drift_mm.max() > EVENNESS_MM:
            raise SeriesError(
                f"tag (0020,0037) Image Orientation (Patient) turns between file "
                f"{_position(first)} and file {_position(header)}, which moves the image's edge by "
                f"{drift_mm.max():.2f} mm; one orientation is needed: send one acquisition only",
                code="mixed_orientation",
            )


def _uneven(depths_mm: FloatArray) -> SeriesError:
    gaps = np.diff(depths_mm)
    usual = float(np.median(gaps))
    worst = int(np.abs(gaps - usual).argmax())
    return SeriesError(
        f"slices are unevenly spaced: {usual:.2f} mm apart as a rule, but {gaps[worst]:.2f} mm "
        f"between {depths_mm[worst]:.2f} and {depths_mm[worst + 1]:.2f} mm along the slice normal; "
        f"even spacing to {EVENNESS_MM} mm is needed: slices may be missing, send them all, or "
        f"have gaps up to {MAX_SPACING_MM:g} mm filled by interpolation (resample_gaps)",
        code="uneven_spacing",
    )


def _even_places(
    depths_mm: FloatArray,
) -> tuple[int, tuple[float, ...], tuple[SliceGap, ...]]:
    """Intervals of an even grid at the usual spacing, places of the slices on it, and the gaps."""
    gaps_mm = np.diff(depths_mm)
    if gaps_mm.max() > MAX_SPACING_MM:
        worst = int(gaps_mm.argmax())
        raise SeriesError(
            f"the gap of {gaps_mm[worst]:.2f} mm between {depths_mm[worst]:.2f} and "
            f"{depths_mm[worst + 1]:.2f} mm along the slice normal is too wide to be filled; at "
            f"most {MAX_SPACING_MM:g} mm are: send the missing slices",
            code="uneven_spacing",
        )
    extent_mm = float(depths_mm[-1] - depths_mm[0])
    usual_mm = float(np.median(gaps_mm))
    intervals = max(1, round(extent_mm / usual_mm))
    places = (depths_mm - depths_mm[0]) * (intervals / extent_mm)
    wide = tuple(
        SliceGap(from_mm=float(lower), to_mm=float(upper))
        for lower, upper in itertools.pairwise(depths_mm)
        if upper - lower > usual_mm + EVENNESS_MM
    )
    return intervals, tuple(float(place) for place in places), wide


def _check_alignment(positions: FloatArray, depths_mm: FloatArray) -> None:
    """That the slices' corners lie on one straight line."""
    share = (depths_mm - depths_mm[0]) / (depths_mm[-1] - depths_mm[0])
    line = positions[0] + share[:, None] * (positions[-1] - positions[0])
    off_line_mm = np.linalg.norm(positions - line, axis=1)
    if off_line_mm.max() > ALIGNMENT_MM:
        raise SeriesError(
            f"slices are shifted sideways against each other by different amounts, up to "
            f"{off_line_mm.max():.2f} mm; one straight line, to {ALIGNMENT_MM} mm, is needed: "
            "send one series as it was acquired",
            code="unaligned_slices",
        )


def _tilt_degrees(along: FloatArray, normal: FloatArray) -> float:
    """Between the stack's direction and the slices' normal; 0 below what rounding makes."""
    sideways = along - (along @ normal) * normal
    tilt = float(np.degrees(np.arctan2(np.linalg.norm(sideways), along @ normal)))
    if tilt > MAX_TILT_DEGREES:
        raise SeriesError(
            f"slices are stacked {tilt:.1f} degrees off their normal; a gantry tilts by at most "
            f"{MAX_TILT_DEGREES:g} degrees: send the series as it was acquired",
            code="gantry_tilt",
        )
    return tilt if tilt > TILT_DEGREES else 0.0


def _check_size(spacing_mm: float, shape_zyx: tuple[int, int, int]) -> None:
    if spacing_mm > MAX_SPACING_MM:
        raise SeriesError(
            f"slices lie {spacing_mm:.2f} mm apart; at most {MAX_SPACING_MM:g} mm are needed to "
            "follow the femur: send a thinner reconstruction",
            code="slices_too_thick",
        )
    if np.prod(shape_zyx, dtype=np.int64) > MAX_VOXELS:
        raise SeriesError(
            f"the series has {shape_zyx[0]} slices of {shape_zyx[1]} x {shape_zyx[2]} pixels; at "
            f"most {MAX_VOXELS} voxels are read: send the hips only",
            code="volume_too_large",
        )
