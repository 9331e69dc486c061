"""Pseudo-labels: tubes whose surfaces are known exactly."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from model_export import pseudo_labels as module
from model_export.pseudo_labels import LEAST_CORTEX_MM, snap_femur
from model_export.user_cases import user_case
from service.domain.findings import FemurSide
from service.domain.geometry import SpacingMm, VolumeGeometry
from service.domain.imaging import BoolArray, FemurMasks

OUTER_MM, INNER_MM = 14.0, 8.5
CORTEX_HU, MARROW_HU, MUSCLE_HU = 1300.0, -40.0, 60.0
GRID = VolumeGeometry.axis_aligned((4, 56, 56), SpacingMm(3.27, 0.98, 0.98))

FloatArray = npt.NDArray[np.float64]


def polar() -> tuple[FloatArray, FloatArray]:
    """Distance from the tube's axis in mm and angle about it, ``[y, x]``."""
    y, x = (np.indices((56, 56)) - 27.3) * 0.98
    return np.hypot(y, x), np.arctan2(y, x)


def tube_hu(inner_mm: float = INNER_MM) -> FloatArray:
    """A tube scanned with a point spread of 0.77 mm and noise of 20 HU, ``[z, y, x]``."""
    fine = (np.indices((560, 560)) - 277.5) * 0.098
    far = np.hypot(*fine)
    hu = np.select([far < inner_mm, far < OUTER_MM], [MARROW_HU, CORTEX_HU], MUSCLE_HU)
    scan = ndimage.gaussian_filter(hu, 0.77 / 0.098).reshape(56, 10, 56, 10).mean(axis=(1, 3))
    return np.asarray(scan + np.random.default_rng(0).normal(0, 20, GRID.shape_zyx))


def tube(outer_mm: FloatArray | float, inner_mm: FloatArray | float) -> FemurMasks:
    far, _ = polar()
    periosteal, endosteal = (
        np.repeat((far < radius)[None], GRID.shape_zyx[0], axis=0)
        for radius in (outer_mm, inner_mm)
    )
    return FemurMasks(FemurSide.LEFT, periosteal, endosteal, GRID)


def mean_distance_mm(found: BoolArray, truth: BoolArray, radius_mm: float) -> float:
    """The area between two contours over the length of the true one."""
    between_mm2 = float(np.count_nonzero(found != truth)) * 0.98**2
    return between_mm2 / (2 * np.pi * radius_mm * len(truth))


def test_surfaces_moved_by_up_to_1_5_mm_come_back_to_the_edge() -> None:
    truth = tube(OUTER_MM, INNER_MM)
    _, angle = polar()
    moved = tube(OUTER_MM + 1.5 * np.sin(3 * angle), INNER_MM + 1.5 * np.cos(2 * angle))
    snapped, trust = snap_femur(tube_hu(), moved)
    for name, radius_mm in (("periosteal", OUTER_MM), ("endosteal", INNER_MM)):
        before, after = (
            mean_distance_mm(getattr(masks, name), getattr(truth, name), radius_mm)
            for masks in (moved, snapped)
        )
        assert before == pytest.approx(1.5 * 2 / np.pi, abs=0.05)  # the mean of |1.5 sin|
        assert after < 0.3  # under a third of a pixel
    assert (trust == 2).all()


def test_without_an_edge_within_2_mm_the_contour_stays_and_is_not_trusted() -> None:
    moved = tube(OUTER_MM + 4, INNER_MM)
    snapped, trust = snap_femur(tube_hu(), moved)
    assert np.count_nonzero(snapped.periosteal != moved.periosteal) < 0.02 * moved.periosteal.sum()
    assert (trust == 0).mean() > 0.98


def test_an_endosteal_surface_under_a_thin_cortex_is_not_trusted() -> None:
    thin = OUTER_MM - 1.5  # seen through the point spread it is about 2.4 mm, and noise is added
    _, trust = snap_femur(tube_hu(thin), tube(OUTER_MM, thin))
    assert thin > OUTER_MM - LEAST_CORTEX_MM
    assert (trust == 1).mean() > 0.95


def test_a_written_case_is_read_as_one_s_own(tmp_path: Path) -> None:
    folder = tmp_path / "STS_000_left"
    module._write(tube_hu(), tube(OUTER_MM, INNER_MM), folder)
    case = user_case(folder)
    assert (case.name, case.right) == ("STS_000_left", False)
    assert case.periosteal.shape == case.hu.shape
    assert case.endosteal.sum() * 0.98**2 / len(case.hu) == pytest.approx(np.pi * 8.5**2, rel=0.03)
