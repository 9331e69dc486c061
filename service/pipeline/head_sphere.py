"""The femoral head as a sphere: voted for by surface normals, then fitted robustly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from service.domain.findings import LandmarkFit
from service.domain.geometry import FloatArray
from service.pipeline.distance_field import DistanceField, Surface
from service.pipeline.sections import unit

RADIUS_RANGE_MM = (17.0, 32.0)
"""Head radii of adults lie within 19-30 mm; the rest is room for error."""

SUPEROMEDIAL = np.array([-1.0, 0.0, 1.0]) / np.sqrt(2.0)
"""Where the head of a left femur looks in an unflexed hip, in the left frame."""

MIN_SUPEROMEDIAL_COSINE = 0.2
"""Between that direction and the one from neck to head; holds to about 60 degrees of flexion,
and no condyle meets it: what narrows beside a condyle, the shaft, lies above it."""

MAX_BONE_ABOVE_R = 2.0
"""No bone lies more than two radii above a head's centre, flexed or not; above a condyle lies the
shaft."""

VOTE_CELL_MM = 2.0
VOTE_RADIUS_STEP_MM = 1.5
CANDIDATES = 4
"""Peaks of the vote that are fitted before the head is given up."""

CAP_COSINE = -0.2
"""The sphere is fitted to directions at most 101 degrees from the neck-to-head direction."""

NORMAL_COSINE = 0.8
"""Surface that is the head's has its normal within 37 degrees of the sphere's."""

MIN_SCALE_MM = 0.25
TUKEY = 4.685
"""Tukey's biweight at 95 % efficiency; the scale is kept above the noise of voxel steps."""

ON_SPHERE_MM = 1.5
MAX_RESIDUAL_MM = 0.9
MIN_CAP_COVERAGE = 0.65
MIN_COVERAGE_IN_VIEW = 0.25
"""A head: surface on the sphere at 65 % of the fitted cap's directions in view and at 25 % of all
directions, its RMS distance under 0.9 mm."""

DIRECTIONS = 600


@dataclass(frozen=True, eq=False)
class HeadSphere:
    """The head.

    Attributes:
        centre_mm: ``(3,)`` in the left frame.
        radius_mm: of the periosteal surface.
        residual_mm: RMS distance of the surface on the sphere from it.
        cap_coverage: share of the fitted cap's directions in view with surface on the sphere.
        cap_seen: the same share of all the cap's directions, in view or not.
    """

    centre_mm: FloatArray
    radius_mm: float
    residual_mm: float
    cap_coverage: float
    cap_seen: float

    @property
    def fit(self) -> LandmarkFit:
        """For the report."""
        return LandmarkFit(residual_mm=self.residual_mm, quality=self.cap_seen)


def head_candidates(field: DistanceField, surface: Surface) -> Iterator[HeadSphere]:
    """Plausible spheres, the most voted for first; none when nothing looks like a head.

    Each is fitted when it is asked for.
    """
    bone = field.bone_points_mm()
    if bone.size == 0:
        return
    top_mm = float(bone[:, 2].max())
    for centre, radius in _vote(surface):
        away = _neck_to_head(bone, centre, radius)
        if float(away @ SUPEROMEDIAL) < MIN_SUPEROMEDIAL_COSINE:
            continue
        centre, radius = _fit(surface, centre, radius, away)
        if not RADIUS_RANGE_MM[0] <= radius <= RADIUS_RANGE_MM[1]:
            continue
        if top_mm > float(centre[2]) + MAX_BONE_ABOVE_R * radius:
            continue
        sphere, all_directions = _judged(field, surface, centre, radius, away)
        if (
            sphere.residual_mm <= MAX_RESIDUAL_MM
            and sphere.cap_coverage >= MIN_CAP_COVERAGE
            and all_directions >= MIN_COVERAGE_IN_VIEW
        ):
            yield sphere


def _vote(surface: Surface) -> list[tuple[FloatArray, float]]:
    """Centres and radii that most surface area points at, best first."""
    facing = surface.normals @ SUPEROMEDIAL > -0.5
    points, normals = surface.points_mm[facing], surface.normals[facing]
    weights = surface.areas_mm2[facing]
    if points.size == 0:
        return []
    radii = np.arange(RADIUS_RANGE_MM[0], RADIUS_RANGE_MM[1] + 0.1, VOTE_RADIUS_STEP_MM)
    low = points.min(axis=0) - RADIUS_RANGE_MM[1]
    shape = np.ceil((points.max(axis=0) + RADIUS_RANGE_MM[1] - low) / VOTE_CELL_MM).astype(int) + 1
    votes = np.empty((radii.size, *shape), dtype=np.float32)
    for i, radius in enumerate(radii):
        cells = np.rint((points - radius * normals - low) / VOTE_CELL_MM).astype(int)
        flat = np.ravel_multi_index(tuple(cells.T), tuple(shape))
        # the full sphere of each radius counts the same
        ballot = np.bincount(flat, weights / radius**2, minlength=int(np.prod(shape)))
        votes[i] = ndimage.gaussian_filter(ballot.reshape(shape).astype(np.float32), 1.0)
    found = []
    for _ in range(CANDIDATES):
        best = np.unravel_index(int(np.argmax(votes)), votes.shape)
        centre = low + np.array(best[1:]) * VOTE_CELL_MM
        found.append((centre, float(radii[best[0]])))
        reach = int(10.0 / VOTE_CELL_MM)
        around = tuple(slice(max(int(c) - reach, 0), int(c) + reach + 1) for c in best[1:])
        votes[(slice(None), *around)] = 0.0
    return found


def _neck_to_head(bone_mm: FloatArray, centre_mm: FloatArray, radius_mm: float) -> FloatArray:
    """Unit direction from the bone that continues the head (1.2 to 2 radii off) to its centre."""
    distance = np.linalg.norm(bone_mm - centre_mm, axis=1)
    beside = bone_mm[(distance > 1.2 * radius_mm) & (distance < 2.0 * radius_mm)]
    if beside.size == 0:
        return np.zeros(3)
    return unit(centre_mm - beside.mean(axis=0))


def _fit(
    surface: Surface, centre_mm: FloatArray, radius_mm: float, away: FloatArray
) -> tuple[FloatArray, float]:
    """Gauss-Newton with Tukey's biweight on the geometric distance to the sphere."""
    reach = np.linalg.norm(surface.points_mm - centre_mm, axis=1) < radius_mm + 8.0
    points, normals = surface.points_mm[reach], surface.normals[reach]
    areas = surface.areas_mm2[reach]
    centre, radius = centre_mm, radius_mm
    for _ in range(30):
        offset = points - centre
        length = np.linalg.norm(offset, axis=1)
        direction = offset / np.maximum(length, 1e-6)[:, None]
        residual = length - radius
        eligible = (np.einsum("ij,ij->i", direction, normals) > NORMAL_COSINE) & (
            direction @ away > CAP_COSINE
        )
        eligible &= np.abs(residual) < 4.0
        if eligible.sum() < 50:
            return centre, 0.0
        scale = max(1.4826 * float(np.median(np.abs(residual[eligible]))), MIN_SCALE_MM)
        ratio = residual / (TUKEY * scale)
        weight = np.where(eligible & (np.abs(ratio) < 1), (1 - ratio**2) ** 2, 0.0) * areas
        design = np.column_stack([direction, np.ones(len(points))])
        normal_matrix = design.T @ (design * weight[:, None])
        step = np.linalg.lstsq(normal_matrix, design.T @ (weight * residual), rcond=None)[0]
        centre = centre + step[:3]
        radius += float(step[3])
        if float(np.abs(step).max()) < 1e-4:
            break
    return centre, radius


def _judged(
    field: DistanceField, surface: Surface, centre: FloatArray, radius: float, away: FloatArray
) -> tuple[HeadSphere, float]:
    """The sphere with its quality, and the share of all directions that has surface on it."""
    offset = surface.points_mm - centre
    length = np.linalg.norm(offset, axis=1)
    direction = offset / np.maximum(length, 1e-6)[:, None]
    on = (np.abs(length - radius) < ON_SPHERE_MM) & (
        np.einsum("ij,ij->i", direction, surface.normals) > NORMAL_COSINE
    )
    if not on.any():
        return HeadSphere(centre, radius, np.inf, 0.0, 0.0), 0.0
    probes = _sphere_directions(DIRECTIONS)
    # neighbouring probes are 8 degrees apart
    covered = KDTree(direction[on]).query(probes)[0] < np.deg2rad(6.0)
    in_view = field.contains(centre + radius * probes)
    whole_cap = probes @ away > CAP_COSINE
    cap = whole_cap & in_view
    in_cap = on & (direction @ away > CAP_COSINE)
    residual = float(np.sqrt(np.mean((length[in_cap] - radius) ** 2))) if in_cap.any() else np.inf
    share = float(covered[cap].mean()) if cap.any() else 0.0
    seen = float((covered & cap).sum() / whole_cap.sum())
    return HeadSphere(centre, radius, residual, share, seen), float((covered & in_view).mean())


def _sphere_directions(count: int) -> FloatArray:
    """Unit vectors spread evenly (a Fibonacci lattice), ``[count, 3]``."""
    i = np.arange(count) + 0.5
    z = 1 - 2 * i / count
    turn = np.pi * (1 + np.sqrt(5.0)) * i
    across = np.sqrt(1 - z**2)
    return np.column_stack([across * np.cos(turn), across * np.sin(turn), z])
