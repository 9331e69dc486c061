"""A cut on the page: true to scale, contours where the masks end, planes where regions part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from service.artifacts.ct_tile import (
    EMPTY,
    PLANE_STROKE,
    draw_cut,
    draw_missing,
    draw_scale_bar,
    scene_of,
)
from service.artifacts.cut_planes import INFERIOR_LPS, LEFT_LPS, CutPlane
from service.artifacts.palette import PERIOSTEAL
from service.artifacts.pdf_sheet import Rect, Sheet, Style, rasterised
from service.domain.findings import FemurGeometry, Plane, RegionPlanes
from service.domain.geometry import Box, SpacingMm, VolumeGeometry
from service.domain.imaging import FemurCrop, FemurMasks, FemurRegion, FemurResult
from tests.builders.analyses import analysis, axial_geometry

DPI = 254.0
"""Ten pixels per mm of paper."""
TILE = Rect(50.0, 50.0, 60.0, 60.0)


@pytest.fixture(scope="module")
def block() -> FemurResult:
    """A block of 20 x 20 x 20 mm about the origin, its upper half head, its lower half neck."""
    made_up = analysis(axial_geometry()).femurs[0]
    shape = (61, 61, 61)
    grid = VolumeGeometry.axis_aligned(shape, SpacingMm(1.0, 1.0, 1.0), (-30.0, -30.0, -30.0))
    periosteal = np.zeros(shape, dtype=bool)
    periosteal[20:40, 20:40, 20:40] = True
    labels = np.where(periosteal, FemurRegion.NECK, 0).astype(np.uint8)
    labels[30:][periosteal[30:]] = FemurRegion.HEAD
    masks = FemurMasks(made_up.report.side, periosteal, np.zeros_like(periosteal), grid)
    middle = Plane(point_lps_mm=(0.0, 0.0, -0.5), normal_lps=(0.0, 0.0, 1.0))
    found = FemurGeometry(planes=RegionPlanes(head_neck=middle))
    report = made_up.report.model_copy(update={"geometry": found})
    crop = FemurCrop(masks.side, Box((0, 0, 0), shape))
    return FemurResult(crop, np.zeros(shape, np.int16), masks, labels, report)


def coronal(width_mm: float = 60.0) -> CutPlane:
    right, down = np.array(LEFT_LPS), np.array(INFERIOR_LPS)
    return CutPlane("", np.array([0.0, -5.0, 0.0]), right, down, width_mm, 60.0)


def drawn(femur: FemurResult, plane: CutPlane) -> np.ndarray:
    """The tile, ten pixels per mm of paper."""
    sheet = Sheet("")
    draw_cut(sheet, scene_of(femur), plane, TILE)
    pixels = np.asarray(rasterised(sheet.encoded(), DPI)).astype(int)
    return pixels[500:1100, 500:1100]


def near(pixels: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.argwhere(np.abs(pixels - colour).max(axis=2) < 40)


def test_the_contour_lies_where_the_mask_ends(block: FemurResult) -> None:
    # 1 mm is 1 mm of paper, so the block reaches from 19.5 to 39.5 mm of 60, and z runs upwards
    contour = near(drawn(block, coronal()), PERIOSTEAL)
    rows, columns = contour.T
    assert columns.min() == pytest.approx(195, abs=4)
    assert columns.max() == pytest.approx(395, abs=4)
    assert rows.min() == pytest.approx(205, abs=4)
    assert rows.max() == pytest.approx(405, abs=4)


def test_millimetres_are_equal_both_ways(block: FemurResult) -> None:
    # 120 mm are asked for across, so the height shows 120 mm, too
    rows, columns = near(drawn(block, coronal(120.0)), PERIOSTEAL).T
    assert np.ptp(columns) == pytest.approx(100, abs=5)
    assert np.ptp(rows) == pytest.approx(100, abs=5)


def test_a_region_plane_is_drawn_where_it_parts_its_regions(block: FemurResult) -> None:
    assert PLANE_STROKE.colour == (255, 255, 255)
    pixels = drawn(block, coronal())
    # 5 mm beyond the block, outside of its contour and letters
    left_of_block = near(pixels[250:350, 150:185], (255, 255, 255))
    assert len(left_of_block) > 20
    assert left_of_block[:, 0].mean() == pytest.approx(55, abs=4)
    assert len(near(pixels[250:350, 60:130], (255, 255, 255))) == 0


def test_no_region_plane_is_drawn_where_a_region_is_null(block: FemurResult) -> None:
    unknown = replace(block, labels=np.zeros_like(block.labels))
    assert len(near(drawn(unknown, coronal())[250:350, 150:185], (255, 255, 255))) == 0


def test_regions_are_tinted(block: FemurResult) -> None:
    pixels = drawn(block, coronal())
    head, neck, plain = pixels[250, 300], pixels[370, 300], pixels[100, 300]
    assert np.ptp(plain) < 12
    assert head[0] - head[2] > 30
    assert neck[0] - neck[1] > 10


def test_a_scale_bar_is_a_round_length_of_at_most_two_fifths_of_the_tile() -> None:
    for mm_per_paper_mm, length in ((1.0, 20.0), (3.0, 50.0), (0.2, 10.0)):
        sheet = Sheet("")
        draw_scale_bar(sheet, TILE, mm_per_paper_mm, Style(colour=(255, 0, 0)))
        pixels = np.asarray(rasterised(sheet.encoded(), DPI)).astype(int)
        bar = near(pixels[1080:1090, 500:1100], (255, 0, 0))[:, 1]
        assert np.ptp(bar) == pytest.approx(10 * length / mm_per_paper_mm, abs=5)


def test_a_cut_that_cannot_be_made_says_why() -> None:
    sheet = Sheet("")
    draw_missing(sheet, TILE, "along the neck", "not measured")
    pixels = np.asarray(rasterised(sheet.encoded(), DPI))
    assert tuple(pixels[1090, 1090]) == EMPTY
