"""A mesh is drawn to scale, its nearest side on top, lit from the viewer."""

from __future__ import annotations

import numpy as np
import pytest

from service.artifacts.mesh import Mesh, surface_of
from service.artifacts.surface_view import AMBIENT, View, normals, render
from service.domain.geometry import SpacingMm, VolumeGeometry

WHITE = (255, 255, 255)
GRID = VolumeGeometry.axis_aligned((31, 31, 31), SpacingMm(1.0, 1.0, 1.0), (-15.0, -15.0, -15.0))


def ball(radius_mm: float = 10.0) -> Mesh:
    index = np.stack(np.meshgrid(*[np.arange(31)] * 3, indexing="ij"), axis=-1)
    return surface_of(np.linalg.norm(GRID.index_to_lps(index), axis=-1) <= radius_mm, GRID)


def from_the_front(mm_per_pixel: float = 0.5, shape: tuple[int, int] = (61, 61)) -> View:
    right, down = np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, -1.0])
    return View(right, down, np.zeros(3), shape, mm_per_pixel)


def painted(mesh: Mesh, colour: tuple[int, int, int]) -> np.ndarray:
    return np.tile(np.array(colour, dtype=np.float64), (len(mesh.points_lps_mm), 1))


def test_a_ball_covers_the_area_of_its_disc() -> None:
    mesh = ball()
    (picture,) = render(mesh, (painted(mesh, (200, 0, 0)),), from_the_front(), WHITE)
    covered = (picture != 255).any(axis=2).sum() * 0.5**2
    assert covered == pytest.approx(np.pi * 10**2, rel=0.03)


def test_the_ball_is_brightest_in_the_middle_and_darkest_at_the_rim() -> None:
    mesh = ball()
    (picture,) = render(mesh, (painted(mesh, (200, 200, 200)),), from_the_front(), WHITE)
    assert picture[30, 30, 0] == pytest.approx(200, abs=6)
    row = picture[30, :, 0]
    rim = row[row < 255][0]
    assert rim < 200 * (AMBIENT + 0.45)


def test_the_side_that_faces_the_viewer_hides_the_other() -> None:
    mesh = ball()
    colours = painted(mesh, (0, 0, 200))
    colours[mesh.points_lps_mm[:, 1] < 0] = (200, 0, 0)
    (picture,) = render(mesh, (colours,), from_the_front(), WHITE)
    assert picture[30, 30, 0] > 150
    assert picture[30, 30, 2] < 20
    front = from_the_front()
    back = View(-front.right_lps, front.down_lps, front.centre_lps_mm, front.shape, 0.5)
    (behind,) = render(mesh, (colours,), back, WHITE)
    assert behind[30, 30, 2] > 150


def test_every_painting_gives_its_own_picture_of_the_same_outline() -> None:
    mesh = ball()
    paintings = (painted(mesh, (200, 0, 0)), painted(mesh, (0, 0, 200)))
    red, blue = render(mesh, paintings, from_the_front(), WHITE)
    np.testing.assert_array_equal((red != 255).any(axis=2), (blue != 255).any(axis=2))
    assert red[30, 30, 2] == blue[30, 30, 0] == 0


def test_what_lies_beyond_the_picture_is_cut_off() -> None:
    mesh = ball()
    view = from_the_front(shape=(9, 9))
    (picture,) = render(mesh, (painted(mesh, (200, 0, 0)),), view, WHITE)
    assert picture.shape == (9, 9, 3)
    assert (picture[:, :, 0] < 255).all()


def test_a_mesh_out_of_sight_leaves_the_background() -> None:
    mesh = ball()
    view = from_the_front()
    away = View(view.right_lps, view.down_lps, np.array([500.0, 0, 0]), view.shape, 0.5)
    (picture,) = render(mesh, (painted(mesh, (200, 0, 0)),), away, WHITE)
    assert (picture == 255).all()


def test_normals_point_outwards() -> None:
    mesh = ball()
    outwards = mesh.points_lps_mm / np.linalg.norm(mesh.points_lps_mm, axis=1, keepdims=True)
    assert ((normals(mesh) * outwards).sum(axis=1) > 0.75).all()
