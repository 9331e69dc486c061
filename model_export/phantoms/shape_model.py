"""Pelvis and left femur sampled from the statistical shape model of ``musculoskeletal-models``.

``LLP26_rigid.pc`` is a principal component analysis of pelvis, left femur, patella and tibia of 26
subjects (Zhang et al., the MAP Client's lower-limb model; MPL-2.0). Its surfaces are patches of
piecewise Lagrange elements. They are evaluated here from the package's own JSON files: its reader,
gias3, no longer imports with today's SciPy and needs 20 s to triangulate one pelvis.
"""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from service.errors import InputError

FloatArray = npt.NDArray[np.float64]

PELVIS_NODES = slice(0, 1946)
FEMUR_NODES = slice(1946, 2580)
"""Where the bones' nodes lie in the model's vector."""

SPREAD_LIMIT = 2.0
"""Weights of modes stay within this many standard deviations: beyond, no subject was seen."""


SOCKET_SHELL_MM = 2.5
"""Nodes as near as this to the sphere of a socket belong to it."""


class ShapeModelError(InputError):
    """The shape model cannot be read."""

    code = "shape_model_unavailable"


class BoneSurface(NamedTuple):
    """Points densely on a closed surface and the outward unit normals there.

    Attributes:
        points: float64 ``[n, 3]``, mm; x to the left, y posterior, z superior.
        normals: float64 ``[n, 3]``.
    """

    points: FloatArray
    normals: FloatArray


class Ball(NamedTuple):
    """A sphere fitted to a joint surface: centre (x, y, z) and radius in mm."""

    centre: FloatArray
    radius_mm: float


def fit_ball(points: FloatArray) -> Ball:
    """The sphere through points ``[n, 3]`` by algebraic least squares."""
    system = np.column_stack((2 * points, np.ones(len(points))))
    solution = np.linalg.lstsq(system, np.sum(points**2, axis=1), rcond=None)[0]
    centre = solution[:3]
    return Ball(centre, float(np.sqrt(solution[3] + centre @ centre)))


class SampledBones(NamedTuple):
    """Bones of one subject in the model's frame and the balls that fit the two sockets."""

    pelvis: BoneSurface
    femur: BoneSurface
    left_socket: Ball
    right_socket: Ball


@dataclass(frozen=True, eq=False)
class Patches:
    """All elements of a bone with as many nodes along each side, and how to evaluate them.

    Attributes:
        nodes: int ``[elements, k]``, indices of the elements' nodes.
        values, along, across: float64 ``[m, k]``; times the nodes' positions they give the
            positions of ``m`` places of each element and the two derivatives there.
    """

    nodes: npt.NDArray[np.int64]
    values: FloatArray
    along: FloatArray
    across: FloatArray


@dataclass(frozen=True, eq=False)
class ShapeModel:
    """The mean shape and its modes of variation.

    Attributes:
        mean: float64 ``[3, nodes]``, mm.
        modes: float64 ``[3, nodes, modes]``, scaled to one standard deviation.
        pelvis, femur: the bones' elements.
        sockets: indices of the nodes in the left and in the right acetabulum.
    """

    mean: FloatArray
    modes: FloatArray
    pelvis: tuple[Patches, ...]
    femur: tuple[Patches, ...]
    sockets: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]

    @property
    def mode_count(self) -> int:
        """Number of modes."""
        return int(self.modes.shape[2])

    def bones(self, weights: FloatArray) -> SampledBones:
        """Pelvis and left femur of a subject, in the model's frame.

        Args:
            weights: float64 ``[mode_count]``, in standard deviations.
        """
        weights = np.clip(weights, -SPREAD_LIMIT, SPREAD_LIMIT)
        nodes = (self.mean + self.modes @ weights).T
        left, right = (fit_ball(nodes[members]) for members in self.sockets)
        return SampledBones(
            _surface(self.pelvis, nodes[PELVIS_NODES]),
            _surface(self.femur, nodes[FEMUR_NODES]),
            left,
            right,
        )


LEFT_SOCKET = Ball(np.array([109.4, -2.0, 1198.4]), 24.1)
RIGHT_SOCKET = Ball(np.array([-52.7, 2.8, 1211.9]), 24.5)
"""About where the mean pelvis has its acetabula, mm in the model's frame."""


@cache
def shape_model() -> ShapeModel:
    """The model, read once per process.

    Raises:
        ShapeModelError: when the package is not installed.
    """
    try:
        folder = Path(str(files("musculoskeletal.models")))
    except ModuleNotFoundError as error:
        raise ShapeModelError(
            "anatomical phantoms need the package musculoskeletal-models; "
            "install the project with its extra `train`"
        ) from error
    # A pickle of NumPy arrays out of the package that was just imported, so no less safe than it.
    with (folder / "shape_models" / "LLP26_rigid.pc").open("rb") as file:
        components = pickle.load(file)  # noqa: S301
    mean = np.asarray(components["mean"]).reshape(3, -1)
    scaled = np.asarray(components["modes"]) * np.sqrt(components["weights"])
    meshes = folder / "atlas_meshes"
    return ShapeModel(
        mean=mean,
        modes=scaled.reshape(3, mean.shape[1], -1),
        pelvis=_read_patches(meshes / "pelvis_combined_cubic_flat.mesh", step_share=1 / 12),
        femur=_read_patches(meshes / "femur_left_quartic_flat.mesh", step_share=1 / 24),
        sockets=(_socket(mean, LEFT_SOCKET), _socket(mean, RIGHT_SOCKET)),
    )


def _socket(mean: FloatArray, ball: Ball) -> npt.NDArray[np.int64]:
    """Nodes of the mean pelvis at the surface of a ball, which is refined twice."""
    pelvis = mean[:, PELVIS_NODES].T
    for _ in range(2):
        off = np.linalg.norm(pelvis - ball.centre, axis=1) - ball.radius_mm
        members = np.flatnonzero(np.abs(off) < SOCKET_SHELL_MM)
        ball = fit_ball(pelvis[members])
    return members


def _read_patches(path: Path, step_share: float) -> tuple[Patches, ...]:
    """Elements of a mesh file, grouped by their kind."""
    mesh = json.loads(path.read_text())
    elements = {int(number): kind.split()[-1] for number, kind in mesh["elements"].items()}
    numbers = _node_numbers(mesh["connectivity"])
    groups: list[Patches] = []
    for kind in sorted(set(elements.values())):
        basis = _Basis.named(kind)
        places = basis.places(step_share)
        members = [number for number, its in sorted(elements.items()) if its == kind]
        groups.append(
            Patches(
                nodes=np.array([[numbers[e, p] for p in range(len(basis.nodes))] for e in members]),
                values=basis.at(places),
                along=basis.at(places, derivative=0),
                across=basis.at(places, derivative=1),
            )
        )
    return tuple(groups)


def _node_numbers(connectivity: dict[str, str]) -> dict[tuple[int, int], int]:
    """Number of the node behind each (element, point): shared points count once, in order."""
    numbers: dict[tuple[int, int], int] = {}
    count = 0
    for point in sorted(_pair(key) for key in connectivity):
        if point in numbers:
            continue
        numbers[point] = count
        for other in connectivity[f"{point[0]}_{point[1]}"].split():
            numbers[_pair(other)] = count
        count += 1
    return numbers


def _pair(text: str) -> tuple[int, int]:
    element, point = text.split("_")
    return int(element), int(point)


@dataclass(frozen=True, eq=False)
class _Basis:
    """Lagrange polynomials on a unit square or triangle.

    Attributes:
        nodes: float64 ``[k, 2]``, where one polynomial is 1 and the others are 0.
        powers: int ``[k, 2]``, of the monomials that span them.
        triangle: whether the element is a triangle.
    """

    nodes: FloatArray
    powers: npt.NDArray[np.int64]
    triangle: bool

    @classmethod
    def named(cls, kind: str) -> _Basis:
        """From names such as ``quad54`` (5 x 4 nodes) and ``tri15`` (5 nodes along a side)."""
        sizes = {"quad55": (5, 5), "quad54": (5, 4), "quad44": (4, 4), "tri15": (5, 5)}
        width, height = sizes.get(kind, (4, 4))
        triangle = kind.startswith("tri")
        powers = np.array(
            [(i, j) for j in range(height) for i in range(width) if not triangle or i + j < width]
        )
        return cls(powers / (width - 1, height - 1), powers, triangle)

    def places(self, step_share: float) -> FloatArray:
        """Evenly spread places ``[m, 2]`` of the element, its border included."""
        axis = np.linspace(0, 1, round(1 / step_share) + 1)
        grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
        return grid[grid.sum(axis=1) <= 1 + 1e-9] if self.triangle else grid

    def at(self, places: FloatArray, derivative: int | None = None) -> FloatArray:
        """Values ``[m, k]`` of the polynomials, or their derivative along an axis."""
        powers = self.powers.copy()
        factor = np.ones(len(powers))
        if derivative is not None:
            factor = powers[:, derivative].astype(float)
            powers[:, derivative] = np.maximum(powers[:, derivative] - 1, 0)
        vandermonde = np.prod(self.nodes[:, None] ** self.powers, axis=2)
        values: FloatArray = (factor * np.prod(places[:, None] ** powers, axis=2)) @ np.linalg.inv(
            vandermonde
        )
        return values


def _surface(patches: tuple[Patches, ...], nodes: FloatArray) -> BoneSurface:
    """Points and normals of all elements; where elements meet, once, with the mean normal."""
    points, normals = [], []
    for group in patches:
        corners = nodes[group.nodes]
        points.append((group.values @ corners).reshape(-1, 3))
        normals.append(np.cross(group.along @ corners, group.across @ corners).reshape(-1, 3))
    every = np.concatenate(points)
    directions = np.concatenate(normals)
    directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-9)
    _, first, owner = np.unique(np.round(every, 3), axis=0, return_index=True, return_inverse=True)
    summed = np.stack([np.bincount(owner.ravel(), directions[:, i]) for i in range(3)], axis=1)
    lengths = np.linalg.norm(summed, axis=1, keepdims=True)
    kept = lengths[:, 0] > 1e-3
    return BoneSurface(every[first][kept], (summed / np.maximum(lengths, 1e-9))[kept])
