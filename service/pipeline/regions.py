"""Masks -> head, neck, trochanter, intertrochanter by ``regions/v1`` (docs/regions.md)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from service.domain.findings import (
    FemurGeometry,
    FemurSide,
    FlagCode,
    Plane,
    QualityFlag,
    RegionPlanes,
    Severity,
    Vector,
)
from service.domain.geometry import FloatArray
from service.domain.imaging import FemurMasks, FemurRegion, FemurRegions, FieldOfViewCuts
from service.pipeline.distance_field import canonical_mask, distance_field, left_frame
from service.pipeline.landmarks import Landmarks, find_landmarks
from service.pipeline.neck import NeckOutcome, head_plane_distance
from service.pipeline.partition import HalfSpace, RegionBounds, partition
from service.pipeline.sections import unit
from service.pipeline.shaft import Line

DISTAL_PLANE_MM = 25.0
"""The distal plane lies 25 mm distal to the lesser trochanter's most prominent point. The shaft
axis needs complete sections to 30 mm below that point, so the plane's own section is complete
whenever there is an axis."""

MIN_VOXELS = 1000
"""A mask smaller than this holds no landmark worth seeking."""


def divide(masks: FemurMasks, cuts: FieldOfViewCuts) -> FemurRegions:
    """Divide one femur.

    Args:
        masks: both surfaces on the source's voxels; only the periosteal one is used.
        cuts: where the crop found the bone cut; makes the test for cut regions stricter.

    Returns:
        Labels on the masks' grid, landmarks in the patient's LPS mm, and a flag for each thing
        that was not found. Never fails on a mask, even on an empty one.
    """
    if np.count_nonzero(masks.periosteal) < MIN_VOXELS:
        landmarks = Landmarks()
        labels = np.zeros(masks.periosteal.shape, dtype=np.uint8)
        return FemurRegions(labels, FemurGeometry(), _missing(landmarks))
    mask = canonical_mask(masks.periosteal, left_frame(masks))
    landmarks = find_landmarks(distance_field(mask))
    bounds = _bounds(landmarks)
    turned = np.zeros([masks.periosteal.shape[a] for a in mask.order.permutation], dtype=np.uint8)
    if bounds is not None:
        turned[mask.box.slices] = partition(mask, bounds)
    cut_flags = _drop_cut_regions(turned, cuts)
    labels = np.ascontiguousarray(mask.order.invert(turned))
    geometry = _geometry(landmarks, bounds, mirrored=masks.side is FemurSide.RIGHT)
    return FemurRegions(labels, geometry, (*_missing(landmarks), *cut_flags))


def _axis(landmarks: Landmarks) -> Line | None:
    """The shaft axis, where enough shaft is in view."""
    shaft = landmarks.shaft
    return shaft.fit.line if shaft is not None and shaft.fit.long_enough else None


def _bounds(landmarks: Landmarks) -> RegionBounds | None:
    """The planes that the landmarks give; None where not even the head can be bounded."""
    head, neck, end = landmarks.head, landmarks.neck, landmarks.neck_end
    if head is None or neck is None or not neck.found:
        return None
    n = neck.axis
    head_neck = HalfSpace(head.centre_mm + head_plane_distance(head, neck) * n, n)
    neck_trochanter = above_axis = above_distal = None
    if end is not None and end.found:
        neck_trochanter = HalfSpace(head.centre_mm + end.distance_mm * n, n)
    axis = _axis(landmarks)
    if axis is not None and landmarks.shaft is not None:
        s = axis.direction
        above_axis = HalfSpace(neck.centre_mm, unit(s - (s @ n) * n))
        trochanter_height = float(axis.height_mm(landmarks.shaft.lesser_trochanter.point_mm))
        above_distal = HalfSpace(axis.at(trochanter_height - DISTAL_PLANE_MM), s)
    return RegionBounds(
        head_centre_mm=head.centre_mm,
        neck_centre_mm=neck.centre_mm,
        lateral_of_head=head_neck,
        lateral_of_neck=neck_trochanter,
        above_neck_axis=above_axis,
        above_distal=above_distal,
    )


def _missing(landmarks: Landmarks) -> tuple[QualityFlag, ...]:
    """One flag for each landmark that was not found."""
    if landmarks.head is None or landmarks.neck is None:
        return (
            _error(
                FlagCode.HEAD_NOT_FOUND,
                "no sphere of 17-32 mm radius with a neck fits the superomedial bone surface; "
                "no region was measured. The head must lie in the scan.",
            ),
        )
    flags = []
    if landmarks.neck.outcome is NeckOutcome.RESTLESS:
        flags.append(
            _error(
                FlagCode.AXIS_NOT_CONVERGED,
                "the neck axis still turned after 20 rounds; no region was measured. "
                "Look at the mask of the neck.",
            )
        )
    if landmarks.neck.outcome is NeckOutcome.OUT_OF_VIEW:
        flags.append(
            _error(
                FlagCode.TRUNCATED_LATERAL,
                "the scan or the field of view cuts the neck where its smallest section is "
                "sought; no region was measured. The whole neck must lie in view.",
            )
        )
    if landmarks.neck_end is not None and not landmarks.neck_end.found:
        flags.append(
            _error(
                FlagCode.NECK_PLANE_NOT_FOUND,
                "no section in view within 3.5 head radii of the head centre exceeds 1.5 times "
                "the neck's smallest; neck and trochanters were not measured.",
            )
        )
    return (*flags, *_missing_shaft(landmarks))


def _missing_shaft(landmarks: Landmarks) -> tuple[QualityFlag, ...]:
    if landmarks.shaft is None:
        return (
            _error(
                FlagCode.LESSER_TROCHANTER_NOT_FOUND,
                "no bump on the posteromedial shaft; shaft axis, trochanter and intertrochanter "
                "were not measured. The scan must reach 30 mm below the lesser trochanter.",
            ),
        )
    if _axis(landmarks) is None:
        return (
            _error(
                FlagCode.TRUNCATED_DISTAL,
                f"{landmarks.shaft.fit.length_mm:.0f} mm of complete shaft from 10 mm below the "
                "lesser trochanter on, 20 mm needed; shaft axis, trochanter and intertrochanter "
                "were not measured.",
            ),
        )
    return ()


def _error(code: FlagCode, message: str) -> QualityFlag:
    return QualityFlag(code=code, severity=Severity.ERROR, message=message)


def _drop_cut_regions(
    turned: npt.NDArray[np.uint8], cuts: FieldOfViewCuts
) -> tuple[QualityFlag, ...]:
    """Zero, in place, the regions that meet the border of the scan or crop, and say so.

    Args:
        turned: labels of the whole grid, its axes closest to S, P and lateral.
        cuts: where the bone is known to be cut, one voxel short of the border counts too, since
            a mask may end that early.
    """
    proximal, distal, in_plane = (1 + int(c) for c in (cuts.proximal, cuts.distal, cuts.in_plane))
    borders = (
        (FlagCode.TRUNCATED_PROXIMAL, "upper end", (turned[-proximal:],)),
        (FlagCode.TRUNCATED_DISTAL, "lower end", (turned[:distal],)),
        (
            FlagCode.TRUNCATED_LATERAL,
            "side",
            (
                turned[:, :in_plane],
                turned[:, -in_plane:],
                turned[:, :, :in_plane],
                turned[:, :, -in_plane:],
            ),
        ),
    )
    flags, cut = [], set()
    for code, name, faces in borders:
        met = [r for r in FemurRegion if any((face == r).any() for face in faces)]
        if met:
            cut.update(met)
            regions = ", ".join(region.name.lower() for region in met)
            message = f"the {name} of the scan or of the searched box cuts {regions}; not measured"
            flags.append(_error(code, message))
    for region in cut:
        turned[turned == region] = 0
    return tuple(flags)


def _geometry(
    landmarks: Landmarks, bounds: RegionBounds | None, *, mirrored: bool
) -> FemurGeometry:
    """Landmarks and planes in the patient's coordinates."""
    head, neck, shaft = landmarks.head, landmarks.neck, landmarks.shaft
    found_neck = neck if neck is not None and neck.found else None
    axis = _axis(landmarks)
    end = landmarks.neck_end
    angle = None
    if found_neck is not None and axis is not None:
        angle = float(np.rad2deg(np.arccos(np.clip(found_neck.axis @ axis.direction, -1, 1))))
    return FemurGeometry(
        head_centre_lps_mm=_vector(head.centre_mm, mirrored) if head else None,
        head_radius_mm=head.radius_mm if head else None,
        neck_centre_lps_mm=_vector(found_neck.centre_mm, mirrored) if found_neck else None,
        neck_axis_lps=_vector(found_neck.axis, mirrored) if found_neck else None,
        neck_radius_mm=found_neck.radius_mm if found_neck else None,
        shaft_point_lps_mm=_vector(axis.point_mm, mirrored) if axis else None,
        shaft_axis_lps=_vector(axis.direction, mirrored) if axis else None,
        shaft_length_used_mm=shaft.fit.length_mm if shaft and axis else None,
        lesser_trochanter_lps_mm=(
            _vector(shaft.lesser_trochanter.point_mm, mirrored) if shaft else None
        ),
        neck_shaft_angle_deg=angle,
        neck_trochanter_rule=end.rule if end is not None and end.found else None,
        planes=_planes(bounds, mirrored) if bounds is not None else RegionPlanes(),
    )


def _planes(bounds: RegionBounds, mirrored: bool) -> RegionPlanes:
    def plane(half_space: HalfSpace | None) -> Plane | None:
        if half_space is None:
            return None
        return Plane(
            point_lps_mm=_vector(half_space.point_mm, mirrored),
            normal_lps=_vector(half_space.normal, mirrored),
        )

    return RegionPlanes(
        head_neck=plane(bounds.lateral_of_head),
        neck_trochanter=plane(bounds.lateral_of_neck),
        trochanter_intertrochanter=plane(bounds.above_neck_axis),
        distal=plane(bounds.above_distal),
    )


def _vector(values: FloatArray, mirrored: bool) -> Vector:
    """Left frame -> patient."""
    x, y, z = (float(v) for v in values)
    return (-x if mirrored else x, y, z)
