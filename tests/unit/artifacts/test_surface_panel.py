"""The surface shows regions and thickness where they lie, and grey where there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from service.artifacts.mesh import surface_of
from service.artifacts.palette import UNMEASURED, thickness_colours
from service.artifacts.pdf_sheet import Rect, Sheet, rasterised
from service.artifacts.surface_panel import draw_surface
from service.domain.imaging import FemurResult, SurfaceThickness
from tests.builders.analyses import analysis, axial_geometry

DPI = 101.6
"""Four pixels per mm of paper."""
PLACE = Rect(10.0, 50.0, 190.0, 60.0)
WIDTH = (190.0 - 16.0) / 4


@pytest.fixture(scope="module")
def femur() -> FemurResult:
    made_up = analysis(axial_geometry((40, 60, 50))).femurs[0]
    return replace(made_up, thickness=None)


def middle_of(femur: FemurResult, view: int) -> np.ndarray:
    """RGB in the middle of one of the four views: regions, regions behind, thickness, behind."""
    sheet = Sheet("")
    draw_surface(sheet, femur, surface_of(femur.masks.periosteal, femur.masks.geometry), PLACE)
    pixels = np.asarray(rasterised(sheet.encoded(), DPI)).astype(int)
    column = 10.0 + (view + 0.5) * WIDTH
    return pixels[round(4 * 82.0), round(4 * column)]


def with_thickness(femur: FemurResult, front_mm: float, back_mm: float) -> FemurResult:
    points = surface_of(femur.masks.periosteal, femur.masks.geometry).points_lps_mm.astype(float)
    in_front = points[:, 1] < points[:, 1].mean()
    return replace(femur, thickness=SurfaceThickness(points, np.where(in_front, front_mm, back_mm)))


def test_thickness_is_coloured_where_it_was_measured(femur: FemurResult) -> None:
    measured = with_thickness(femur, 1.0, 4.0)
    for view, thickness_mm in ((2, 1.0), (3, 4.0)):
        expected = thickness_colours([thickness_mm])[0]
        np.testing.assert_allclose(middle_of(measured, view), expected, atol=14)


@pytest.mark.parametrize("what", ["no surface", "not a number"])
def test_without_a_thickness_the_surface_is_grey(femur: FemurResult, what: str) -> None:
    without = femur if what == "no surface" else with_thickness(femur, np.nan, np.nan)
    np.testing.assert_allclose(middle_of(without, 2), UNMEASURED, atol=14)


def test_what_is_in_no_region_is_grey(femur: FemurResult) -> None:
    without = replace(femur, labels=np.zeros_like(femur.labels))
    np.testing.assert_allclose(middle_of(without, 0), UNMEASURED, atol=14)
    red, green, blue = middle_of(femur, 0)
    assert max(red, green, blue) - min(red, green, blue) > 30
