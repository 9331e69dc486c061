"""Masks -> head, neck, trochanter, intertrochanter by ``regions/v1`` (docs/regions.md)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from service.domain.findings import FemurGeometry, FemurSide, FlagCode, QualityFlag, Severity
from service.domain.imaging import (
    BoolArray,
    FemurMasks,
    FemurRegion,
    FemurRegions,
    FieldOfViewCuts,
)
from service.pipeline.distance_field import canonical_mask, distance_field, left_frame
from service.pipeline.femur_geometry import femur_geometry
from service.pipeline.greater_trochanter import find_greater_trochanter
from service.pipeline.handedness import handedness_flags
from service.pipeline.landmarks import Landmarks, find_landmarks
from service.pipeline.masks import is_cut
from service.pipeline.neck import NeckOutcome, head_plane_distance
from service.pipeline.partition import HalfSpace, RegionBounds, partition
from service.pipeline.sections import unit

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
    field = distance_field(mask)
    landmarks = find_landmarks(field)
    bounds = _bounds(landmarks)
    turned = np.zeros([masks.periosteal.shape[a] for a in mask.order.permutation], dtype=np.uint8)
    if bounds is not None:
        turned[mask.box.slices] = partition(mask, bounds)
    cut_flags = _drop_cut_regions(turned, mask.order.apply(masks.periosteal), cuts)
    axis = landmarks.shaft_axis
    greater = (
        find_greater_trochanter(turned[mask.box.slices], mask.geometry, axis) if axis else None
    )
    mirrored = masks.side is FemurSide.RIGHT
    geometry = femur_geometry(landmarks, bounds, greater, mirrored=mirrored)
    flags = (*_missing(landmarks), *handedness_flags(field, landmarks), *cut_flags)
    return FemurRegions(np.ascontiguousarray(mask.order.invert(turned)), geometry, flags)


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
    axis = landmarks.shaft_axis
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
    if landmarks.shaft_axis is None:
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
    turned: npt.NDArray[np.uint8], bone: BoolArray, cuts: FieldOfViewCuts
) -> tuple[QualityFlag, ...]:
    """Zero, in place, the regions that meet the border of the scan or crop, and say so.

    Args:
        turned: labels of the whole grid, its axes closest to S, P and lateral.
        bone: the periosteal mask, turned alike.
        cuts: where the bone is known to be cut or ``bone`` shows it, one voxel short of the border
            counts too, since a mask may end that early.
    """

    def border(axis: int, *, last: bool, known: bool) -> npt.NDArray[np.uint8]:
        depth = 2 if known or is_cut(bone, axis, last=last) else 1
        planes = np.moveaxis(turned, axis, 0)
        return planes[-depth:] if last else planes[:depth]

    sides = [(axis, last) for axis in (1, 2) for last in (False, True)]
    borders = (
        (
            FlagCode.TRUNCATED_PROXIMAL,
            "upper end",
            [border(0, last=True, known=cuts.proximal)],
        ),
        (FlagCode.TRUNCATED_DISTAL, "lower end", [border(0, last=False, known=cuts.distal)]),
        (
            FlagCode.TRUNCATED_LATERAL,
            "side",
            [border(axis, last=last, known=cuts.in_plane) for axis, last in sides],
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
