"""One sheet of paper to draw on in millimetres from its upper left corner; PDF, and PDF as picture.

Text stays text (Helvetica, one of the fonts that every PDF reader has), lines stay lines.
"""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from pypdfium2 import PdfDocument
from reportlab import rl_config
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader, simpleSplit
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from service.artifacts.palette import Colour

WIDTH_MM, HEIGHT_MM = A4[0] / mm, A4[1] / mm

FONT, BOLD = "Helvetica", "Helvetica-Bold"

JPEG_QUALITY = 92
"""Of pictures on the sheet, colours not subsampled: differences are not to be seen."""

HALO_POINTS = 1.6
"""Width of the rim about text on a picture."""

POINTS_PER_INCH = 72.0


class Rect(NamedTuple):
    """A rectangle on the sheet, in mm from its upper left corner."""

    left: float
    top: float
    width: float
    height: float


class Style(NamedTuple):
    """How text is set; a ``halo`` rims it for a place on a picture."""

    size: float = 7.0
    colour: Colour = (20, 20, 20)
    bold: bool = False
    halo: Colour | None = None


class Stroke(NamedTuple):
    """How a line is drawn: width in points, dashes in points."""

    colour: Colour
    width: float = 0.6
    dashes: tuple[float, ...] = ()


class Sheet:
    """An A4 page in portrait.

    The PDF names neither a time nor an author, so that the same drawing gives the same bytes.
    """

    def __init__(self, title: str) -> None:
        # binary streams: to encode them as text costs a fifth of a page's time and of its size
        rl_config.useA85 = 0
        self._file = io.BytesIO()
        self._canvas = Canvas(self._file, pagesize=A4, invariant=1, pageCompression=1)
        self._canvas.setTitle(title)
        self._canvas.setAuthor("")
        self._canvas.setCreator("femurct")

    def picture(self, rgb: npt.NDArray[np.uint8], place: Rect) -> None:
        """Put a picture ``[rows, columns, 3]`` into a rectangle, stretched to fill it."""
        encoded = io.BytesIO()
        Image.fromarray(rgb).save(encoded, "JPEG", quality=JPEG_QUALITY, subsampling=0)
        encoded.seek(0)
        bottom = HEIGHT_MM - place.top - place.height
        self._canvas.drawImage(
            ImageReader(encoded), place.left * mm, bottom * mm, place.width * mm, place.height * mm
        )

    def rectangle(self, place: Rect, colour: Colour) -> None:
        """Fill a rectangle."""
        self._canvas.setFillColorRGB(*_shares(colour))
        bottom = HEIGHT_MM - place.top - place.height
        self._canvas.rect(
            place.left * mm, bottom * mm, place.width * mm, place.height * mm, stroke=0, fill=1
        )

    def line(self, points_mm: npt.ArrayLike, stroke: Stroke, clip: Rect | None = None) -> None:
        """Draw through points ``[n, 2]`` (x, y), only what lies in ``clip``."""
        xy = np.asarray(points_mm, dtype=np.float64) * mm
        canvas = self._canvas
        canvas.saveState()
        if clip is not None:
            frame = canvas.beginPath()
            bottom = HEIGHT_MM - clip.top - clip.height
            frame.rect(clip.left * mm, bottom * mm, clip.width * mm, clip.height * mm)
            canvas.clipPath(frame, stroke=0, fill=0)
        canvas.setStrokeColorRGB(*_shares(stroke.colour))
        canvas.setLineWidth(stroke.width)
        canvas.setDash(list(stroke.dashes))
        path = canvas.beginPath()
        path.moveTo(xy[0, 0], A4[1] - xy[0, 1])
        for x, y in xy[1:].tolist():
            path.lineTo(x, A4[1] - y)
        canvas.drawPath(path, stroke=1, fill=0)
        canvas.restoreState()

    def text(self, x: float, y: float, text: str, style: Style, align: float = 0.0) -> float:
        """Write one line on the baseline ``y``; returns the x where it ends.

        Args:
            x: where it begins (``align`` 0), has its middle (0.5) or ends (1).
            y: of the baseline.
            text: one line.
            style: how.
            align: 0 to 1.
        """
        font = BOLD if style.bold else FONT
        width = stringWidth(text, font, style.size) / mm
        start = x - align * width
        for rim in (style.halo, None) if style.halo is not None else (None,):
            self._canvas.saveState()
            self._canvas.setLineWidth(HALO_POINTS)
            self._canvas.setLineJoin(1)
            run = self._canvas.beginText(start * mm, A4[1] - y * mm)
            run.setFont(font, style.size)
            run.setTextRenderMode(0 if rim is None else 1)
            run.setStrokeColorRGB(*_shares(rim or style.colour))
            run.setFillColorRGB(*_shares(style.colour))
            run.textOut(text)
            self._canvas.drawText(run)
            self._canvas.restoreState()
        return start + width

    def encoded(self) -> bytes:
        """The PDF; nothing can be drawn afterwards."""
        self._canvas.showPage()
        self._canvas.save()
        return self._file.getvalue()


def wrapped(text: str, width_mm: float, style: Style) -> list[str]:
    """The lines that a text fills in a column of this width."""
    lines: list[str] = simpleSplit(text, BOLD if style.bold else FONT, style.size, width_mm * mm)
    return lines


def rasterised(pdf: bytes, dots_per_inch: float) -> Image.Image:
    """The first page of a PDF as an RGB picture without metadata."""
    document = PdfDocument(pdf)
    try:
        page = document[0]
        picture: Image.Image = page.render(scale=dots_per_inch / POINTS_PER_INCH).to_pil()
        return picture.convert("RGB")
    finally:
        document.close()


def _shares(colour: Colour) -> tuple[float, float, float]:
    red, green, blue = (channel / 255.0 for channel in colour)
    return red, green, blue
