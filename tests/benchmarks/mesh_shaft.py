"""Shaft axis and lesser trochanter of a femur's continuous surface, by ``regions/v1``."""

from __future__ import annotations

import numpy as np
from scipy.signal import find_peaks

from tests.benchmarks.mesh_sections import (
    NORMAL_DEVIATIONS,
    Floats,
    Mesh,
    NoLandmarkError,
    angle_deg,
    outline,
    segments,
    unit,
)

TURN_DEG = 0.01
SHAFT_ROUNDS = 12
SHAFT_TURN_DEG = 0.2
"""A lesser trochanter with two tops as far from the shaft may keep them turning that little: after
so many rounds the last counts."""

SECTOR_STEP_DEG = 2.5
SECTOR_DEG = np.arange(20.0, 115.1, SECTOR_STEP_DEG)
HEIGHT_STEP_MM = 0.25
BELOW_HEAD_MM = (18.0, 110.0)
FALL_BACK_MM = 1.5
OVER_SHAFT_MM = 4.0
FOOT_MM = 15.0
"""The shaft beside the lesser trochanter is what lies more than this below its top."""
SAME_BUMP = (10.0, 30.0)
"""Peaks within so many mm and degrees are of one bump."""
TOP_SAMPLES = (8, 2)
"""The top is that of a paraboloid about the highest sample: so many heights, angles either way."""

SHAFT_BELOW_MM = np.arange(10.0, 60.1, 2.0)
LINE_ROUNDS = 5
FAR_DEVIATIONS = 3.0
LEAST_DEVIATION_MM = 0.3
"""The line leaves out centroids farther off than three robust standard deviations."""


def find_shaft(mesh: Mesh, head: Floats, foot: Floats, up: Floats) -> tuple[Floats, Floats, Floats]:
    """Lesser trochanter, a point of the shaft's line and its direction, in turns."""
    point, s = foot, up
    for round_number in range(SHAFT_ROUNDS):
        lesser = _lesser_trochanter(mesh, head, point, s)
        top = point + ((lesser - point) @ s) * s
        cuts = [outline(mesh, top - below * s, s) for below in SHAFT_BELOW_MM]
        centroids = np.array([cut.centroid for cut in cuts if cut is not None])
        point, turned = _line(centroids)
        turned *= np.sign(turned @ s)
        turn = angle_deg(s, turned)
        s = turned
        last = round_number == SHAFT_ROUNDS - 1
        if turn < (SHAFT_TURN_DEG if last else TURN_DEG):
            return lesser, point, s
    raise NoLandmarkError("the shaft axis does not come to rest")


def _line(points: Floats) -> tuple[Floats, Floats]:
    """A point and the direction of the line of least squares; what lies far off does not count."""
    near = np.ones(len(points), dtype=bool)
    for _ in range(LINE_ROUNDS):
        centre = points[near].mean(axis=0)
        _, vectors = np.linalg.eigh(np.cov((points[near] - centre).T))
        direction: Floats = vectors[:, -1]
        distances = np.linalg.norm(np.cross(points - centre, direction), axis=1)
        deviation = max(NORMAL_DEVIATIONS * float(np.median(distances)), LEAST_DEVIATION_MM)
        within = distances <= FAR_DEVIATIONS * deviation
        if (within == near).all():
            break
        near = within
    return centre, direction


def _lesser_trochanter(mesh: Mesh, head: Floats, point: Floats, s: Floats) -> Floats:
    """Farthest point from the line among the bumps of the surface around it."""
    medial = unit((head - point) - ((head - point) @ s) * s)
    posterior = np.cross(medial, s)
    rays = np.array([np.cos(a) * medial + np.sin(a) * posterior for a in np.radians(SECTOR_DEG)])
    top = float((head - point) @ s)
    heights = np.arange(top - BELOW_HEAD_MM[1], top - BELOW_HEAD_MM[0], HEIGHT_STEP_MM)
    reach = np.column_stack([_reach(mesh, point, s, ray, heights) for ray in rays])
    peaks: list[tuple[int, int]] = []
    named, best = (0, 0), 0.0
    for j in range(len(rays)):
        found, facts = find_peaks(reach[:, j], prominence=FALL_BACK_MM)
        for i, prominence in zip(found, facts["prominences"], strict=True):
            shaft = reach[: max(int(i - FOOT_MM / HEIGHT_STEP_MM), 1)]
            if reach[i, j] - np.median(shaft) < OVER_SHAFT_MM:
                continue
            peaks.append((int(i), j))
            if prominence > best:
                named, best = (int(i), j), float(prominence)
    if not peaks:
        raise NoLandmarkError("no lesser trochanter")
    of_bump = [
        (i, j)
        for i, j in peaks
        if abs(heights[i] - heights[named[0]]) <= SAME_BUMP[0]
        and abs(SECTOR_DEG[j] - SECTOR_DEG[named[1]]) <= SAME_BUMP[1]
    ]
    i, j = max(of_bump, key=lambda peak: float(reach[peak]))
    height, angle, out = _vertex(heights, reach, i, j)
    ray = np.cos(np.radians(angle)) * medial + np.sin(np.radians(angle)) * posterior
    top_of_bump: Floats = point + height * s + out * ray
    return top_of_bump


def _vertex(heights: Floats, reach: Floats, i: int, j: int) -> tuple[float, float, float]:
    """Height, angle and distance of the top of a paraboloid about a sample of the profile."""
    a, b = TOP_SAMPLES
    rows = slice(max(i - a, 0), i + a + 1)
    columns = slice(max(j - b, 0), j + b + 1)
    h, t = np.meshgrid(
        heights[rows] - heights[i], SECTOR_DEG[columns] - SECTOR_DEG[j], indexing="ij"
    )
    h, t = h.ravel(), t.ravel()
    design = np.column_stack([np.ones(h.size), h, t, h * h, h * t, t * t])
    c = np.linalg.lstsq(design, reach[rows, columns].ravel(), rcond=None)[0]
    bend = np.array([[2 * c[3], c[4]], [c[4], 2 * c[5]]])
    # a ridge without a top keeps its sample
    if np.linalg.eigvalsh(bend).max() >= 0:
        return float(heights[i]), float(SECTOR_DEG[j]), float(reach[i, j])
    limit = (a * HEIGHT_STEP_MM, b * SECTOR_STEP_DEG)
    dh, dt = np.clip(np.linalg.solve(bend, -c[1:3]), np.negative(limit), limit)
    out = float(c @ np.array([1.0, dh, dt, dh * dh, dh * dt, dt * dt]))
    return float(heights[i] + dh), float(SECTOR_DEG[j] + dt), out


def _reach(mesh: Mesh, point: Floats, s: Floats, ray: Floats, heights: Floats) -> Floats:
    """How far along ``ray`` the surface is first met, at heights along the line."""
    starts, ends, _ = segments(mesh, point, np.cross(s, ray))
    lower, upper = (np.column_stack([(x - point) @ s, (x - point) @ ray]) for x in (starts, ends))
    span = upper[:, 0] - lower[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (heights[:, None] - lower[:, 0]) / span
        out = lower[:, 1] + share * (upper[:, 1] - lower[:, 1])
    met = (share >= 0) & (share <= 1) & (out > 0)
    first: Floats = np.where(met, out, np.inf).min(axis=1)
    first[~np.isfinite(first)] = 0.0
    return first
