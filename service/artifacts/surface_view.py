"""A coloured mesh seen from one side, as a picture: orthographic, lit from the viewer.

Software rendering in numpy: a femur's triangles span a few pixels each, so all of them are tested
at once for each pixel of the largest one's bounding box, and the nearest wins (z-buffer).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.artifacts.mesh import Mesh
from service.artifacts.palette import Colour
from service.domain.geometry import FloatArray

Rgb = npt.NDArray[np.uint8]

AMBIENT = 0.35
"""Light on a surface seen edge on, as a share of that on one that faces the viewer (Lambert)."""


@dataclass(frozen=True, eq=False)
class View:
    """From where a mesh is looked at.

    Attributes:
        right_lps, down_lps: unit vectors of the picture's axes; the viewer looks along their
            cross product.
        centre_lps_mm: the middle of the picture.
        shape: rows and columns.
        mm_per_pixel: both ways.
    """

    right_lps: FloatArray
    down_lps: FloatArray
    centre_lps_mm: FloatArray
    shape: tuple[int, int]
    mm_per_pixel: float


def normals(mesh: Mesh) -> FloatArray:
    """Unit normals ``[n, 3]`` of a mesh's points, outwards: means of the triangles by area."""
    a, b, c = (mesh.points_lps_mm[mesh.triangles[:, corner]] for corner in range(3))
    of_triangles = np.cross(b - a, c - a).astype(np.float64)
    corners = mesh.triangles.T.ravel()
    count = len(mesh.points_lps_mm)
    summed = np.stack(
        [
            np.bincount(corners, weights=np.tile(component, 3), minlength=count)
            for component in of_triangles.T
        ],
        axis=-1,
    )
    lengths = np.linalg.norm(summed, axis=1, keepdims=True)
    unit: FloatArray = summed / np.maximum(lengths, 1e-12)
    return unit


def render(
    mesh: Mesh, paintings: tuple[FloatArray, ...], view: View, background: Colour
) -> tuple[Rgb, ...]:
    """Draw a closed mesh, once for each way it is painted.

    Args:
        mesh: what is seen; parts beyond the picture are cut off.
        paintings: colours of its points ``[n, 3]``, 0-255; blended over each triangle.
        view: from where.
        background: where no surface is hit.

    Returns:
        For each painting uint8 ``[rows, columns, 3]``.
    """
    pixels, triangles, weights = _fragments(mesh, view)
    towards_viewer = -np.cross(view.right_lps, view.down_lps)
    facing = np.clip(normals(mesh) @ towards_viewer, 0.0, 1.0)
    light = (AMBIENT + (1.0 - AMBIENT) * facing)[:, None]
    rows, columns = view.shape
    corners = mesh.triangles[triangles]
    pictures = []
    for colours in paintings:
        picture = np.tile(np.array(background, dtype=np.uint8), (rows * columns, 1))
        lit = (colours * light)[corners]
        picture[pixels] = np.clip(np.einsum("nc,ncd->nd", weights, lit), 0, 255)
        pictures.append(picture.reshape(rows, columns, 3))
    return tuple(pictures)


def _fragments(
    mesh: Mesh, view: View
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], FloatArray]:
    """Pixels hit, the triangle nearest to the viewer at each, and the weights of its corners."""
    placed = mesh.points_lps_mm - view.centre_lps_mm
    rows, columns = view.shape
    x = placed @ view.right_lps / view.mm_per_pixel + (columns - 1) / 2
    y = placed @ view.down_lps / view.mm_per_pixel + (rows - 1) / 2
    depth = placed @ np.cross(view.right_lps, view.down_lps)
    x0, x1, x2 = (x[mesh.triangles[:, corner]] for corner in range(3))
    y0, y1, y2 = (y[mesh.triangles[:, corner]] for corner in range(3))
    twice_area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    # counter-clockwise to the eye, negative as y grows downwards
    front = np.flatnonzero(twice_area < -1e-9)
    x0, x1, x2, y0, y1, y2 = (v[front] for v in (x0, x1, x2, y0, y1, y2))
    corner_depth = depth[mesh.triangles[front]]
    left = np.ceil(np.minimum(np.minimum(x0, x1), x2)).astype(np.intp)
    top = np.ceil(np.minimum(np.minimum(y0, y1), y2)).astype(np.intp)
    wide = int((np.maximum(np.maximum(x0, x1), x2) - left).max(initial=-1.0)) + 1
    high = int((np.maximum(np.maximum(y0, y1), y2) - top).max(initial=-1.0)) + 1
    found = []
    for aside in range(wide):
        for below in range(high):
            px, py = left + aside, top + below
            w1 = ((px - x0) * (y2 - y0) - (x2 - x0) * (py - y0)) / twice_area[front]
            w2 = ((x1 - x0) * (py - y0) - (px - x0) * (y1 - y0)) / twice_area[front]
            within = (w1 >= 0) & (w2 >= 0) & (w1 + w2 <= 1)
            within &= (px >= 0) & (px < columns) & (py >= 0) & (py < rows)
            hit = np.flatnonzero(within)
            weights = np.stack([1 - w1[hit] - w2[hit], w1[hit], w2[hit]], axis=-1)
            found.append((hit, (py * columns + px)[hit], weights))
    hit = np.concatenate([hits for hits, _, _ in found] or [np.empty(0, np.intp)])
    pixel = np.concatenate([pixels for _, pixels, _ in found] or [np.empty(0, np.intp)])
    weights = np.concatenate([shares for _, _, shares in found] or [np.empty((0, 3))])
    nearest = _nearest(pixel, (weights * corner_depth[hit]).sum(axis=1))
    return pixel[nearest], front[hit[nearest]], weights[nearest]


def _nearest(pixels: npt.NDArray[np.intp], depth: FloatArray) -> npt.NDArray[np.intp]:
    """Of the fragments of each pixel, the number of the one of least depth."""
    order = np.lexsort((depth, pixels))
    first = np.ones(len(order), dtype=bool)
    first[1:] = np.diff(pixels[order]) > 0
    nearest: npt.NDArray[np.intp] = order[first]
    return nearest
