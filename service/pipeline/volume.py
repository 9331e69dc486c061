"""A validated CT series -> its volume in HU, decoded in parallel (PS3.5 8, PS3.3 C.7.6.3)."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import FileDataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from service.domain.imaging import CtSeries, CtSlice, CtVolume
from service.errors import SeriesError
from service.pipeline.dicom_header import parse_dataset
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
StoredArray = npt.NDArray[np.integer[Any]]


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
    hu: HuArray = np.empty(shape, np.int16)
    if not (whole and _fill(hu, series)):
        hu = np.empty(shape, np.float32)
        _fill(hu, series)
    if series.slice_places is not None:
        hu = _interpolated(hu, series.slice_places, series.geometry.shape_zyx[0])
    return CtVolume(hu, series.geometry)


class _EncodedPixels:
    """The pixels' bytes, found by slice; nothing of a file of one slice is kept or copied."""

    def __init__(self, series: CtSeries) -> None:
        of_frames = {s.member.position: s.member for s in series.slices if s.frame is not None}
        self._parsed = {n: parse_dataset(member) for n, member in of_frames.items()}

    def of(self, ct_slice: CtSlice) -> memoryview | FileDataset:
        """The bytes, or the parsed file, where only pydicom finds them in it."""
        member, pixels = ct_slice.member, ct_slice.pixels
        if pixels.length is not None:
            return memoryview(member.content)[pixels.begin : pixels.begin + pixels.length]
        parsed = self._parsed.get(member.position)
        return parse_dataset(member) if parsed is None else parsed


def _fill(hu: HuArray, series: CtSeries) -> bool:
    """Whether every slice fitted the array's type; stops at the first that does not."""
    encoded = _EncodedPixels(series)

    def fill_slice(ct_slice: CtSlice, target: npt.NDArray[Any]) -> bool:
        stored = _stored_values(ct_slice, encoded.of(ct_slice), target.shape)
        return _rescale(ct_slice, stored, target)

    register()
    # one filter around the whole pool: warning filters belong to the process, not to a thread
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter("ignore")
        return all(pool.map(fill_slice, series.slices, hu))


def _rescale(ct_slice: CtSlice, stored: StoredArray, target: npt.NDArray[Any]) -> bool:
    """HU of one slice into ``target`` [y, x]; false where they do not fit its type."""
    padding = _padding(stored, ct_slice.pixels.padding)
    if target.dtype != np.int16:
        target[:] = stored * ct_slice.rescale_slope + ct_slice.rescale_intercept
    else:
        slope, intercept = int(ct_slice.rescale_slope), int(ct_slice.rescale_intercept)
        if not _fits(stored, slope, intercept) and (
            padding is None or not _fits(stored[~padding], slope, intercept)
        ):
            return False
        # modulo 2^16 all along, which is right where the result fits
        target[:] = stored
        target *= np.int16(slope)
        target += np.int16((intercept + 2**15) % 2**16 - 2**15)
    if padding is not None:
        np.copyto(target, AIR_HU, where=padding)
    return True


def _fits(stored: StoredArray, slope: int, intercept: int) -> bool:
    """Whether HU fit int16; those of no pixels do."""
    limits = np.iinfo(np.int16)
    ends = (int(stored.min()), int(stored.max())) if stored.size else (0, 0)
    return bool(
        limits.min <= min(ends) * slope + intercept and max(ends) * slope + intercept <= limits.max
    )


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
    ct_slice: CtSlice, source: memoryview | FileDataset, shape: tuple[int, ...]
) -> StoredArray:
    """Stored values ``[y, x]`` as the header types them; a view of bare bytes where it can be."""
    pixels, syntax = ct_slice.pixels, UID(ct_slice.pixels.transfer_syntax_uid)
    frames = int(source.get("NumberOfFrames") or 1) if isinstance(source, FileDataset) else 1
    bare_bytes = frames * shape[0] * shape[1] * pixels.bits_allocated // 8
    _check_length(ct_slice, source, bare_bytes if syntax in NATIVE_SYNTAXES else 1)
    try:
        is_view = isinstance(source, memoryview) and syntax not in NATIVE_SYNTAXES
        decoder: Any = get_decoder(syntax)  # its type hints take no single option
        stored: StoredArray = decoder.as_array(
            bytes(source) if is_view else source,
            index=ct_slice.frame,
            raw=True,
            decoding_plugin=plugin_for(syntax),
            pixel_keyword="PixelData",
            rows=shape[0],
            columns=shape[1],
            number_of_frames=frames,
            samples_per_pixel=1,
            photometric_interpretation="MONOCHROME2",
            bits_allocated=pixels.bits_allocated,
            bits_stored=pixels.bits_stored,
            pixel_representation=int(pixels.is_signed),
            # unused bits cannot be masked in a view
            view_only=pixels.bits_stored == pixels.bits_allocated,
        )[0]
    except BaseException as error:  # a panic of a decoder in Rust is no Exception
        raise SeriesError(
            f"file {ct_slice.member.position}: pixel data in transfer syntax {syntax.name} cannot "
            f"be decoded ({type(error).__name__}); send the file again, or uncompressed (Explicit "
            "VR Little Endian)",
            code="undecodable_pixel_data",
        ) from error
    if stored.shape != shape:
        raise SeriesError(
            f"file {ct_slice.member.position}: pixel data decode to shape {stored.shape}, the "
            f"header says {shape}; send the file again",
            code="undecodable_pixel_data",
        )
    return stored


def _padding(stored: StoredArray, bounds: tuple[int, ...]) -> npt.NDArray[np.bool_] | None:
    """Where pixels are Pixel Padding Value, or up to its range limit (PS3.3 C.7.5.1.1.2).

    None where the file names no such value, or no pixel has it.
    """
    if not bounds:
        return None
    # a value written as the wrong one of US and SS is the same modulo the number of codes
    lowest, codes = np.iinfo(stored.dtype).min, 2 ** (8 * stored.dtype.itemsize)
    low, high = sorted((bound - lowest) % codes + lowest for bound in (bounds[0], bounds[-1]))
    padding: npt.NDArray[np.bool_] = (stored >= low) & (stored <= high)
    return padding if padding.any() else None


def _check_length(ct_slice: CtSlice, source: memoryview | FileDataset, needed: int) -> None:
    """Enough bytes for the pixels, as far as their number is known beforehand."""
    if isinstance(source, FileDataset):
        # raw: converting an element whose type is damaged raises
        element = source.get_item("PixelData")
        found = len(element.value or b"") if element is not None else 0
    else:
        found = len(source)
    if found < needed:
        raise SeriesError(
            f"file {ct_slice.member.position}: {found} bytes of pixel data found, {needed} needed; "
            "the file is cut off: send it again whole",
            code="truncated_pixel_data",
        )
