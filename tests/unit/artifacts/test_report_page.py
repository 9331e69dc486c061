"""Every femur gets its page, whatever is missing; no page names a patient."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from service.artifacts.mesh import surface_of
from service.artifacts.palette import ENDOSTEAL, PERIOSTEAL, REGION_COLOURS, Colour
from service.artifacts.report_page import report_pdf, report_picture
from service.domain.calibration import Calibration
from service.domain.findings import AnalysisReport, FemurSide, FlagCode, QualityFlag, Severity
from service.domain.geometry import Box, SpacingMm
from service.domain.imaging import (
    FemurCrop,
    FemurMasks,
    FemurResult,
    FieldOfViewCuts,
)
from service.pipeline.femur_measurements import measure_femur
from service.pipeline.measurements import measure
from service.pipeline.regions import divide
from service.pipeline.report import FemurNumbers, femur_report
from tests.builders.analyses import SERIES_UID, analysis, axial_geometry
from tests.builders.ct_series import PATIENT
from tests.builders.femur_shapes import femur_masks, mirrored
from tests.unit.artifacts.test_pdf_sheet import text_of

SPACING = SpacingMm(2.0, 1.5, 1.5)
NOTICE = "Research use only: not validated for clinical use."
LINE = Calibration.model_validate(
    {"slope": 0.86, "intercept": -2.1, "unit": "mg/cm3 HA", "method": "asynchronous"}
)


def measured(
    masks: FemurMasks,
    cuts: FieldOfViewCuts = FieldOfViewCuts(),  # noqa: B008  frozen
    line: Calibration | None = None,
) -> FemurResult:
    """A femur of simple solids, measured as in production."""
    hu = np.where(masks.endosteal, 100, np.where(masks.periosteal, 1000, 0)).astype(np.int16)
    regions = divide(masks, cuts)
    found = measure_femur(masks, hu, regions, line)
    numbers = FemurNumbers(measure(masks, regions), found.numbers)
    report = femur_report(masks, regions, numbers, cuts)
    crop = FemurCrop(masks.side, Box((0, 0, 0), hu.shape))
    return FemurResult(crop, hu, masks, regions.labels, report, found.thickness)


def page(femur: FemurResult) -> bytes:
    whole = analysis(axial_geometry()).report.model_copy(update={"femurs": (femur.report,)})
    return report_pdf(whole, femur, surface_of(femur.masks.periosteal, femur.masks.geometry))


def near(picture: Image.Image, colour: Colour) -> int:
    difference = np.abs(np.asarray(picture).astype(int) - colour).max(axis=2)
    return int((difference < 40).sum())


@pytest.fixture(scope="module")
def whole() -> FemurResult:
    return measured(femur_masks(SPACING))


def test_a_page_shows_contours_regions_and_numbers(whole: FemurResult) -> None:
    pdf = page(whole)
    picture = report_picture(pdf)
    assert picture.size == (1406, 1988)
    # beyond the legend's few hundred pixels: contours run through nine cuts, regions over two views
    for colour in (PERIOSTEAL, ENDOSTEAL, *(colour for _, colour in REGION_COLOURS)):
        assert near(picture, colour) > 1500
    text = text_of(pdf)
    head = whole.report.volumes_cm3.head
    assert head is not None
    for expected in ("Left femur", NOTICE, "along neck and shaft", "narrow neck", "regions/v1"):
        assert expected in text
    assert f"{head.integral:.1f}" in text
    assert "incomplete" not in text


def test_a_right_femur_is_marked_as_one() -> None:
    femur = measured(mirrored(femur_masks(SPACING)), line=LINE)
    text = text_of(page(femur))
    assert "Right femur" in text
    assert "vBMD" in text
    assert femur.report.side is FemurSide.RIGHT


@pytest.mark.parametrize(
    ("bottom_mm", "top_mm", "code"),
    [
        (-90.0, 30.0, FlagCode.TRUNCATED_DISTAL),
        (-150.0, -30.0, FlagCode.HEAD_NOT_FOUND),
        (-150.0, -90.0, FlagCode.HEAD_NOT_FOUND),
    ],
    ids=["without a shaft", "without a head", "shaft alone"],
)
def test_a_truncated_femur_has_a_page_with_dashes_and_its_flag(
    bottom_mm: float, top_mm: float, code: FlagCode
) -> None:
    text = text_of(page(measured(femur_masks(SPACING, bottom_mm=bottom_mm, top_mm=top_mm))))
    assert "incomplete: see flags" in text
    assert "\N{EN DASH}" in text
    assert code.value in text
    assert NOTICE in text


def test_a_femur_that_fills_its_grid_to_the_border_has_a_page(whole: FemurResult) -> None:
    bone = [
        np.flatnonzero(whole.masks.periosteal.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))
    ]
    # half of the head is cut off medially
    box = Box(
        (int(bone[0][0]), int(bone[1][0]), int(bone[2][0]) + 12),
        tuple(int(places[-1]) + 1 for places in bone),
    )
    masks = FemurMasks(
        FemurSide.LEFT,
        whole.masks.periosteal[box.slices].copy(),
        whole.masks.endosteal[box.slices].copy(),
        whole.masks.geometry.crop(box),
    )
    cuts = FieldOfViewCuts(proximal=True, distal=True, in_plane=True)
    text = text_of(page(measured(masks, cuts)))
    assert "TRUNCATED_LATERAL" in text


def test_a_femur_without_endosteal_surface_has_a_page(whole: FemurResult) -> None:
    masks = replace(whole.masks, endosteal=np.zeros_like(whole.masks.endosteal))
    femur = measured(masks)
    assert femur.thickness is None
    picture = report_picture(page(femur))
    assert near(picture, PERIOSTEAL) > 1500


def test_a_femur_without_any_landmark_has_a_page() -> None:
    text = text_of(page(analysis(axial_geometry()).femurs[0]))
    assert "not found or not measured: see flags" in text
    assert "sagittal" in text


def test_flags_that_find_no_room_are_named_by_their_codes(whole: FemurResult) -> None:
    flags = tuple(
        QualityFlag(code=code, severity=Severity.WARNING, message="a long story " * 20)
        for code in FlagCode
    )
    crowded = replace(whole, report=whole.report.model_copy(update={"flags": flags}))
    text = text_of(page(crowded)).replace("\r\n", " ")
    for code in FlagCode:
        assert code.value in text


def test_the_page_names_no_patient_and_no_series(whole: FemurResult) -> None:
    pdf = page(whole)
    for name in (PATIENT, SERIES_UID):
        assert name.encode() not in pdf
        assert name not in text_of(pdf)
    assert not report_picture(pdf).info


def test_the_same_femur_gives_the_same_page(whole: FemurResult) -> None:
    assert page(whole) == page(whole)


def test_series_flags_are_on_the_page(whole: FemurResult) -> None:
    thick = QualityFlag(code=FlagCode.THICK_SLICES, severity=Severity.INFO, message="2.0 mm")
    made_up: AnalysisReport = analysis(axial_geometry()).report.model_copy(
        update={"flags": (thick,)}
    )
    mesh = surface_of(whole.masks.periosteal, whole.masks.geometry)
    assert "THICK_SLICES" in text_of(report_pdf(made_up, whole, mesh))
