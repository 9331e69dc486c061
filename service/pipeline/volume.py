"""A validated CT series -> its volume in HU, decoded in parallel (PS3.5 8, PS3.3 C.7.6.3)."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from service.domain.imaging import CtSeries, CtSlice, CtVolume
from service.errors import SeriesError
from service.pipeline.dicom_header import Header, parse_dataset

AIR_HU = -1024
"""Written where the scanner marks a pixel as padding: air, as outside the reconstructed circle."""

NATIVE_SYNTAXES = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)
"""Pixels lie bare in the data set, so their number of bytes is known beforehand (PS3.5 A.1-A.5)."""

HuArray = npt.NDArray[np.int16] | npt.NDArray[np.float32]


def read_volume(series: CtSeries) -> CtVolume:
    """Decode and rescale every slice.

    HU are int16 where all slopes and intercepts are whole numbers and all values fit, else float32.
    Memory: the upload, the volume, and one slice per thread.

    Args:
        series: from ``read_series``.

    Returns:
        The volume on the source grid: k ascending along row x column.

    Raises:
        SeriesError: ``truncated_pixel_data``, ``undecodable_pixel_data``, ``missing_tag``,
            ``invalid_tag``, ``corrupt_dicom``.
    """
    whole = all(
        s.rescale_slope.is_integer() and s.rescale_intercept.is_integer() for s in series.slices
    )
    shape = series.geometry.shape_zyx
    if whole and _fill(hu := np.empty(shape, np.int16), series):
        return CtVolume(hu, series.geometry)
    _fill(exact := np.empty(shape, np.float32), series)
    return CtVolume(exact, series.geometry)


def _fill(hu: HuArray, series: CtSeries) -> bool:
    """Whether every slice fitted the array's type; stops at the first that does not."""
    # one filter around the whole pool: warning filters belong to the process, not to a thread
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter("ignore")
        return all(pool.map(_fill_slice, series.slices, hu))


def _fill_slice(ct_slice: CtSlice, target: npt.NDArray[Any]) -> bool:
    """Rescale one slice into ``target`` [y, x]; false where it does not fit the type."""
    stored, padding = _stored_values(ct_slice, target.shape)
    if target.dtype == np.int16:
        values = stored.astype(np.int64) * int(ct_slice.rescale_slope)
        values += int(ct_slice.rescale_intercept)
        values[padding] = AIR_HU
        limits = np.iinfo(np.int16)
        if values.min() < limits.min or values.max() > limits.max:
            return False
        target[:] = values
    else:
        target[:] = stored * ct_slice.rescale_slope + ct_slice.rescale_intercept
        target[padding] = AIR_HU
    return True


def _stored_values(
    ct_slice: CtSlice, shape: tuple[int, ...]
) -> tuple[npt.NDArray[np.integer[Any]], npt.NDArray[np.bool_]]:
    """Stored values ``[y, x]`` as the header types them, and where they are padding."""
    dataset = parse_dataset(ct_slice.member)
    header = Header(ct_slice.member.position, dataset)
    _check_pixel_bytes(header, shape)
    try:
        stored = dataset.pixel_array
    except BaseException as error:  # a panic of the RLE decoder (Rust) is no Exception
        raise SeriesError(
            f"file {header.position}: pixel data in transfer syntax "
            f"{_transfer_syntax(header).name} cannot be decoded ({type(error).__name__}); send "
            "the file again, or uncompressed (Explicit VR Little Endian)",
            code="undecodable_pixel_data",
        ) from error
    if stored.shape != shape:
        raise SeriesError(
            f"file {header.position}: pixel data decode to shape {stored.shape}, the header says "
            f"{shape}; send the file again",
            code="undecodable_pixel_data",
        )
    if header.numbers("HighBit", 1) != (header.count("BitsStored") - 1,):
        raise header.invalid("HighBit", "one below (0028,0101) Bits Stored")
    return stored, _padding(header, stored)


def _padding(header: Header, stored: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bool_]:
    """Where pixels are Pixel Padding Value, or up to its range limit (PS3.3 C.7.5.1.1.2)."""
    if not header.optional_text("PixelPaddingValue"):
        return np.zeros(stored.shape, np.bool_)
    bounds = header.numbers("PixelPaddingValue", 1)
    if header.optional_text("PixelPaddingRangeLimit"):
        bounds += header.numbers("PixelPaddingRangeLimit", 1)
    # a value written as the wrong one of US and SS is the same modulo the number of codes
    lowest, codes = np.iinfo(stored.dtype).min, 2 ** (8 * stored.dtype.itemsize)
    low, high = sorted((int(bound) - lowest) % codes + lowest for bound in (bounds[0], bounds[-1]))
    padding: npt.NDArray[np.bool_] = (stored >= low) & (stored <= high)
    return padding


def _check_pixel_bytes(header: Header, shape: tuple[int, ...]) -> None:
    """Enough bytes for the pixels; the transfer syntax is known."""
    dataset = header.dataset
    # raw: converting an element whose type is damaged raises
    element = dataset.get_item("PixelData")
    found = len(element.value or b"") if element is not None else 0
    syntax = _transfer_syntax(header)
    dataset.file_meta.TransferSyntaxUID = syntax
    needed = 1
    if syntax in NATIVE_SYNTAXES:
        needed = shape[0] * shape[1] * header.count("BitsAllocated") // 8
    if found < needed:
        raise SeriesError(
            f"file {header.position}: {found} bytes of pixel data found, {needed} needed; the file "
            "is cut off: send it again whole",
            code="truncated_pixel_data",
        )


def _transfer_syntax(header: Header) -> UID:
    """As the file says; where it has no file meta information, as it was parsed."""
    named = header.meta_text("TransferSyntaxUID")
    if named:
        return UID(named)
    implicit, _ = header.dataset.original_encoding
    return ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
