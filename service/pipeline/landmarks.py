"""All landmarks of one femur, in the order in which they depend on each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from service.domain.findings import LandmarkFit
from service.domain.geometry import FloatArray
from service.pipeline.distance_field import DistanceField
from service.pipeline.head_sphere import HeadSphere, head_candidates
from service.pipeline.lesser_trochanter import LesserTrochanter, find_lesser_trochanter
from service.pipeline.neck import Neck, NeckEnd, NeckOutcome, find_neck, neck_end, neck_fit
from service.pipeline.sections import unit
from service.pipeline.shaft import (
    MIN_START_POINTS,
    Line,
    ShaftFit,
    axial_centroids,
    fit_shaft,
    robust_line,
    shaft_section,
    shell_centroids,
)

TROCHANTER_BELOW_HEAD_MM = (18.0, 110.0)
"""How far distal to the head centre, along the shaft, the lesser trochanter is sought."""

SHAFT_ROUNDS = 8
SHAFT_CONVERGED_DEG = 0.05
"""The shaft axis and the lesser trochanter depend on each other and are sought in turns."""

MIN_CAP_SEEN = 0.35
"""Without a neck in view, surface must lie on the sphere at 35 % of the cap's directions: heads of
which the scan cuts the neck have 43 % and more in the reference masks, the widening end of a shaft
that the scan cuts has 22 and 27 %."""

HEADLESS_MEDIAL = np.array([-1.0, 0.0, 0.0])
"""Where the head would be, for a femur whose head is not in view."""

HEADLESS_WINDOW_MM = 80.0
HEADLESS_STEP_MM = 20.0
HEADLESS_REACH_MM = 60.0
"""Without a head, the lesser trochanter is sought in windows of 80 mm from the top of the bone
down, each 20 mm below the last: the line of the shaft below a window says nothing of a bowed shaft
farther down, and a piece of neck or head above is passed over. The last begins less than 60 mm
below the top: no more than 100 mm of femur lie above a lesser trochanter, so that a bump farther
down belongs to the condyles."""

WIDENING_MM = 15.0
WIDENING_BELOW_MM = 40.0
MIN_WIDENING = 1.4
"""Without a head, the section 15 mm above a lesser trochanter is at least 1.4 times as large as
the shaft 40 mm below it (1.9 to 3.1 in reference masks)."""

EVEN_BELOW_MM = 20.0
EVEN_SHAFT = (0.8, 1.6)
"""Without a head, the section 20 mm below a lesser trochanter is 0.8 to 1.6 times as large as that
40 mm below (1.1 to 1.3 in reference masks): the ends of a condyle differ more (0.3 in STS_047)."""


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
        head: the sphere; without it no region can be bounded.
        neck: the search's outcome, found or not.
        neck_end, neck_fit: None without a found neck.
        shaft: None without a lesser trochanter.
    """

    head: HeadSphere | None = None
    neck: Neck | None = None
    neck_end: NeckEnd | None = None
    neck_fit: LandmarkFit | None = None
    shaft: Shaft | None = None

    @property
    def shaft_axis(self) -> Line | None:
        """The shaft axis, where enough shaft is in view."""
        return self.shaft.fit.line if self.shaft and self.shaft.fit.long_enough else None


def find_landmarks(field: DistanceField) -> Landmarks:
    """Head, neck and shaft of one femur; of the shaft alone where no head is in view."""
    found = landmarks_of_head(field)
    return found if found is not None else Landmarks(shaft=_find_headless_shaft(field))


def landmarks_of_head(field: DistanceField) -> Landmarks | None:
    """Head, neck and shaft of one femur; None without a head.

    A sphere is taken for the head only when a neck leaves it, or when the place of the neck is
    not in view and enough of the head is.
    """
    for head in head_candidates(field, field.surface()):
        centroids = shell_centroids(field, head.centre_mm, head.radius_mm)
        rough = _rough_line(centroids, head)
        neck = find_neck(field, head, _neck_start(field, head, rough))
        if neck.outcome is NeckOutcome.ABSENT:
            continue
        if not neck.found and head.cap_seen < MIN_CAP_SEEN:
            continue
        end = neck_end(field, head, neck) if neck.found else None
        fit = neck_fit(field, head, neck) if neck.found else None
        shaft = _find_shaft(field, head, rough) if rough is not None else None
        return Landmarks(head, neck, end, fit, shaft)
    return None


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
    """The shaft below a known head; None without a lesser trochanter."""
    nearest, farthest = TROCHANTER_BELOW_HEAD_MM

    def seek(line: Line) -> LesserTrochanter:
        top = float(line.height_mm(head.centre_mm))
        medial = head.centre_mm - line.point_mm
        return find_lesser_trochanter(field, line, medial, (top - farthest, top - nearest))

    return _settled(field, rough, seek)


def _find_headless_shaft(field: DistanceField) -> Shaft | None:
    """The shaft of a femur whose head is not in view; None when no trochanters are in view.

    A bump is a lesser trochanter when enough complete shaft lies below it and the bone widens
    above it; the ends of the bone, condyles and ridges do not look so.
    """
    centroids = axial_centroids(field)
    if len(centroids) < MIN_START_POINTS:
        return None
    rough = robust_line(centroids, np.array([0.0, 0.0, 1.0]))
    top = float(rough.height_mm(field.bone_points_mm()).max())
    for ceiling in np.arange(top, top - HEADLESS_REACH_MM, -HEADLESS_STEP_MM):
        shaft = _settled(field, rough, partial(_seek_below, field, rough.at(ceiling)))
        if shaft is not None and shaft.fit.long_enough and _widens_above_a_shaft(field, shaft):
            return shaft
    return None


def _seek_below(field: DistanceField, ceiling_mm: FloatArray, line: Line) -> LesserTrochanter:
    """The lesser trochanter in the window below a point."""
    top = float(line.height_mm(ceiling_mm))
    return find_lesser_trochanter(field, line, HEADLESS_MEDIAL, (top - HEADLESS_WINDOW_MM, top))


def _widens_above_a_shaft(field: DistanceField, shaft: Shaft) -> bool:
    """Whether the bone above a lesser trochanter is wider than an even shaft below it."""
    line = shaft.fit.line
    height = float(line.height_mm(shaft.lesser_trochanter.point_mm))
    above, near, below = (
        shaft_section(field, line, height + offset).area_mm2
        for offset in (WIDENING_MM, -EVEN_BELOW_MM, -WIDENING_BELOW_MM)
    )
    least, most = EVEN_SHAFT
    return above >= MIN_WIDENING * below > 0 and least * below <= near <= most * below


def _settled(
    field: DistanceField, rough: Line, seek: Callable[[Line], LesserTrochanter]
) -> Shaft | None:
    """Shaft axis and lesser trochanter in turns, until neither moves; None without the latter."""
    line = rough
    shaft = None
    for _ in range(SHAFT_ROUNDS):
        trochanter = seek(line)
        if not trochanter.found:
            return shaft
        fit = fit_shaft(field, line, trochanter.height_mm)
        shaft = Shaft(trochanter, fit)
        turn = np.rad2deg(np.arccos(min(float(fit.line.direction @ line.direction), 1.0)))
        if not fit.long_enough or turn < SHAFT_CONVERGED_DEG:
            return shaft
        line = fit.line
    return shaft
