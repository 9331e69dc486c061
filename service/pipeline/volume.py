"""A validated CT series -> its volume in HU, decoded in parallel (PS3.5 8, PS3.3 C.7.6.3)."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.pixels.utils import pixel_array
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
from service.pipeline.parallel_decoders import plugin_for, register

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
        The volume on the series' grid: k ascending along row x column. Where the series has
        ``slice_places``, slices between them are interpolated linearly.

    Raises:
        SeriesError: ``truncated_pixel_data``, ``undecodable_pixel_data``, ``missing_tag``,
            ``invalid_tag``, ``corrupt_dicom``.
    """
    whole = all(
        s.rescale_slope.is_integer() and s.rescale_intercept.is_integer() for s in series.slices
    )
    shape = (len(series.slices), *series.geometry.shape_zyx[1:])
    files = _PixelFiles(series)
    hu: HuArray = np.empty(shape, np.int16)
    if not (whole and _fill(hu, series, files)):
        hu = np.empty(shape, np.float32)
        _fill(hu, series, files)
    if series.slice_places is not None:
        hu = _interpolated(hu, series.slice_places, series.geometry.shape_zyx[0])
    return CtVolume(hu, series.geometry)


class _PixelFiles:
    """Files parsed with their pixels: one of many frames once for all of them, others each time."""

    def __init__(self, series: CtSeries) -> None:
        whole_series = {s.member.position: s.member for s in series.slices if s.frame is not None}
        self._kept = {n: parse_dataset(member) for n, member in whole_series.items()}

    def header_of(self, ct_slice: CtSlice) -> Header:
        member = ct_slice.member
        kept = self._kept.get(member.position)
        return Header(member.position, parse_dataset(member) if kept is None else kept)


def _fill(hu: HuArray, series: CtSeries, files: _PixelFiles) -> bool:
    """Whether every slice fitted the array's type; stops at the first that does not."""

    def fill_slice(ct_slice: CtSlice, target: npt.NDArray[Any]) -> bool:
        stored, padding = _stored_values(files.header_of(ct_slice), ct_slice.frame, target.shape)
        return _rescale(ct_slice, stored, padding, target)

    register()
    # one filter around the whole pool: warning filters belong to the process, not to a thread
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter("ignore")
        return all(pool.map(fill_slice, series.slices, hu))


def _rescale(
    ct_slice: CtSlice,
    stored: npt.NDArray[np.integer[Any]],
    padding: npt.NDArray[np.bool_] | None,
    target: npt.NDArray[Any],
) -> bool:
    """HU of one slice into ``target`` [y, x]; false where they do not fit its type."""
    if target.dtype != np.int16:
        target[:] = stored * ct_slice.rescale_slope + ct_slice.rescale_intercept
    else:
        slope, intercept = int(ct_slice.rescale_slope), int(ct_slice.rescale_intercept)
        limits = np.iinfo(np.int16)
        within = stored if padding is None else stored[~padding]
        ends = (int(within.min()), int(within.max())) if within.size else (0, 0)
        if min(ends) * slope + intercept < limits.min or max(ends) * slope + intercept > limits.max:
            return False
        # modulo 2^16 all along, which is right where the result fits
        np.multiply(stored, slope, out=target, dtype=np.int16, casting="unsafe")
        target += np.int16((intercept - limits.min) % 2**16 + limits.min)
    if padding is not None:
        target[padding] = AIR_HU
    return True


def _interpolated(hu: HuArray, places: tuple[float, ...], count: int) -> HuArray:
    """Slices at ``places`` along z, linearly between neighbours at 0, 1, ... count - 1."""
    result: HuArray = np.empty((count, *hu.shape[1:]), hu.dtype)
    at = np.asarray(places)
    for k in range(count):
        upper = int(np.clip(np.searchsorted(at, k), 1, len(at) - 1))
        share = float(np.clip((k - at[upper - 1]) / (at[upper] - at[upper - 1]), 0.0, 1.0))
        plane = hu[upper - 1] * (1.0 - share) + hu[upper] * share
        result[k] = np.rint(plane) if hu.dtype == np.int16 else plane
    return result


def _stored_values(
    header: Header, frame: int | None, shape: tuple[int, ...]
) -> tuple[npt.NDArray[np.integer[Any]], npt.NDArray[np.bool_] | None]:
    """Stored values ``[y, x]`` as the header types them, and where they are padding."""
    _check_pixel_bytes(header, shape, 1 if frame is None else header.count("NumberOfFrames"))
    try:
        plugin = plugin_for(_transfer_syntax(header))
        stored = pixel_array(header.dataset, index=frame, raw=True, decoding_plugin=plugin)
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


def _padding(header: Header, stored: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bool_] | None:
    """Where pixels are Pixel Padding Value, or up to its range limit (PS3.3 C.7.5.1.1.2).

    None where the file names no such value, or no pixel has it.
    """
    if not header.optional_text("PixelPaddingValue"):
        return None
    bounds = header.numbers("PixelPaddingValue", 1)
    if header.optional_text("PixelPaddingRangeLimit"):
        bounds += header.numbers("PixelPaddingRangeLimit", 1)
    # a value written as the wrong one of US and SS is the same modulo the number of codes
    lowest, codes = np.iinfo(stored.dtype).min, 2 ** (8 * stored.dtype.itemsize)
    low, high = sorted((int(bound) - lowest) % codes + lowest for bound in (bounds[0], bounds[-1]))
    padding: npt.NDArray[np.bool_] = (stored >= low) & (stored <= high)
    return padding if padding.any() else None


def _check_pixel_bytes(header: Header, shape: tuple[int, ...], frames: int) -> None:
    """Enough bytes for the pixels; the transfer syntax is known."""
    dataset = header.dataset
    # raw: converting an element whose type is damaged raises
    element = dataset.get_item("PixelData")
    found = len(element.value or b"") if element is not None else 0
    syntax = _transfer_syntax(header)
    dataset.file_meta.TransferSyntaxUID = syntax
    needed = 1
    if syntax in NATIVE_SYNTAXES:
        needed = frames * shape[0] * shape[1] * header.count("BitsAllocated") // 8
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
