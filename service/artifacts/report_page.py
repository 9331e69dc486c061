"""One page per femur for a person to read: cuts, surface, numbers, flags; as PDF and as picture.

The page names no patient; the upload's SHA-256 leads back to the series.
"""

from __future__ import annotations

from PIL import Image

from service.artifacts.ct_tile import draw_cut, draw_missing, scene_of
from service.artifacts.cut_planes import (
    along_neck_plane,
    axial_planes,
    coronal_plane,
    intertrochanter_section_plane,
    long_plane,
    neck_section_plane,
)
from service.artifacts.mesh import Mesh
from service.artifacts.palette import (
    ENDOSTEAL,
    PERIOSTEAL,
    REGION_COLOURS,
    UNMEASURED,
    Colour,
)
from service.artifacts.pdf_sheet import (
    HEIGHT_MM,
    WIDTH_MM,
    Rect,
    Sheet,
    Stroke,
    Style,
    rasterised,
    wrapped,
)
from service.artifacts.report_tables import (
    Table,
    dimension_table,
    landmark_table,
    neck_table,
    numbered,
    region_table,
    section_table,
)
from service.artifacts.surface_panel import draw_surface
from service.domain.confidence import FemurConfidence, SurfaceConfidence
from service.domain.findings import AnalysisReport, FemurReport, ModelUsed
from service.domain.imaging import FemurResult

MARGIN, GAP = 10.0, 2.0
INNER = WIDTH_MM - 2 * MARGIN
"""All lengths of the layout are mm of paper."""

HEADER_TOP, LEGEND_TOP = 6.0, 19.0
REFORMATS_TOP, REFORMATS_HEIGHT, TALL_WIDTH = 26.0, 82.0, 52.0
AXIAL_TOP, AXIAL_HEIGHT = 110.0, 40.0
SURFACE_TOP, SURFACE_HEIGHT = 152.0, 52.0
TABLES_TOP, ROW_HEIGHT = 206.0, 3.3
FLAGS_BOTTOM, LINE_HEIGHT = HEIGHT_MM - 13.0, 2.8

DOTS_PER_INCH = 170.0
"""Of the picture: 1405 x 1988, on which the smallest print is still read."""

SHA_DIGITS = 12

HEADING = Style(17.0, bold=True)
BODY = Style(6.5)
SMALL = Style(6.0, (70, 70, 70))
STRONG = Style(6.5, bold=True)
WARN = Style(8.0, (170, 60, 0), bold=True)
RULE = Stroke((150, 150, 150), 0.4)
DARK: Colour = (20, 20, 20)
LIGHT: Colour = (238, 238, 238)


def report_pdf(report: AnalysisReport, femur: FemurResult, mesh: Mesh) -> bytes:
    """Draw one femur's page.

    Args:
        report: whose femur it is; series, provenance and its flags are printed.
        femur: its periosteal mask holds at least one voxel; anything else may be missing.
        mesh: of the periosteal mask.

    Returns:
        A PDF of one A4 page; the same bytes for the same input.
    """
    sheet = Sheet(f"femurct: {femur.report.side.value} femur")
    _draw_header(sheet, report, femur.report)
    _draw_legend(sheet, LEGEND_TOP + 3.6)
    _draw_cuts(sheet, femur)
    draw_surface(sheet, femur, mesh, Rect(MARGIN, SURFACE_TOP, INNER, SURFACE_HEIGHT))
    bottom = _draw_tables(sheet, femur.report)
    _draw_flags(sheet, report, femur.report, bottom)
    _draw_footer(sheet, report)
    return sheet.encoded()


def report_picture(pdf: bytes) -> Image.Image:
    """The page as an RGB picture without metadata."""
    return rasterised(pdf, DOTS_PER_INCH)


def _draw_header(sheet: Sheet, report: AnalysisReport, femur: FemurReport) -> None:
    badge = Rect(MARGIN, HEADER_TOP, 9.0, 9.0)
    baseline = HEADER_TOP + 6.6
    sheet.rectangle(badge, DARK)
    letter = femur.side.value[0].upper()
    white = Style(19.0, (255, 255, 255), bold=True)
    sheet.text(badge.left + badge.width / 2, baseline + 0.3, letter, white, align=0.5)
    title = f"{femur.side.value.capitalize()} femur"
    end = sheet.text(MARGIN + 12.0, baseline, title, HEADING)
    if not femur.complete:
        sheet.text(end + 4.0, baseline, "incomplete: see flags", WARN)
    right = WIDTH_MM - MARGIN
    sheet.text(right, baseline - 3.2, report.notice, WARN, align=1.0)
    made = report.provenance
    spacing = report.series.spacing_mm
    rows = (
        f"voxels {spacing[2]:.2f} x {spacing[1]:.2f} x {spacing[0]:.2f} mm, "
        f"{report.series.slices_used} slices; {made.regions_definition}; "
        f"femurct {made.femurct_version}",
        "; ".join(
            (
                f"input SHA-256 {made.input_sha256[:SHA_DIGITS]}",
                *(_network(model, femur.confidence) for model in made.models),
            )
        ),
    )
    for number, row in enumerate(rows):
        sheet.text(right, baseline + 0.4 + 3.0 * number, row, SMALL, align=1.0)


def _network(model: ModelUsed, confidence: FemurConfidence | None) -> str:
    """Which network drew a surface, and how good it expects to be on this femur."""
    surface: SurfaceConfidence | None = getattr(confidence, model.role, None)
    name = f"{model.role} network {model.sha256[:SHA_DIGITS]}"
    if surface is None or surface.expected_dice is None:
        return name
    return f"{name} (expected Dice {surface.expected_dice:.2f})"


def _draw_legend(sheet: Sheet, y: float) -> None:
    """What the colours mean, on a dark strip as on the pictures."""
    sheet.rectangle(Rect(MARGIN, y - 3.6, INNER, 5.4), DARK)
    style = Style(7.0, (255, 255, 255))
    x = MARGIN + 3.0
    for name, colour in (("periosteal", PERIOSTEAL), ("endosteal", ENDOSTEAL)):
        sheet.line([(x, y - 0.9), (x + 6, y - 0.9)], Stroke(colour, 1.4))
        x = sheet.text(x + 7.2, y, name, style) + 5.0
    sheet.line([(x, y - 0.9), (x + 6, y - 0.9)], Stroke((255, 255, 255), 0.8, (2.4, 1.6)))
    x = sheet.text(x + 7.2, y, "region planes", style) + 5.0
    swatches = [(region.name.lower(), colour) for region, colour in REGION_COLOURS]
    for name, colour in (*swatches, ("not measured", UNMEASURED)):
        sheet.rectangle(Rect(x, y - 2.2, 2.8, 2.8), colour)
        x = sheet.text(x + 4.0, y, name, style) + 5.0


def _draw_cuts(sheet: Sheet, femur: FemurResult) -> None:
    scene = scene_of(femur)
    levels = axial_planes(femur)
    tall = Rect(MARGIN, REFORMATS_TOP, TALL_WIDTH, REFORMATS_HEIGHT)
    draw_cut(sheet, scene, coronal_plane(femur), tall, levels)
    draw_cut(sheet, scene, long_plane(femur), tall._replace(left=MARGIN + TALL_WIDTH + GAP))
    left = MARGIN + 2 * (TALL_WIDTH + GAP)
    half = (REFORMATS_HEIGHT - GAP) / 2
    along = Rect(left, REFORMATS_TOP, WIDTH_MM - MARGIN - left, half)
    section = Rect(left, REFORMATS_TOP + half + GAP, (along.width - GAP) / 2, half)
    beside = section._replace(left=left + section.width + GAP)
    cuts = (
        (along_neck_plane(femur), "along the neck", along),
        (neck_section_plane(femur), "narrow neck", section),
        (intertrochanter_section_plane(femur), "intertrochanter", beside),
    )
    for plane, title, place in cuts:
        if plane is None:
            draw_missing(sheet, place, title, "not found or not measured: see flags")
        else:
            draw_cut(sheet, scene, plane, place)
    width = (INNER - 3 * GAP) / 4
    for number, plane in enumerate(levels):
        place = Rect(MARGIN + number * (width + GAP), AXIAL_TOP, width, AXIAL_HEIGHT)
        draw_cut(sheet, scene, plane, place)


def _draw_tables(sheet: Sheet, femur: FemurReport) -> float:
    """Returns where the lowest table ends."""
    bottom = _draw_table(sheet, region_table(femur), Rect(MARGIN, TABLES_TOP, INNER, 0.0), 30.0)
    top = bottom + 3.0
    sections = Rect(MARGIN, top, 94.0, 0.0)
    dimensions = Rect(sections.left + 98.0, top, 44.0, 0.0)
    neck = Rect(dimensions.left + 48.0, top, 44.0, 0.0)
    landmarks = sections._replace(
        top=_draw_table(sheet, section_table(femur), sections, 20.0) + 1.0
    )
    return max(
        _draw_table(sheet, landmark_table(femur), landmarks, 20.0),
        _draw_table(sheet, dimension_table(femur), dimensions, 26.0),
        _draw_table(sheet, neck_table(femur), neck, 17.0),
    )


def _draw_table(sheet: Sheet, table: Table, place: Rect, first: float) -> float:
    """Draw a table; the last column holds the numbers of flags.

    Args:
        sheet: to draw on.
        table: what.
        place: its upper left corner and its width.
        first: width of the first column.

    Returns:
        Where it ends.
    """
    flags = 6.5
    width = (place.width - first - flags) / len(table.columns)
    y = place.top + 2.6
    sheet.text(place.left, y, table.title, STRONG)
    for number, column in enumerate(table.columns, start=1):
        sheet.text(place.left + first + number * width, y, column, SMALL, align=1.0)
    sheet.line([(place.left, y + 1.1), (place.left + place.width, y + 1.1)], RULE)
    for number, row in enumerate(table.rows):
        y += ROW_HEIGHT
        if number % 2:
            sheet.rectangle(Rect(place.left, y - 2.5, place.width, ROW_HEIGHT), LIGHT)
        sheet.text(place.left, y, row.name, BODY)
        for place_in_row, cell in enumerate(row.cells, start=1):
            sheet.text(place.left + first + place_in_row * width, y, cell, BODY, align=1.0)
        sheet.text(place.left + place.width, y, row.because, WARN._replace(size=5.5), align=1.0)
    return y + 1.0


def _draw_flags(sheet: Sheet, report: AnalysisReport, femur: FemurReport, top: float) -> None:
    """The femur's flags by number, then the series'; what finds no room is named by its codes."""
    y, left = top + 4.5, MARGIN + 10.0
    sheet.text(MARGIN, y, "Flags", STRONG)
    flags = (*femur.flags, *report.flags)
    room = int((FLAGS_BOTTOM - y) / LINE_HEIGHT) + 1
    lines: list[str] = []
    for number, sentence in enumerate(numbered(flags)):
        more = wrapped(sentence, INNER - 10.0, BODY)
        # the last line is kept for the codes of those that follow
        if len(lines) + len(more) > room - (number < len(flags) - 1):
            lines.append("and " + ", ".join(flag.code.value for flag in flags[number:]))
            break
        lines += more
    for number, line in enumerate(lines or ["none"]):
        sheet.text(left, y + number * LINE_HEIGHT, line, BODY)


def _draw_footer(sheet: Sheet, report: AnalysisReport) -> None:
    y = HEIGHT_MM - 9.0
    sheet.line([(MARGIN, y - 3.2), (WIDTH_MM - MARGIN, y - 3.2)], RULE)
    options = report.provenance.options
    calibration = options.calibration if options is not None else None
    about = (
        "CT level 500, width 1600 HU. A dash: not measured, for the flags numbered beside it. "
        "I second moment, Z section modulus (both frontal), BR buckling ratio. "
        "Definitions: docs/measurements.md."
    )
    sheet.text(MARGIN, y, about, SMALL)
    if calibration is not None:
        line = (
            f"Calibration ({calibration.method.value}): {calibration.slope:g} x HU "
            f"{calibration.intercept:+g} {calibration.unit}. "
            "* equivalent of a projection, not validated."
        )
        sheet.text(MARGIN, y + 2.8, line, SMALL)
