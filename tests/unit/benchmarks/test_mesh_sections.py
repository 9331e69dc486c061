"""Sections of solids whose areas are known."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks.mesh_sections import Floats, Mesh, outline

UP = np.array([0.0, 0.0, 1.0])


def box(low: Floats, high: Floats, *, inside_out: bool = False) -> Mesh:
    """A cuboid; inside out it is a cavity."""
    corners = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    quads = np.array(
        [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    )
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    mesh = Mesh(low + corners * (high - low), faces)
    return Mesh(mesh.points, faces[:, ::-1]) if inside_out else mesh


def joined(*meshes: Mesh) -> Mesh:
    starts = np.cumsum([0, *(len(m.points) for m in meshes[:-1])])
    faces = [m.faces + start for m, start in zip(meshes, starts, strict=True)]
    return Mesh(np.concatenate([m.points for m in meshes]), np.concatenate(faces))


def test_a_box_has_its_volume_and_its_triangles_their_areas() -> None:
    mesh = box(np.zeros(3), np.array([2.0, 3.0, 4.0]))
    assert mesh.volume_mm3() == pytest.approx(24.0)
    assert mesh.face_centres()[2].sum() == pytest.approx(2 * (6 + 8 + 12))


def test_a_slanting_section_of_a_box_has_its_area_and_centroid() -> None:
    mesh = box(np.zeros(3), np.array([2.0, 2.0, 10.0]))
    slanting = np.array([1.0, 0.0, 1.0]) / np.sqrt(2)
    cut = outline(mesh, np.array([0.5, 1.2, 5.0]), slanting)
    assert cut is not None
    # 2 mm by 2 sqrt(2) mm; its middle is where x + z = 5.5 and x = 1
    assert cut.area_mm2 == pytest.approx(4 * np.sqrt(2))
    np.testing.assert_allclose(cut.centroid, [1.0, 1.0, 4.5])


def test_only_the_piece_that_holds_the_point_counts() -> None:
    mesh = joined(box(np.zeros(3), np.full(3, 2.0)), box(np.array([5.0, 0, 0]), np.full(3, 8.0)))
    cut = outline(mesh, np.array([6.0, 1.0, 1.0]), UP)
    assert cut is not None
    assert cut.area_mm2 == pytest.approx(24.0)


def test_a_point_outside_takes_the_nearest_piece() -> None:
    mesh = joined(box(np.zeros(3), np.full(3, 2.0)), box(np.array([5.0, 0, 0]), np.full(3, 8.0)))
    cut = outline(mesh, np.array([2.5, 1.0, 1.0]), UP)
    assert cut is not None
    assert cut.area_mm2 == pytest.approx(4.0)


def test_holes_are_left_out() -> None:
    hole = box(np.ones(3), np.array([3.0, 2.0, 2.0]), inside_out=True)
    mesh = joined(box(np.zeros(3), np.full(3, 4.0)), hole)
    cut = outline(mesh, np.array([0.5, 0.5, 1.5]), UP)
    assert cut is not None
    assert cut.area_mm2 == pytest.approx(16.0 - 2.0)
    # (16 x 2 - 2 x 2) / 14
    assert cut.centroid[0] == pytest.approx(2.0)


def test_a_plane_beside_the_mesh_shows_nothing() -> None:
    assert outline(box(np.zeros(3), np.ones(3)), np.array([0.0, 0.0, 5.0]), UP) is None
