"""Landmarks and planes of the left frame -> the report's geometry, in the patient's LPS mm."""

from __future__ import annotations

import numpy as np

from service.domain.findings import FemurGeometry, LandmarkFits, Plane, RegionPlanes, Vector
from service.domain.geometry import FloatArray
from service.pipeline.greater_trochanter import GreaterTrochanter
from service.pipeline.landmarks import Landmarks
from service.pipeline.partition import HalfSpace, RegionBounds


def femur_geometry(
    landmarks: Landmarks,
    bounds: RegionBounds | None,
    greater: GreaterTrochanter | None,
    *,
    mirrored: bool,
) -> FemurGeometry:
    """Landmarks and planes in the patient's coordinates.

    Args:
        landmarks: in the left frame.
        bounds: the planes; None where not even the head can be bounded.
        greater: the greater trochanter's tip; None where not found.
        mirrored: whether the femur is a right one.
    """
    head, neck, shaft = landmarks.head, landmarks.neck, landmarks.shaft
    found_neck = neck if neck is not None and neck.found else None
    axis = landmarks.shaft_axis
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
        greater_trochanter_lps_mm=_vector(greater.point_mm, mirrored) if greater else None,
        neck_shaft_angle_deg=angle,
        neck_trochanter_rule=end.rule if end is not None and end.found else None,
        planes=_planes(bounds, mirrored) if bounds is not None else RegionPlanes(),
        landmark_fits=_fits(landmarks, greater),
    )


def _fits(landmarks: Landmarks, greater: GreaterTrochanter | None) -> LandmarkFits:
    shaft = landmarks.shaft
    return LandmarkFits(
        head=landmarks.head.fit if landmarks.head else None,
        neck_axis=landmarks.neck_fit,
        shaft_axis=shaft.fit.fit if shaft and landmarks.shaft_axis else None,
        lesser_trochanter=shaft.lesser_trochanter.fit if shaft else None,
        greater_trochanter=greater.fit if greater else None,
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
