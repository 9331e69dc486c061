"""Slices of one orientation and size -> their order and the one grid they lie on."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from service.domain.geometry import VolumeGeometry
from service.errors import SeriesError
from service.pipeline.slice_header import SliceHeader

FloatArray = npt.NDArray[np.float64]

SAME_PLACE_MM = 0.01
"""Slices closer than this along the normal lie in one place."""

EVENNESS_MM = 0.1
"""How far a slice may lie from the even grid: positions rounded to a tenth of a millimetre pass."""

TILT_DEGREES = 0.1
"""Between the stack's direction and the slices' normal; rounded positions stay far below."""

MAX_SPACING_MM = 6.0
"""Twelve slices per head-to-trochanter span; the paper's are 1 mm, routine pelvic CT 3 to 5 mm."""

MAX_VOXELS = 2**29
"""512 x 512 x 2048, 1 GiB of HU: far above any hip CT, and what a worker's memory bears."""


def order_along_normal(stack: list[SliceHeader]) -> list[SliceHeader]:
    """The slices ascending along row x column, each SOP Instance UID once.

    Raises:
        SeriesError: ``duplicate_instance`` for files that share an UID and differ in position or
            rescaling; ``duplicate_position`` for two slices in one place.
    """
    by_uid: dict[str, SliceHeader] = {}
    for header in stack:
        first = by_uid.setdefault(header.ct_slice.sop_instance_uid, header)
        if not _same_slice(first, header):
            raise SeriesError(
                f"files {_position(first)} and {_position(header)} have the same SOP Instance UID "
                "and different positions or rescaling; each slice needs its own UID: "
                "export the series again",
                code="duplicate_instance",
            )
    ordered = sorted(by_uid.values(), key=_depth_mm)
    for lower, upper in itertools.pairwise(ordered):
        if _depth_mm(upper) - _depth_mm(lower) < SAME_PLACE_MM:
            raise SeriesError(
                f"files {_position(lower)} and {_position(upper)} are different slices at the same "
                f"place, {_depth_mm(lower):.2f} mm along the slice normal; one slice per place is "
                "needed: send one phase or reconstruction only",
                code="duplicate_position",
            )
    return ordered


def grid_of(ordered: list[SliceHeader]) -> VolumeGeometry:
    """The one even grid on which the slices lie.

    Args:
        ordered: at least two slices, ascending along the normal.

    Raises:
        SeriesError: ``mixed_pixel_spacing``, ``uneven_spacing``, ``gantry_tilt``,
            ``unaligned_slices``, ``slices_too_thick``, ``volume_too_large``.
    """
    first = ordered[0]
    _check_pixel_spacing(ordered)
    positions = np.array([header.ct_slice.position_lps_mm for header in ordered])
    step = (positions[-1] - positions[0]) / (len(ordered) - 1)
    _check_evenness(positions @ first.normal)
    _check_alignment(positions, step, first.normal)
    spacing_mm = float(np.linalg.norm(step))
    if spacing_mm > MAX_SPACING_MM:
        raise SeriesError(
            f"slices lie {spacing_mm:.2f} mm apart; at most {MAX_SPACING_MM:g} mm are needed to "
            "follow the femur: send a thinner reconstruction",
            code="slices_too_thick",
        )
    shape_zyx = (len(ordered), *first.shape)
    if np.prod(shape_zyx, dtype=np.int64) > MAX_VOXELS:
        raise SeriesError(
            f"the series has {shape_zyx[0]} slices of {shape_zyx[1]} x {shape_zyx[2]} pixels; at "
            f"most {MAX_VOXELS} voxels are read: send the hips only",
            code="volume_too_large",
        )
    affine = np.eye(4)
    affine[:3, 0] = first.orientation[:3] * first.spacing_mm[1]
    affine[:3, 1] = first.orientation[3:] * first.spacing_mm[0]
    affine[:3, 2] = step
    affine[:3, 3] = positions[0]
    return VolumeGeometry(shape_zyx, affine)


def _same_slice(a: SliceHeader, b: SliceHeader) -> bool:
    return (
        a.ct_slice.position_lps_mm == b.ct_slice.position_lps_mm
        and a.ct_slice.rescale_slope == b.ct_slice.rescale_slope
        and a.ct_slice.rescale_intercept == b.ct_slice.rescale_intercept
    )


def _depth_mm(header: SliceHeader) -> float:
    return float(np.dot(header.ct_slice.position_lps_mm, header.normal))


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


def _check_evenness(depths_mm: FloatArray) -> None:
    even = np.linspace(depths_mm[0], depths_mm[-1], len(depths_mm))
    if np.abs(depths_mm - even).max() <= EVENNESS_MM:
        return
    gaps = np.diff(depths_mm)
    usual = float(np.median(gaps))
    worst = int(np.abs(gaps - usual).argmax())
    raise SeriesError(
        f"slices are unevenly spaced: {usual:.2f} mm apart as a rule, but {gaps[worst]:.2f} mm "
        f"between {depths_mm[worst]:.2f} and {depths_mm[worst + 1]:.2f} mm along the slice normal; "
        f"even spacing to {EVENNESS_MM} mm is needed: slices may be missing, send them all",
        code="uneven_spacing",
    )


def _check_alignment(positions: FloatArray, step: FloatArray, normal: FloatArray) -> None:
    cosine = float(step @ normal) / float(np.linalg.norm(step))
    tilt = float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))
    off_line = positions - positions[0] - np.arange(len(positions))[:, None] * step
    if np.linalg.norm(off_line, axis=1).max() > 2 * EVENNESS_MM:
        raise SeriesError(
            "slices are shifted sideways against each other by different amounts; a stack along "
            "one straight line is needed: send one series as it was acquired",
            code="unaligned_slices",
        )
    if tilt > TILT_DEGREES:
        raise SeriesError(
            f"slices are stacked {tilt:.1f} degrees off their normal (gantry tilt); an untilted "
            "stack is needed: send an untilted acquisition or a reconstruction without tilt",
            code="gantry_tilt",
        )
