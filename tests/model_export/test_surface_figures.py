from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_export.evaluation import reference_masks
from model_export.figures import ShownFemur
from model_export.surface_figures import (
    draw_distance_errors,
    draw_surfaces,
    face_errors_mm,
    surface_mesh,
)
from service.domain.geometry import SpacingMm
from service.domain.imaging import FemurMasks
from tests.builders.evaluation_cases import block_case

SPACING = SpacingMm(1.0, 0.8, 0.8)


@pytest.fixture
def shown() -> ShownFemur:
    case = block_case()
    return ShownFemur(case, reference_masks(case))


def test_a_mesh_lies_on_the_masks_surface_in_mm() -> None:
    mask = np.zeros((30, 30, 30), dtype=np.bool_)
    mask[8:22, 5:25, 10:20] = True
    points = surface_mesh(mask, SPACING).points_mm
    # halfway between the outermost voxel and its neighbour, to half a step of the mesh
    np.testing.assert_allclose(points.min(axis=0), (9.5 * 0.8, 4.5 * 0.8, 7.5), atol=0.5)
    np.testing.assert_allclose(points.max(axis=0), (19.5 * 0.8, 24.5 * 0.8, 21.5), atol=0.5)


def test_a_mask_at_the_arrays_end_has_a_closed_mesh() -> None:
    mesh = surface_mesh(np.ones((12, 12, 12), dtype=np.bool_), SPACING)
    edges = np.sort(mesh.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    _, uses = np.unique(edges, axis=0, return_counts=True)
    assert (uses == 2).all()


def test_faces_carry_the_distance_of_their_voxel() -> None:
    found, true = np.zeros((2, 30, 30, 30), dtype=np.bool_)
    found[8:22, 8:22, 8:22] = True
    true[8:22, 8:22, 11:22] = True
    mesh = surface_mesh(found, SPACING)
    errors = face_errors_mm(mesh, found, true, SPACING)
    centres = mesh.points_mm[mesh.faces].mean(axis=1)
    middle = np.abs(centres[:, 1:] - (11.6, 14.5)).max(axis=1) < 2.0
    # the face at column 8 lies three columns from the true one, that at column 21 on it
    assert errors[middle & (centres[:, 0] < 8)].mean() == pytest.approx(2.4)
    assert errors[middle & (centres[:, 0] > 15)].max() == 0.0


def test_an_empty_mask_has_no_mesh_and_no_errors() -> None:
    empty = np.zeros((8, 8, 8), dtype=np.bool_)
    mesh = surface_mesh(empty, SPACING)
    assert len(mesh.faces) == 0
    assert face_errors_mm(mesh, empty, ~empty, SPACING).size == 0


def test_surfaces_and_errors_are_drawn(shown: ShownFemur, tmp_path: Path) -> None:
    draw_surfaces((shown,), tmp_path / "surfaces.png")
    draw_distance_errors((shown,), tmp_path / "errors.png")
    for name in ("surfaces", "errors"):
        with Image.open(tmp_path / f"{name}.png") as image:
            pixels = np.asarray(image.convert("L"))
        assert (pixels < 240).mean() > 0.05


def test_a_femur_without_endosteal_surface_leaves_its_panel_empty(
    shown: ShownFemur, tmp_path: Path
) -> None:
    masks = shown.found
    blank = np.zeros_like(masks.endosteal)
    found = FemurMasks(masks.side, masks.periosteal, blank, masks.geometry)
    draw_distance_errors((ShownFemur(shown.case, found),), tmp_path / "errors.png")
    assert (tmp_path / "errors.png").exists()
