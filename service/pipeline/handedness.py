"""Whether a femur is of the side it was taken for."""

from __future__ import annotations

import numpy as np

from service.domain.findings import FlagCode, QualityFlag, Severity
from service.domain.geometry import FloatArray, VolumeGeometry
from service.pipeline.distance_field import DistanceField
from service.pipeline.landmarks import Landmarks, landmarks_of_head

LEFT_TO_RIGHT = np.diag([-1.0, 1.0, 1.0, 1.0])
FRONT_TO_BACK = np.diag([1.0, -1.0, 1.0, 1.0])

MIN_BELOW_HEAD_R = 1.5
"""A lesser trochanter lies at least this many head radii distal to the head centre (1.7 to 2.6 in
anatomical phantoms); what is found nearer is the corner of neck and shaft."""


def handedness_flags(field: DistanceField, landmarks: Landmarks) -> tuple[QualityFlag, ...]:
    """LEFT_RIGHT_DOUBT where a landmark is missing that the femur's mirror image has.

    A head lateral of its shaft tells of the other side; a lesser trochanter in front of the shaft
    tells of the other side in a patient who lies the other way up than the series says.

    Args:
        field: of the periosteal surface, in the left frame.
        landmarks: found in it.
    """
    if landmarks.head is None:
        doubted = landmarks_of_head(_mirrored(field, LEFT_TO_RIGHT)) is not None
        found = "the head lies on the lateral side"
    elif not _has_lesser_trochanter(landmarks):
        mirrored = landmarks_of_head(_mirrored(field, FRONT_TO_BACK))
        doubted = mirrored is not None and _has_lesser_trochanter(mirrored)
        found = "the lesser trochanter lies in front of the shaft"
    else:
        return ()
    if not doubted:
        return ()
    message = (
        f"{found}, as in a femur of the other side: left and right may be exchanged. Compare the "
        "series' patient position and orientation with the images."
    )
    return (
        QualityFlag(code=FlagCode.LEFT_RIGHT_DOUBT, severity=Severity.WARNING, message=message),
    )


def _has_lesser_trochanter(landmarks: Landmarks) -> bool:
    """Whether one was found where it belongs, with enough shaft below it."""
    head, axis = landmarks.head, landmarks.shaft_axis
    if head is None or axis is None or landmarks.shaft is None:
        return False
    from_head = head.centre_mm - landmarks.shaft.lesser_trochanter.point_mm
    return float(from_head @ axis.direction) >= MIN_BELOW_HEAD_R * head.radius_mm


def _mirrored(field: DistanceField, signs: FloatArray) -> DistanceField:
    geometry = VolumeGeometry(field.geometry.shape_zyx, signs @ field.geometry.affine_lps)
    return DistanceField(field.distance_mm, geometry)
