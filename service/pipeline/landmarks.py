"""All landmarks of one femur, in the order in which they depend on each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.domain.geometry import FloatArray
from service.pipeline.distance_field import DistanceField
from service.pipeline.head_sphere import HeadSphere, head_candidates
from service.pipeline.lesser_trochanter import LesserTrochanter, find_lesser_trochanter
from service.pipeline.neck import Neck, NeckEnd, NeckOutcome, find_neck, neck_end
from service.pipeline.sections import unit
from service.pipeline.shaft import (
    MIN_START_POINTS,
    Line,
    ShaftFit,
    fit_shaft,
    robust_line,
    shell_centroids,
)

TROCHANTER_BELOW_HEAD_MM = (18.0, 110.0)
"""How far distal to the head centre, along the shaft, the lesser trochanter is sought."""

SHAFT_ROUNDS = 8
SHAFT_CONVERGED_DEG = 0.05
"""The shaft axis and the lesser trochanter depend on each other and are sought in turns."""


@dataclass(frozen=True, eq=False)
class Shaft:
    """The shaft's landmarks.

    Attributes:
        lesser_trochanter: measured from the axis.
        fit: the axis; too short where the scan ends too soon.
    """

    lesser_trochanter: LesserTrochanter
    fit: ShaftFit


@dataclass(frozen=True, eq=False)
class Landmarks:
    """What was found of one femur, in the left frame; None where the definition finds nothing.

    Attributes:
        head: the sphere; everything else needs it.
        neck: the search's outcome, found or not.
        neck_end: None without a found neck.
        shaft: None without a lesser trochanter.
    """

    head: HeadSphere | None = None
    neck: Neck | None = None
    neck_end: NeckEnd | None = None
    shaft: Shaft | None = None


def find_landmarks(field: DistanceField) -> Landmarks:
    """Head, neck and shaft of one femur.

    A sphere is taken for the head only when a neck leaves it, or when the place of the neck is
    not in view.
    """
    for head in head_candidates(field, field.surface()):
        centroids = shell_centroids(field, head.centre_mm, head.radius_mm)
        rough = _rough_line(centroids, head)
        neck = find_neck(field, head, _neck_start(field, head, rough))
        if neck.outcome is NeckOutcome.ABSENT:
            continue
        end = neck_end(field, head, neck) if neck.found else None
        shaft = _find_shaft(field, head, rough) if rough is not None else None
        return Landmarks(head, neck, end, shaft)
    return Landmarks()


def _rough_line(centroids: FloatArray, head: HeadSphere) -> Line | None:
    """A line up the shaft, or None when too little of it is in view."""
    if len(centroids) < MIN_START_POINTS:
        return None
    return robust_line(centroids, head.centre_mm - centroids.mean(axis=0))


def _neck_start(field: DistanceField, head: HeadSphere, rough: Line | None) -> FloatArray:
    """Where the search for the neck axis starts; its fixed point does not depend on it.

    Halfway between the direction from the head to the shaft and the shaft's distal direction;
    where no shaft is in view, towards the bone 1.2 to 3 radii from the head centre.
    """
    if rough is not None:
        foot = rough.at(float(rough.height_mm(head.centre_mm)))
        return unit(unit(foot - head.centre_mm) - rough.direction)
    bone = field.bone_points_mm()
    distance = np.linalg.norm(bone - head.centre_mm, axis=1)
    beside = bone[(distance > 1.2 * head.radius_mm) & (distance < 3.0 * head.radius_mm)]
    if len(beside) == 0:
        return unit(np.array([1.0, 0.0, -1.0]))
    return unit(beside.mean(axis=0) - head.centre_mm)


def _find_shaft(field: DistanceField, head: HeadSphere, rough: Line) -> Shaft | None:
    """Shaft axis and lesser trochanter in turns, until neither moves; None without the latter."""
    line = rough
    nearest, farthest = TROCHANTER_BELOW_HEAD_MM
    shaft = None
    for _ in range(SHAFT_ROUNDS):
        top = float(line.height_mm(head.centre_mm))
        trochanter = find_lesser_trochanter(
            field, line, head.centre_mm - line.point_mm, (top - farthest, top - nearest)
        )
        if not trochanter.found:
            return shaft
        fit = fit_shaft(field, line, trochanter.height_mm)
        shaft = Shaft(trochanter, fit)
        turn = np.rad2deg(np.arccos(min(float(fit.line.direction @ line.direction), 1.0)))
        if not fit.long_enough or turn < SHAFT_CONVERGED_DEG:
            return shaft
        line = fit.line
    return shaft
