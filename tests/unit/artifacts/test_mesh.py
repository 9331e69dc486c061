"""Meshes are closed, smooth, in patient mm, and stay within 0.3 mm of the mask."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from service.artifacts.mesh import MAX_SHIFT_MM, Mesh, Surface, surface_of, write_glb, write_stl
from service.domain.geometry import SpacingMm, VolumeGeometry

RADIUS_MM = 12.1
CENTRE_LPS_MM = (80.0, -20.0, -300.0)


def ball(spacing: SpacingMm) -> tuple[npt.NDArray[np.bool_], VolumeGeometry]:
    """Voxels whose centre lies in a ball."""
    shape = tuple(int(np.ceil(2 * RADIUS_MM / s)) + 3 for s in spacing)
    half = [(n - 1) / 2 * s for n, s in zip(shape, spacing, strict=True)]
    origin = tuple(c - h for c, h in zip(CENTRE_LPS_MM, half[::-1], strict=True))
    geometry = VolumeGeometry.axis_aligned(shape, spacing, origin)
    points = geometry.index_to_lps(np.moveaxis(np.indices(shape), 0, -1))
    return np.linalg.norm(points - CENTRE_LPS_MM, axis=-1) <= RADIUS_MM, geometry


def _volume_mm3(mesh: Mesh) -> float:
    a, b, c = (mesh.points_lps_mm[mesh.triangles[:, i]].astype(float) for i in range(3))
    origin = np.array(CENTRE_LPS_MM)
    return float(np.einsum("ij,ij->", a - origin, np.cross(b - origin, c - origin)) / 6)


def _normals(mesh: Mesh) -> npt.NDArray[np.float64]:
    a, b, c = (mesh.points_lps_mm[mesh.triangles[:, i]].astype(float) for i in range(3))
    normals = np.cross(b - a, c - a)
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def test_a_ball_lies_where_the_patient_has_it_and_has_its_volume() -> None:
    mask, geometry = ball(SpacingMm(1.0, 0.8, 0.8))
    mesh = surface_of(mask, geometry)

    middle = (mesh.points_lps_mm.min(axis=0) + mesh.points_lps_mm.max(axis=0)) / 2
    assert middle == pytest.approx(CENTRE_LPS_MM, abs=0.01)
    # positive: triangles run counter-clockwise seen from outside; marching cubes cut the corners
    assert _volume_mm3(mesh) == pytest.approx(mask.sum() * geometry.voxel_volume_mm3, rel=0.03)


def test_every_edge_joins_two_triangles() -> None:
    mask, geometry = ball(SpacingMm(1.0, 0.8, 0.8))
    mask[:6] = False  # as if the scan ended there
    mesh = surface_of(mask[6:], geometry)

    edges = np.sort(
        np.concatenate([mesh.triangles[:, p] for p in ([0, 1], [1, 2], [2, 0])]), axis=1
    )
    _, uses = np.unique(edges, axis=0, return_counts=True)
    assert set(uses) == {2}


def test_the_voxels_steps_are_smoothed_away_within_the_limit() -> None:
    """On a ball the normal points outwards; steps of voxels turn it by up to 55 degrees."""
    mask, geometry = ball(SpacingMm(1.0, 0.8, 0.8))
    mesh = surface_of(mask, geometry)

    centres = mesh.points_lps_mm[mesh.triangles].mean(axis=1) - CENTRE_LPS_MM
    outwards = centres / np.linalg.norm(centres, axis=1, keepdims=True)
    angles = np.degrees(np.arccos(np.clip((outwards * _normals(mesh)).sum(axis=1), -1, 1)))
    assert np.percentile(angles, 95) < 20
    # a point starts midway between two centres, of which the ball holds one: 0.5 mm at most
    radii = np.linalg.norm(mesh.points_lps_mm - CENTRE_LPS_MM, axis=1)
    assert np.abs(radii - RADIUS_MM).max() < 0.5 + MAX_SHIFT_MM


def test_no_point_leaves_the_voxels_faces_by_more_than_the_limit() -> None:
    """A slab of two voxels: smoothing would round its rim off without the limit."""
    mask = np.zeros((6, 12, 12), bool)
    mask[2:4, 2:10, 2:10] = True
    geometry = VolumeGeometry.axis_aligned(mask.shape, SpacingMm(1.0, 1.0, 1.0))
    points = surface_of(mask, geometry).points_lps_mm

    low, high = np.array([1.5, 1.5, 1.5]), np.array([9.5, 9.5, 3.5])
    outside = np.linalg.norm(np.maximum(low - points, 0) + np.maximum(points - high, 0), axis=1)
    inside = np.minimum(points - low, high - points).min(axis=1)
    assert max(outside.max(), inside.max()) <= MAX_SHIFT_MM + 1e-4
    assert MAX_SHIFT_MM == 0.3


def test_stl_holds_the_triangles(tmp_path: Path) -> None:
    mesh = surface_of(*ball(SpacingMm(3.0, 3.0, 3.0)))
    write_stl(mesh, tmp_path / "a.stl")

    data = (tmp_path / "a.stl").read_bytes()
    assert data[:5] != b"solid"  # which would announce the text form
    assert len(data) == 84 + 50 * len(mesh.triangles)
    first = np.frombuffer(data[84:132], "<f4").reshape(4, 3)
    np.testing.assert_array_equal(first[1:], mesh.points_lps_mm[mesh.triangles[0]])


def test_glb_holds_a_node_per_surface(tmp_path: Path) -> None:
    mesh = surface_of(*ball(SpacingMm(3.0, 3.0, 3.0)))
    surfaces = tuple(Surface(name, (255, 0, 0), 1.0, mesh) for name in ("outer", "inner"))
    write_glb(surfaces, tmp_path / "a.glb")

    data = (tmp_path / "a.glb").read_bytes()
    assert data[:4] == b"glTF"
    version, length, json_length, _ = np.frombuffer(data[4:20], "<u4")
    assert (version, length, data[16:20]) == (2, len(data), b"JSON")
    content = json.loads(data[20 : 20 + json_length])
    assert [node["name"] for node in content["nodes"]] == ["outer", "inner"]
    assert content["asset"]["extras"] == {"unit": "mm", "space": "LPS"}
    binary = data[20 + json_length + 8 :]
    for node in content["nodes"]:
        (primitive,) = content["meshes"][node["mesh"]]["primitives"]
        position = content["accessors"][primitive["attributes"]["POSITION"]]
        view = content["bufferViews"][position["bufferView"]]
        points = np.frombuffer(
            binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]], "<f4"
        ).reshape(-1, 3)
        np.testing.assert_array_equal(points, mesh.points_lps_mm)
        assert position["min"] == points.min(axis=0).tolist()
        indices = content["accessors"][primitive["indices"]]
        assert indices["count"] == 3 * len(mesh.triangles)
