"""Exact plane sections of a closed triangle mesh."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

Floats = npt.NDArray[np.float64]

NORMAL_DEVIATIONS = 1.4826
"""Median distances in a standard deviation."""


class NoLandmarkError(Exception):
    """The shape has no such landmark by the definition."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """A closed surface; all in mm.

    Attributes:
        points: float64 ``[n, 3]``.
        faces: int ``[m, 3]``, counter-clockwise seen from outside.
    """

    points: Floats
    faces: npt.NDArray[np.int64]

    @cached_property
    def corners(self) -> npt.NDArray[np.int64]:
        """First, second and third corners of the faces, ``[3, m]``."""
        return np.ascontiguousarray(self.faces.T)

    def volume_mm3(self) -> float:
        """By the divergence theorem; negative when the faces are turned inside out."""
        a, b, c = (self.points[self.faces[:, i]] for i in range(3))
        return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)

    def face_centres(self) -> tuple[Floats, Floats, Floats]:
        """Centroid, unit outward normal and area of every triangle with an area."""
        a, b, c = (self.points[self.faces[:, i]] for i in range(3))
        across = np.cross(b - a, c - a)
        twice = np.linalg.norm(across, axis=1)
        solid = twice > 1e-12
        centres = (a + b + c)[solid] / 3
        return centres, across[solid] / twice[solid, None], twice[solid] / 2


@dataclass(frozen=True, eq=False)
class Outline:
    """The piece of a section that holds a point.

    Attributes:
        starts, ends: float64 ``[k, 3]``, the line segments of its border.
        area_mm2: holes left out.
        centroid: float64 ``[3]``.
    """

    starts: Floats
    ends: Floats
    area_mm2: float
    centroid: Floats


def unit(vector: Floats) -> Floats:
    """The vector at length 1."""
    scaled: Floats = vector / np.linalg.norm(vector)
    return scaled


def angle_deg(a: Floats, b: Floats) -> float:
    """Between two directions."""
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)))


def segments(
    mesh: Mesh, point: Floats, normal: Floats
) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Where a plane cuts the mesh: starts and ends ``[k, 3]``, and the edge ids ``[k, 2]``.

    The bone lies to the left of each segment, seen against the normal.
    """
    height = (mesh.points - point) @ normal
    above = height > 0
    a, b, c = (above[corner] for corner in mesh.corners)
    crossing = mesh.faces[(a != b) | (b != c)]
    upper = above[crossing]
    # turn each triangle so that the vertex alone on its side comes first
    alone_above = upper.sum(axis=1) == 1
    alone = np.argmax(upper == alone_above[:, None], axis=1)
    rows = np.arange(len(crossing))
    lone, following, previous = (crossing[rows, (alone + i) % 3] for i in range(3))

    def crossed(other: npt.NDArray[np.int64]) -> Floats:
        share = height[lone] / (height[lone] - height[other])
        places: Floats = mesh.points[lone] + share[:, None] * (
            mesh.points[other] - mesh.points[lone]
        )
        return places

    first, second = crossed(following), crossed(previous)
    count = len(mesh.points)
    ids = [np.minimum(lone, o) * count + np.maximum(lone, o) for o in (following, previous)]
    swap = ~alone_above
    starts = np.where(swap[:, None], second, first)
    ends = np.where(swap[:, None], first, second)
    edges = np.column_stack([np.where(swap, ids[1], ids[0]), np.where(swap, ids[0], ids[1])])
    return starts, ends, edges


def outline(mesh: Mesh, point: Floats, normal: Floats) -> Outline | None:
    """The piece of the section that holds ``point``, else the nearest one; None without any."""
    starts, ends, edges = segments(mesh, point, normal)
    if len(starts) == 0:
        return None
    u = unit(np.cross(normal, np.eye(3)[int(np.argmin(np.abs(normal)))]))
    v = np.cross(normal, u)
    p, q = (np.column_stack([(x - point) @ u, (x - point) @ v]) for x in (starts, ends))
    loops = _loops(edges)
    cross = p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]
    areas = np.bincount(loops, cross) / 2
    outer = np.flatnonzero(areas > 0)
    holding = [i for i in outer if _holds(p[loops == i], q[loops == i], np.zeros(2))]
    if holding:
        chosen = min(holding, key=lambda i: float(areas[i]))
    else:
        nearest = np.linalg.norm(p, axis=1)
        chosen = min(outer, key=lambda i: float(nearest[loops == i].min()))
    inside = loops == chosen
    for hole in np.flatnonzero(areas < 0):
        if _holds(p[loops == chosen], q[loops == chosen], p[loops == hole][0]):
            inside |= loops == hole
    p, q, cross = p[inside], q[inside], cross[inside]
    area = float(cross.sum() / 2)
    middle = ((p + q) * cross[:, None]).sum(axis=0) / (6 * area)
    return Outline(starts[inside], ends[inside], area, point + middle[0] * u + middle[1] * v)


def _loops(edges: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Number of the closed loop that each segment belongs to."""
    nodes, index = np.unique(edges, return_inverse=True)
    first, second = index.reshape(edges.shape).T
    ones = np.ones(len(first))
    graph = coo_matrix((ones, (first, second)), shape=(len(nodes), len(nodes)))
    _, of_node = connected_components(graph, directed=False)
    return np.asarray(of_node[first], dtype=np.int64)


def _holds(p: Floats, q: Floats, place: Floats) -> bool:
    """Whether a loop of 2D segments runs around a place (a ray crosses it an odd time)."""
    straddles = (p[:, 1] > place[1]) != (q[:, 1] > place[1])
    p, q = p[straddles], q[straddles]
    x = p[:, 0] + (place[1] - p[:, 1]) / (q[:, 1] - p[:, 1]) * (q[:, 0] - p[:, 0])
    return bool((x > place[0]).sum() % 2)
