"""What one CT image says of itself, checked: place, size and meaning of its stored values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from service.domain.imaging import CtSlice, Member
from service.pipeline.dicom_header import Header
from service.pipeline.stored_pixels import read_stored_pixels

UNIT_TOLERANCE = 1e-3
"""How far direction cosines may be from unit length and right angle (PS3.3 C.7.6.2)."""

PIXEL_MM = (0.01, 5.0)
"""Pixel spacing of any CT, with room on both sides."""

MAX_POSITION_MM = 100_000.0
"""Farther from its origin no scanner's table moves."""

MAX_SLOPE = 1000.0
"""HU per stored step; 8-bit copies of CT have about 32."""

MAX_INTERCEPT_HU = 100_000.0
"""HU of stored value 0, either sign; scanners use -1024 or 0, extended ranges -10240."""

GREYSCALE = ("MONOCHROME1", "MONOCHROME2")
"""Both store the same values; MONOCHROME1 only asks a screen to invert them (PS3.3 C.7.6.3.1.2)."""


@dataclass(frozen=True, eq=False)
class SliceHeader:
    """A slice and what it must share with its neighbours.

    Attributes:
        ct_slice: what decoding needs.
        orientation: float64 ``[6]``, unit cosines of row and column direction, in LPS.
        spacing_mm: between rows, between columns (PS3.3 10.7.1.3).
        shape: rows, columns.
        study_instance_uid: as in the file.
        frame_of_reference_uid, patient_position: as in the file, may be empty.
    """

    ct_slice: CtSlice
    orientation: npt.NDArray[np.float64]
    spacing_mm: tuple[float, float]
    shape: tuple[int, int]
    frame_of_reference_uid: str
    study_instance_uid: str
    patient_position: str

    @cached_property
    def normal(self) -> npt.NDArray[np.float64]:
        """Unit vector along row x column, in LPS."""
        return np.cross(self.orientation[:3], self.orientation[3:])

    @cached_property
    def depth_mm(self) -> float:
        """Where the slice lies along its normal."""
        return float(self.normal @ self.ct_slice.position_lps_mm)


def read_slice_header(member: Member, header: Header, frame: int | None = None) -> SliceHeader:
    """All that a slice needs before its pixels are looked at.

    Args:
        member: the file.
        header: of the file, or of one frame of it (see ``enhanced_ct``).
        frame: which frame, from 0; None for a file that holds one slice.

    Raises:
        SeriesError: ``missing_tag`` or ``invalid_tag``, naming file position and tag.
    """
    _check_pixel_meaning(header)
    x, y, z = header.numbers("ImagePositionPatient", 3)
    if max(abs(x), abs(y), abs(z)) > MAX_POSITION_MM:
        raise header.invalid("ImagePositionPatient", f"at most {MAX_POSITION_MM:g} mm")
    row_mm, column_mm = header.numbers("PixelSpacing", 2)
    low, high = PIXEL_MM
    if min(row_mm, column_mm) < low or max(row_mm, column_mm) > high:
        raise header.invalid("PixelSpacing", f"two numbers from {low:g} to {high:g} mm")
    (slope,) = header.numbers("RescaleSlope", 1)
    if not 0 < slope <= MAX_SLOPE:
        raise header.invalid("RescaleSlope", f"a number above 0 and up to {MAX_SLOPE:g}")
    (intercept,) = header.numbers("RescaleIntercept", 1)
    if abs(intercept) > MAX_INTERCEPT_HU:
        raise header.invalid("RescaleIntercept", f"at most {MAX_INTERCEPT_HU:g} HU, either sign")
    return SliceHeader(
        ct_slice=CtSlice(
            member=member,
            sop_instance_uid=header.text("SOPInstanceUID"),
            position_lps_mm=(x, y, z),
            rescale_slope=slope,
            rescale_intercept=intercept,
            frame=frame,
            pixels=read_stored_pixels(member, header, frame),
        ),
        orientation=_orientation(header),
        spacing_mm=(row_mm, column_mm),
        shape=(header.count("Rows"), header.count("Columns")),
        frame_of_reference_uid=header.optional_text("FrameOfReferenceUID"),
        study_instance_uid=header.text("StudyInstanceUID"),
        patient_position=header.optional_text("PatientPosition"),
    )


def _orientation(header: Header) -> npt.NDArray[np.float64]:
    cosines = np.array(header.numbers("ImageOrientationPatient", 6))
    row, column = cosines[:3], cosines[3:]
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if max(abs(length - 1) for length in lengths) > UNIT_TOLERANCE or (
        abs(row @ column) > UNIT_TOLERANCE
    ):
        raise header.invalid(
            "ImageOrientationPatient", "two directions of unit length at right angles"
        )
    return np.concatenate([row / lengths[0], column / lengths[1]])


def _check_pixel_meaning(header: Header) -> None:
    """One greyscale sample per pixel, one frame, rescaled to HU (PS3.3 C.8.2.1)."""
    if header.numbers("SamplesPerPixel", 1) != (1,):
        raise header.invalid("SamplesPerPixel", "1")
    if header.text("PhotometricInterpretation") not in GREYSCALE:
        raise header.invalid("PhotometricInterpretation", " or ".join(GREYSCALE))
    if header.optional_text("NumberOfFrames") not in ("", "1"):
        raise header.invalid("NumberOfFrames", "1, or absent, in a CT Image Storage file")
    if header.optional_text("RescaleType") not in ("", "HU"):
        raise header.invalid("RescaleType", "HU, or absent")
