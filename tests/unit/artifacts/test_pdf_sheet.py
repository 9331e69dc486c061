"""A sheet is an A4 page of real text and lines, the same bytes each time."""

from __future__ import annotations

import numpy as np
from pypdfium2 import PdfDocument

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

DPI = 50.8
"""Two pixels per mm."""


def text_of(pdf: bytes) -> str:
    document = PdfDocument(pdf)
    try:
        return str(document[0].get_textpage().get_text_range())
    finally:
        document.close()


def drawn() -> bytes:
    sheet = Sheet("a title")
    sheet.rectangle(Rect(20.0, 30.0, 10.0, 20.0), (255, 0, 0))
    sheet.picture(np.full((8, 4, 3), (0, 0, 255), np.uint8), Rect(100.0, 30.0, 10.0, 20.0))
    sheet.line([(50.0, 100.0), (150.0, 100.0)], Stroke((0, 128, 0), 3.0))
    sheet.text(20.0, 200.0, "42.6 cm³ ± 1°", Style())
    sheet.text(20.0, 210.0, "rimmed", Style(halo=(0, 0, 0)))
    return sheet.encoded()


def test_the_page_is_a4() -> None:
    picture = rasterised(drawn(), DPI)
    assert picture.mode == "RGB"
    assert abs(picture.width - 2 * WIDTH_MM) <= 1
    assert abs(picture.height - 2 * HEIGHT_MM) <= 1
    assert not picture.info


def test_places_are_millimetres_from_the_upper_left_corner() -> None:
    pixels = np.asarray(rasterised(drawn(), DPI)).astype(int)
    assert tuple(pixels[80, 50]) == (255, 0, 0)
    assert pixels[80, 210] @ (-1, -1, 1) > 240
    assert pixels[200, 200, 1] > pixels[200, 200, 0]
    assert tuple(pixels[56, 50]) == (255, 255, 255)


def test_text_can_be_selected() -> None:
    text = text_of(drawn())
    assert "42.6 cm³ ± 1°" in text
    assert "rimmed" in text


def test_a_rim_does_not_outlast_its_text() -> None:
    sheet = Sheet("")
    sheet.text(20.0, 20.0, "W", Style(40.0, (255, 255, 255), halo=(0, 0, 0)))
    sheet.text(20.0, 60.0, "W", Style(40.0, (255, 0, 0)))
    pixels = np.asarray(rasterised(sheet.encoded(), DPI)).astype(int)
    assert (pixels[90:125].sum(axis=2) < 100).sum() == 0


def test_a_line_ends_with_its_clip() -> None:
    sheet = Sheet("")
    clip = Rect(60.0, 90.0, 20.0, 20.0)
    sheet.line([(20.0, 100.0), (190.0, 100.0)], Stroke((0, 0, 0), 3.0), clip)
    pixels = np.asarray(rasterised(sheet.encoded(), DPI)).astype(int)
    dark = np.flatnonzero(pixels[200, :, 0] < 100)
    assert 118 <= dark[0] <= 122
    assert 157 <= dark[-1] <= 161


def test_the_same_drawing_gives_the_same_bytes_without_a_time() -> None:
    assert drawn() == drawn()
    assert b"femurct" in drawn()


def test_text_says_where_it_ends() -> None:
    sheet = Sheet("")
    end = sheet.text(20.0, 20.0, "mm", Style())
    assert 22 < end < 25
    assert sheet.text(20.0, 20.0, "mm", Style(), align=1.0) == 20.0


def test_long_text_is_wrapped() -> None:
    lines = wrapped("a word and " * 20, 50.0, Style())
    assert len(lines) > 2
    assert " ".join(lines).split() == ("a word and " * 20).split()
