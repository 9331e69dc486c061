"""Mask surfaces as meshes in the patient's LPS mm: STL, and both of a femur as binary glTF."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse
from skimage.measure import marching_cubes

from service.domain.geometry import FloatArray, VolumeGeometry
from service.domain.imaging import BoolArray

MAX_SHIFT_MM = 0.3
"""How far smoothing may move a point from where it lay on the mask's surface."""

ROUNDS = 40
"""Smoothing steps, each one inwards and one outwards."""

INWARDS, OUTWARDS = 0.5, -0.53
"""Share of the way to the mean of a point's neighbours: Taubin's pair, which keeps the volume
(Taubin 1995, "A signal processing approach to fair surface design")."""

GLTF_MAGIC, GLTF_VERSION = 0x46546C67, 2
JSON_CHUNK, BINARY_CHUNK = 0x4E4F534A, 0x004E4942
ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963
FLOAT, UNSIGNED_INT = 5126, 5125
"""glTF 2.0, sections 3.6 and 4.4."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """A closed surface.

    Attributes:
        points_lps_mm: float32 ``[n, 3]``, x, y, z.
        triangles: uint32 ``[m, 3]``, counter-clockwise seen from outside.
    """

    points_lps_mm: npt.NDArray[np.float32]
    triangles: npt.NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class Surface:
    """A mesh as it is shown.

    Attributes:
        name: of the node.
        colour: red, green, blue, 0-255.
        opacity: 0-1.
        mesh: the surface.
    """

    name: str
    colour: tuple[int, int, int]
    opacity: float
    mesh: Mesh


def surface_of(mask: BoolArray, geometry: VolumeGeometry) -> Mesh:
    """The mask's surface, smoothed: no point moves more than MAX_SHIFT_MM from the voxels' faces.

    Marching cubes put every point on a voxel's face; Taubin smoothing takes out the steps, and each
    point is held within MAX_SHIFT_MM of its place (after Gibson 1998, "Constrained elastic surface
    nets"). Where the mask ends with the scan, the surface is closed.

    Args:
        mask: bool ``[z, y, x]`` with at least one voxel.
        geometry: of ``mask``; its axes x, y, z right-handed, as they are in a turned volume.
    """
    padded = np.pad(mask, 1).astype(np.uint8)
    points_zyx, faces, _, _ = marching_cubes(padded, 0.5, gradient_direction="ascent")
    start = geometry.index_to_lps(points_zyx - 1.0)
    points = start.copy()
    to_mean = _step_to_neighbours(faces, len(start))
    for _ in range(ROUNDS):
        for share in (INWARDS, OUTWARDS):
            points += share * (to_mean @ points)
        shift = points - start
        length = np.linalg.norm(shift, axis=1, keepdims=True)
        points = start + shift * np.minimum(1.0, MAX_SHIFT_MM / np.maximum(length, 1e-9))
    if _volume_mm3(points, faces) < 0:
        faces = faces[:, ::-1]
    return Mesh(points.astype(np.float32), np.ascontiguousarray(faces, np.uint32))


def _step_to_neighbours(faces: npt.NDArray[np.integer], count: int) -> sparse.csr_array:
    """The matrix that takes points to the mean of their neighbours minus themselves."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    both = np.concatenate([edges, edges[:, ::-1]])
    ones = np.ones(len(both))
    adjacency = sparse.csr_array((ones, (both[:, 0], both[:, 1])), shape=(count, count))
    adjacency.data[:] = 1.0  # an edge between two triangles was counted twice
    degree = np.maximum(adjacency.sum(axis=1), 1.0)
    return sparse.diags_array(1.0 / degree) @ adjacency - sparse.eye_array(count)


def _volume_mm3(points: FloatArray, faces: npt.NDArray[np.integer]) -> float:
    """Enclosed volume; negative where triangles run clockwise."""
    a, b, c = (points[faces[:, corner]] - points[0] for corner in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6.0)


def write_stl(mesh: Mesh, path: Path) -> None:
    """Binary STL; units are mm and axes LPS, which the header says."""
    corners = mesh.points_lps_mm[mesh.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    # normal, three corners, attribute byte count
    triangles = np.zeros(len(corners), np.dtype("(3,)<f4, (3,3)<f4, <u2"))
    triangles["f0"], triangles["f1"] = normals, corners
    header = b"femurct; SPACE=LPS; UNIT=mm".ljust(80, b" ")
    path.write_bytes(header + np.uint32(len(corners)).tobytes() + triangles.tobytes())


def write_glb(surfaces: tuple[Surface, ...], path: Path) -> None:
    """Binary glTF 2.0, one node per surface; numbers are LPS mm, as ``asset.extras`` says."""
    scene = _Scene()
    for surface in surfaces:
        scene.add(surface)
    path.write_bytes(scene.encoded())


class _Scene:
    """The JSON and the binary chunk of a glTF file as they grow."""

    def __init__(self) -> None:
        self._binary = b""
        self._views: list[object] = []
        self._accessors: list[object] = []
        self._materials: list[object] = []
        self._meshes: list[object] = []
        self._nodes: list[object] = []

    def add(self, surface: Surface) -> None:
        points, triangles = surface.mesh.points_lps_mm, surface.mesh.triangles
        number = len(self._nodes)
        self._accessors += [
            {
                "bufferView": self._append(points, ARRAY_BUFFER),
                "componentType": FLOAT,
                "type": "VEC3",
                "count": len(points),
                "min": points.min(axis=0).tolist(),
                "max": points.max(axis=0).tolist(),
            },
            {
                "bufferView": self._append(triangles, ELEMENT_ARRAY_BUFFER),
                "componentType": UNSIGNED_INT,
                "type": "SCALAR",
                "count": triangles.size,
            },
        ]
        # glTF's colours are linear, ours sRGB
        linear = [(value / 255.0) ** 2.2 for value in surface.colour]
        self._materials.append(
            {
                "name": surface.name,
                "pbrMetallicRoughness": {
                    "baseColorFactor": [*linear, surface.opacity],
                    "metallicFactor": 0.0,
                },
                "alphaMode": "OPAQUE" if surface.opacity == 1.0 else "BLEND",
            }
        )
        primitive = {
            "attributes": {"POSITION": 2 * number},
            "indices": 2 * number + 1,
            "material": number,
        }
        self._meshes.append({"name": surface.name, "primitives": [primitive]})
        self._nodes.append({"name": surface.name, "mesh": number})

    def _append(self, array: npt.NDArray[np.generic], target: int) -> int:
        """Append an array of 4-byte numbers to the binary chunk; returns its view's number."""
        data = array.astype(array.dtype.newbyteorder("<")).tobytes()
        view = {"buffer": 0, "byteOffset": len(self._binary), "byteLength": len(data)}
        self._views.append(view | {"target": target})
        self._binary += data
        return len(self._views) - 1

    def encoded(self) -> bytes:
        """The file's bytes."""
        content = {
            "asset": {
                "version": "2.0",
                "generator": "femurct",
                "extras": {"unit": "mm", "space": "LPS"},
            },
            "scene": 0,
            "scenes": [{"nodes": list(range(len(self._nodes)))}],
            "nodes": self._nodes,
            "meshes": self._meshes,
            "materials": self._materials,
            "accessors": self._accessors,
            "bufferViews": self._views,
            "buffers": [{"byteLength": len(self._binary)}],
        }
        text = json.dumps(content, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        header = np.array(
            [GLTF_MAGIC, GLTF_VERSION, 12 + 8 + len(text) + 8 + len(self._binary)], "<u4"
        )
        chunk = np.array([len(text), JSON_CHUNK], "<u4").tobytes() + text
        binary = np.array([len(self._binary), BINARY_CHUNK], "<u4").tobytes() + self._binary
        return header.tobytes() + chunk + binary
