"""Landmarks of ``regions/v1`` from a femur's continuous surface: a second implementation.

It follows docs/regions.md on triangles and shares no code with ``service.pipeline``: sections are
exact, the smallest one is found by minimisation, lines and spheres are least squares. It needs a
whole proximal femur, roughly upright, as a left one (x lateral, y posterior, z proximal).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from tests.benchmarks.mesh_sections import (
    NORMAL_DEVIATIONS,
    Floats,
    Mesh,
    NoLandmarkError,
    Outline,
    angle_deg,
    outline,
    unit,
)
from tests.benchmarks.mesh_shaft import find_shaft

TURN_DEG = 0.01
MAX_ROUNDS = 50
"""Axes and what depends on them are sought in turns until they turn less."""

CAP_COSINE = float(np.cos(np.radians(101.0)))
NEAR_SPHERE_MM = 4.0
TUKEY = 4.685
MOVED_MM = 1e-3

AREA_STEP_MM = 0.5
JOIN_SHARE = 0.15
NECK_LIMIT = 1.5

DISTAL_MM = 25.0


class MeshPlane(NamedTuple):
    """A point of a plane and its unit normal."""

    point: Floats
    normal: Floats


class MeshPlanes(NamedTuple):
    """The planes of ``regions/v1``."""

    head_neck: MeshPlane
    neck_trochanter: MeshPlane
    trochanter_intertrochanter: MeshPlane
    distal: MeshPlane


@dataclass(frozen=True, eq=False)
class MeshLandmarks:
    """Landmarks in the mesh's frame; directions are unit vectors.

    Attributes:
        head, radius_mm: the head's sphere.
        neck: centroid O of the smallest section.
        neck_axis: N, from the head laterally.
        neck_radius_mm: of the circle of the smallest section's area.
        lesser: the lesser trochanter's most prominent point.
        shaft, shaft_axis: a point of the shaft's line, and its direction, proximal.
        head_neck_mm, neck_trochanter_mm: places of the planes along N, from the head.
        rule: what ended the neck, ``area`` or ``join``.
    """

    head: Floats
    radius_mm: float
    neck: Floats
    neck_axis: Floats
    neck_radius_mm: float
    lesser: Floats
    shaft: Floats
    shaft_axis: Floats
    head_neck_mm: float
    neck_trochanter_mm: float
    rule: str

    @property
    def neck_shaft_angle_deg(self) -> float:
        """About 125 in adults."""
        return angle_deg(self.neck_axis, self.shaft_axis)

    def planes(self) -> MeshPlanes:
        """Where the regions part."""
        n, s = self.neck_axis, self.shaft_axis
        foot = self.shaft + ((self.lesser - self.shaft) @ s - DISTAL_MM) * s
        return MeshPlanes(
            head_neck=MeshPlane(self.head + self.head_neck_mm * n, n),
            neck_trochanter=MeshPlane(self.head + self.neck_trochanter_mm * n, n),
            trochanter_intertrochanter=MeshPlane(self.neck, unit(s - (s @ n) * n)),
            distal=MeshPlane(foot, s),
        )


def mesh_landmarks(mesh: Mesh, head: Floats, radius_mm: float, foot: Floats) -> MeshLandmarks:
    """All landmarks.

    Args:
        mesh: of the femur.
        head: roughly the head's centre.
        radius_mm: roughly its radius.
        foot: roughly where the shaft's axis is, at the height of the lesser trochanter.

    Raises:
        NoLandmarkError: where the definition finds none.
    """
    up = np.array([0.0, 0.0, 1.0])
    towards_shaft = foot + ((head - foot) @ up) * up - head
    n = unit(unit(towards_shaft) - up)
    for _ in range(MAX_ROUNDS):
        centre, radius = _head_sphere(mesh, head, radius_mm, -n)
        neck, smallest = _neck(mesh, centre, radius, n)
        turned = unit(neck - centre)
        turn = angle_deg(n, turned)
        n = turned
        if turn < TURN_DEG:
            break
    else:
        raise NoLandmarkError("the neck axis does not come to rest")
    neck_radius = float(np.sqrt(smallest / np.pi))
    meeting = np.sqrt(max(radius**2 - neck_radius**2, 0.0))
    end, rule = _neck_end(mesh, centre, radius, n, float((neck - centre) @ n))
    lesser, shaft, s = find_shaft(mesh, centre, foot, up)
    return MeshLandmarks(
        centre, radius, neck, n, neck_radius, lesser, shaft, s,
        max(float(meeting), 0.6 * radius), end, rule,
    )  # fmt: skip


def _head_sphere(mesh: Mesh, near: Floats, radius_mm: float, away: Floats) -> tuple[Floats, float]:
    """Algebraic least squares on the triangles, reweighted by Tukey's biweight and their areas."""
    centres, normals, areas = mesh.face_centres()
    head = np.linalg.norm(centres - near, axis=1) < radius_mm + 2 * NEAR_SPHERE_MM
    centres, normals, areas = centres[head], normals[head], areas[head]
    centre, radius = near, radius_mm
    for _ in range(MAX_ROUNDS):
        off = centres - centre
        length = np.linalg.norm(off, axis=1)
        residual = length - radius
        outward = np.einsum("ij,ij->i", off, normals) > 0
        use = outward & (off @ away > CAP_COSINE * length) & (np.abs(residual) < NEAR_SPHERE_MM)
        scale = NORMAL_DEVIATIONS * float(np.median(np.abs(residual[use])))
        ratio = residual[use] / (TUKEY * scale)
        weight = np.sqrt(np.where(np.abs(ratio) < 1, (1 - ratio**2) ** 2, 0.0) * areas[use])
        points = centres[use]
        system = np.column_stack([2 * points, np.ones(len(points))]) * weight[:, None]
        found = np.linalg.lstsq(system, weight * (points**2).sum(axis=1), rcond=None)[0]
        moved = float(np.linalg.norm(found[:3] - centre))
        centre, radius = found[:3], float(np.sqrt(found[3] + found[:3] @ found[:3]))
        if moved < MOVED_MM:
            return centre, radius
    raise NoLandmarkError("the head's sphere does not come to rest")


def _cut(mesh: Mesh, head: Floats, n: Floats, distance: float) -> Outline:
    cut = outline(mesh, head + distance * n, n)
    if cut is None:
        raise NoLandmarkError("a section of the neck is empty")
    return cut


def _neck(mesh: Mesh, head: Floats, radius: float, n: Floats) -> tuple[Floats, float]:
    """Centroid and area of the smallest section perpendicular to ``n``, 0.7 to 2.6 R from H."""

    def area(distance: float) -> float:
        return _cut(mesh, head, n, distance).area_mm2

    places = np.arange(0.7 * radius, 2.6 * radius, 2 * AREA_STEP_MM)
    i = int(np.argmin([area(float(place)) for place in places]))
    if i in (0, len(places) - 1):
        raise NoLandmarkError("the neck has no smallest section")
    bounds = (float(places[i - 1]), float(places[i + 1]))
    best = minimize_scalar(area, bounds=bounds, method="bounded", options={"xatol": 1e-4})
    cut = _cut(mesh, head, n, float(best.x))
    return cut.centroid, cut.area_mm2


def _neck_end(
    mesh: Mesh, head: Floats, radius: float, n: Floats, start: float
) -> tuple[float, str]:
    """The first place lateral of the smallest section with 1.5 times its area, and the rule."""
    least = _cut(mesh, head, n, start).area_mm2

    def excess(distance: float) -> float:
        return _cut(mesh, head, n, distance).area_mm2 - NECK_LIMIT * least

    for place in np.arange(start, 3.5 * radius, AREA_STEP_MM):
        if excess(float(place)) > 0:
            end = float(brentq(excess, place - AREA_STEP_MM, place, xtol=1e-3))
            growth = excess(end + AREA_STEP_MM / 2) - excess(end - AREA_STEP_MM / 2)
            return end, "join" if growth > JOIN_SHARE * least else "area"
    raise NoLandmarkError("the neck has no lateral end")
