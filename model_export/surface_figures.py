"""The paper's figures 5 and 6: surfaces in 3D, and the errors painted on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from scipy import ndimage
from scipy.spatial import KDTree
from skimage.measure import marching_cubes

from model_export.evaluation import reference_masks
from model_export.figures import DOTS_PER_INCH, ShownFemur
from model_export.metrics import outline, surface_distances_mm
from service.domain.geometry import FloatArray, SpacingMm
from service.domain.imaging import BoolArray

SMOOTHING_VOXELS = 0.8
"""Takes the voxel steps off the drawn surface; the errors are of the masks as they are."""

MESH_STEP_VOXELS = 2
LARGEST_ERROR_MM = 2.0
"""Red end of the colour bar of Fig. 6; larger errors are as red."""

BONE_COLOUR = np.array([0.92, 0.87, 0.76])
LIGHT_XYZ = np.array([0.35, -0.85, 0.4])
"""From the front, a little from the left and above."""

AMBIENT_SHARE = 0.35
ERROR_COLOURS = "turbo"


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles of a surface.

    Attributes:
        points_mm: ``[n, 3]``, x to the left, y posterior, z up.
        faces: int ``[m, 3]``, indices of points.
    """

    points_mm: FloatArray
    faces: npt.NDArray[np.int32]


def surface_mesh(mask: BoolArray, spacing_mm: SpacingMm) -> Mesh:
    """The surface of a mask, closed where it meets the array's end; empty for an empty mask."""
    padded = np.pad(mask, MESH_STEP_VOXELS).astype(np.float32)
    smooth = ndimage.gaussian_filter(padded, SMOOTHING_VOXELS)
    if smooth.max() <= 0.5:
        return Mesh(np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int32))
    zyx, faces, _, _ = marching_cubes(smooth, 0.5, step_size=MESH_STEP_VOXELS)
    points = (zyx.astype(np.float64) - MESH_STEP_VOXELS) * np.array(spacing_mm)
    return Mesh(points[:, ::-1], faces)


def draw_surfaces(shown: Sequence[ShownFemur], path: Path) -> None:
    """Fig. 5: the reference's and the network's surfaces, a row per femur."""
    titles = (
        "(a) periosteal, reference",
        "(b) periosteal, network",
        "(c) endosteal, reference",
        "(d) endosteal, network",
    )
    figure, axes = _panels(shown, titles)
    for row, femur in zip(axes, shown, strict=True):
        reference = reference_masks(femur.case)
        masks = (
            reference.periosteal,
            femur.found.periosteal,
            reference.endosteal,
            femur.found.endosteal,
        )
        for axis, mask in zip(row, masks, strict=True):
            mesh = surface_mesh(mask, reference.geometry.spacing_mm)
            _draw(axis, mesh, np.tile(BONE_COLOUR, (len(mesh.faces), 1)))
    figure.savefig(path, dpi=DOTS_PER_INCH)


def draw_distance_errors(shown: Sequence[ShownFemur], path: Path) -> None:
    """Fig. 6: the network's surfaces painted with the distance to the reference's."""
    figure, axes = _panels(shown, ("periosteal", "endosteal"))
    scale = Normalize(0.0, LARGEST_ERROR_MM, clip=True)
    for row, femur in zip(axes, shown, strict=True):
        reference = reference_masks(femur.case)
        pairs = (
            (femur.found.periosteal, reference.periosteal),
            (femur.found.endosteal, reference.endosteal),
        )
        for axis, (found, true) in zip(row, pairs, strict=True):
            mesh = surface_mesh(found, reference.geometry.spacing_mm)
            errors = face_errors_mm(mesh, found, true, reference.geometry.spacing_mm)
            _draw(axis, mesh, colormaps[ERROR_COLOURS](scale(errors))[:, :3])
    bar = ScalarMappable(scale, ERROR_COLOURS)
    figure.colorbar(
        bar, ax=figure.axes, label="distance to the reference (mm)", shrink=0.6, extend="max"
    )
    figure.savefig(path, dpi=DOTS_PER_INCH)


def face_errors_mm(
    mesh: Mesh, found: BoolArray, true: BoolArray, spacing_mm: SpacingMm
) -> FloatArray:
    """For each face the distance error of the found surface's nearest voxel (paper, section 3.3).

    Returns:
        ``[m]`` in mm; infinite where there is no true surface.
    """
    if not len(mesh.faces):
        return np.zeros(0)
    errors, _ = surface_distances_mm(found, true, spacing_mm)
    voxels_mm = (np.argwhere(outline(found)) * np.array(spacing_mm))[:, ::-1]
    centres = mesh.points_mm[mesh.faces].mean(axis=1)
    nearest: FloatArray = errors[KDTree(voxels_mm).query(centres)[1]]
    return nearest


def _panels(
    shown: Sequence[ShownFemur], titles: Sequence[str]
) -> tuple[Figure, list[list[Axes3D]]]:
    """A row of empty 3D panels per femur."""
    size = (3.2 * len(titles) + 1.0, 4.6 * len(shown))
    figure = Figure(figsize=size, layout="constrained")
    axes: list[list[Axes3D]] = []
    for row, femur in enumerate(shown):
        axes.append([])
        for column, title in enumerate(titles):
            place = (len(shown), len(titles), row * len(titles) + column + 1)
            axis: Axes3D = figure.add_subplot(*place, projection="3d")
            axis.set_title(f"{femur.case.name}\n{title}", fontsize=8)
            axis.set_axis_off()
            # from the front: the patient's left is on the right
            axis.view_init(elev=8, azim=-70)
            axes[-1].append(axis)
    return figure, axes


def _draw(axis: Axes3D, mesh: Mesh, colours: FloatArray) -> None:
    """Triangles with a colour ``[m, 3]`` each, shaded by a lamp; an empty mesh draws nothing."""
    if not len(mesh.faces):
        return
    corners = mesh.points_mm[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    lit = np.abs(normals @ (LIGHT_XYZ / np.linalg.norm(LIGHT_XYZ)))
    shade = AMBIENT_SHARE + (1.0 - AMBIENT_SHARE) * lit
    axis.add_collection3d(Poly3DCollection(corners, facecolors=colours * shade[:, None]))
    low, high = mesh.points_mm.min(axis=0), mesh.points_mm.max(axis=0)
    axis.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]))
    axis.set_box_aspect(high - low, zoom=1.0)
