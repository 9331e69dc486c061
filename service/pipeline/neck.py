"""The neck: its axis as the fixed point of its smallest section, and the planes that bound it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

import numpy as np

from service.domain.findings import LandmarkFit
from service.domain.geometry import FloatArray
from service.pipeline.distance_field import DistanceField
from service.pipeline.head_sphere import HeadSphere
from service.pipeline.sections import Section, axis_fit, section, unit

SEARCH_FROM_R = 0.7
SEARCH_TO_R = 2.6
"""Where along the axis the smallest section is sought, in head radii from the head centre."""

SEARCH_STEP_MM = 1.0
COARSE_STEPS = 3
"""Every third section is looked at first, then all about the smallest of them."""

HALF_WIDTH_R = 2.0
"""Half the width of the sections looked at, in head radii."""

MIN_FIT_REACH_MM = 5.0

MAX_ROUNDS = 20
CONVERGED_DEG = 0.05
FREE_ROUNDS = 8
MAX_CYCLE_DEG = 0.5
"""A waist flat over millimetres has several smallest sections, and the axis runs round them: after
8 rounds it turns by ever smaller shares, to the middle of a cycle of half a degree at most."""

MAX_NECK_TO_HEAD_RADIUS = 0.93
"""A neck is narrower than its head; a 'head' without one is none."""

MIN_NECK_TO_HEAD_RADIUS = 0.5
"""A narrower one (0.64 to 0.70 in reference masks) is part of a neck, in a mask that ends short of
where the scan cuts the bone."""

HEAD_PLANE_MIN_R = 0.6
"""The head|neck plane lies at least this many head radii from the head centre."""

TROCHANTER_AREA_RATIO = 1.5
TROCHANTER_SEARCH_TO_R = 3.5
"""The neck ends where its section exceeds 1.5 times the smallest, within 3.5 head radii."""

TROCHANTER_STEP_MM = 0.5
JOIN_AREA_RATIO = 0.15
"""Growth within one step, in smallest areas, above which another piece of bone has joined."""


class NeckOutcome(StrEnum):
    """How the search for a neck axis ended."""

    FOUND = "found"
    ABSENT = "absent"
    """In view, there is no section narrower than the head with wider ones on both sides."""
    OUT_OF_VIEW = "out of view"
    """The smallest section may lie where the scan cuts the bone."""
    RESTLESS = "restless"
    """The axis still turned after the last round."""


@dataclass(frozen=True, eq=False)
class Neck:
    """The neck axis.

    Attributes:
        outcome: the other values mean something only when it is ``FOUND``.
        axis: ``(3,)`` unit, from the head centre laterally, in the left frame.
        centre_mm: ``(3,)``, centroid of the smallest section.
        area_mm2: of the smallest section.
    """

    outcome: NeckOutcome
    axis: FloatArray
    centre_mm: FloatArray
    area_mm2: float

    @property
    def found(self) -> bool:
        """Whether the axis came to rest on a neck."""
        return self.outcome is NeckOutcome.FOUND

    @property
    def radius_mm(self) -> float:
        """Radius of the circle of the smallest section's area."""
        return float(np.sqrt(self.area_mm2 / np.pi))


@dataclass(frozen=True)
class NeckEnd:
    """The neck|trochanter plane.

    Attributes:
        distance_mm: from the head centre along the neck axis; not finite when there is none.
        rule: what ended the neck.
    """

    distance_mm: float
    rule: Literal["area", "join"]

    @property
    def found(self) -> bool:
        """Whether the neck ends within the search range."""
        return bool(np.isfinite(self.distance_mm))


def find_neck(field: DistanceField, head: HeadSphere, start: FloatArray) -> Neck:
    """The neck axis by fixed point from a unit ``start`` direction.

    Each round takes the smallest section perpendicular to the axis, 0.7 to 2.6 radii from the head
    centre, and turns the axis through its centroid, until it turns by less than 0.05 degrees.
    (Minimising area over free directions is degenerate: it finds grazing cuts.)
    """
    axis = start
    for round_number in range(MAX_ROUNDS):
        smallest = _smallest_section(field, head, axis)
        if not smallest.found:
            return smallest
        turned = unit(smallest.centre_mm - head.centre_mm)
        turn = np.arctan2(np.linalg.norm(np.cross(axis, turned)), axis @ turned)
        share = 1.0 / max(1, round_number - FREE_ROUNDS + 1)
        axis = unit(axis + share * (turned - axis))
        if np.rad2deg(turn) < MAX_CYCLE_DEG and np.rad2deg(turn) * share < CONVERGED_DEG:
            return replace(smallest, axis=axis, outcome=_outcome(smallest, head))
    return Neck(NeckOutcome.RESTLESS, axis, head.centre_mm, 0.0)


def _outcome(smallest: Neck, head: HeadSphere) -> NeckOutcome:
    """Whether the smallest section is as wide as a neck."""
    if smallest.radius_mm > MAX_NECK_TO_HEAD_RADIUS * head.radius_mm:
        return NeckOutcome.ABSENT
    if smallest.radius_mm < MIN_NECK_TO_HEAD_RADIUS * head.radius_mm:
        return NeckOutcome.OUT_OF_VIEW
    return NeckOutcome.FOUND


def _smallest_section(field: DistanceField, head: HeadSphere, axis: FloatArray) -> Neck:
    """The neck this axis gives: smallest complete section, refined by a parabola."""
    radius = head.radius_mm
    distances = np.arange(SEARCH_FROM_R * radius, SEARCH_TO_R * radius, SEARCH_STEP_MM)
    areas = np.full(len(distances), np.nan)

    def look_at(places: Iterable[int]) -> int:
        for place in places:
            if np.isnan(areas[place]):
                found = _cut(field, head, axis, float(distances[place]))
                areas[place] = found.area_mm2 if found.complete else np.inf
        return int(np.nanargmin(areas))

    last = len(distances) - 1
    i = look_at((*range(0, last, COARSE_STEPS), last))
    i = look_at(range(max(i - COARSE_STEPS, 0), min(i + COARSE_STEPS, last) + 1))
    if i in {0, last} or not np.isfinite(areas[i - 1 : i + 2]).all():
        in_view = not bool(np.isposinf(areas).any())
        outcome = NeckOutcome.ABSENT if in_view else NeckOutcome.OUT_OF_VIEW
        return Neck(outcome, axis, head.centre_mm, 0.0)
    shift = parabola_vertex(float(areas[i - 1]), float(areas[i]), float(areas[i + 1]))
    refined = _cut(field, head, axis, float(distances[i] + shift * SEARCH_STEP_MM))
    return Neck(NeckOutcome.FOUND, axis, refined.centroid_mm, refined.area_mm2)


def parabola_vertex(before: float, middle: float, after: float) -> float:
    """Where a parabola through values at -1, 0, 1 has its extremum; 0 where it has none."""
    bend = before - 2 * middle + after
    return float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend else 0.0


def _cut(field: DistanceField, head: HeadSphere, axis: FloatArray, distance: float) -> Section:
    return section(field, head.centre_mm + distance * axis, axis, HALF_WIDTH_R * head.radius_mm)


def head_plane_distance(head: HeadSphere, neck: Neck) -> float:
    """Where the head's sphere meets the neck's cylinder, in mm from the head centre."""
    meeting = np.sqrt(max(head.radius_mm**2 - neck.radius_mm**2, 0.0))
    return max(float(meeting), HEAD_PLANE_MIN_R * head.radius_mm)


def neck_fit(field: DistanceField, head: HeadSphere, neck: Neck) -> LandmarkFit:
    """How straight the neck is: its sections every mm, from the head|neck plane to as far beyond O.

    At least ``MIN_FIT_REACH_MM`` to both sides of O.
    """
    middle = float((neck.centre_mm - head.centre_mm) @ neck.axis)
    reach = max(middle - head_plane_distance(head, neck), MIN_FIT_REACH_MM)
    places = middle + np.arange(-reach, reach + SEARCH_STEP_MM / 2, SEARCH_STEP_MM)
    cuts = [_cut(field, head, neck.axis, float(place)) for place in places]
    return axis_fit(cuts, head.centre_mm, neck.axis)


def neck_end(field: DistanceField, head: HeadSphere, neck: Neck) -> NeckEnd:
    """The first place lateral of the smallest section whose area exceeds 1.5 times the smallest.

    A section that the scan cuts counts when what is seen of it is large enough, and ends the
    search when it is not: the plane cannot be placed.
    """
    limit = TROCHANTER_AREA_RATIO * neck.area_mm2
    start = float((neck.centre_mm - head.centre_mm) @ neck.axis)
    before = neck.area_mm2
    for distance in np.arange(
        start + TROCHANTER_STEP_MM, TROCHANTER_SEARCH_TO_R * head.radius_mm, TROCHANTER_STEP_MM
    ):
        cut = _cut(field, head, neck.axis, float(distance))
        area = cut.area_mm2
        if area > limit:
            joined = area - before > JOIN_AREA_RATIO * neck.area_mm2
            share = (limit - before) / (area - before)
            return NeckEnd(
                float(distance - (1 - share) * TROCHANTER_STEP_MM), "join" if joined else "area"
            )
        if not cut.complete:
            break
        before = area
    return NeckEnd(np.inf, "area")
