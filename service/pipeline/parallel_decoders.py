"""RLE, JPEG-LS and JPEG 2000 by imagecodecs, as a decoder plugin of pydicom.

pydicom's own plugins for them hold Python's lock while they decode, so that threads gain nothing;
imagecodecs' leave it (its JPEG-LS and JPEG 2000 are the same libraries, CharLS and OpenJPEG).
pydicom finds the frames and makes the array of either's bytes.
"""

from __future__ import annotations

import itertools
import struct

import imagecodecs
import numpy as np
import numpy.typing as npt
from pydicom.pixels.decoders.base import DecodeRunner, get_decoder
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

PLUGIN = "imagecodecs"
"""The plugin's name in pydicom."""

JPEG_2000 = (JPEG2000Lossless, JPEG2000)
SYNTAXES = (*JPEG_2000, JPEGLSLossless, JPEGLSNearLossless, RLELossless)

RLE_HEADER = struct.Struct("<16L")
"""Number of segments and the offset of each, at most 15 (PS3.5 G.5)."""

RLE_PADDING = 8
"""Bytes after a segment at most; the standard has one, which makes its length even."""

DECODER_DEPENDENCIES = dict.fromkeys(SYNTAXES, ("numpy", "imagecodecs"))
"""pydicom asks a plugin for this name."""


def register() -> None:
    """Make the plugin known to pydicom, once; not by several threads at the same time."""
    for syntax in SYNTAXES:
        decoder = get_decoder(syntax)
        if PLUGIN not in decoder.available_plugins:
            decoder.add_plugin(PLUGIN, (__name__, "decode_frame"))


def plugin_for(syntax: UID) -> str:
    """The plugin to decode with, once registered; empty where pydicom is to choose."""
    return PLUGIN if syntax in SYNTAXES else ""


def is_available(syntax: str) -> bool:
    """Whether the plugin decodes a transfer syntax; pydicom asks."""
    return syntax in SYNTAXES


def decode_frame(source: bytes, runner: DecodeRunner) -> bytes:
    """One frame's samples as little endian bytes; pydicom calls it.

    Raises:
        RuntimeError: imagecodecs' own errors, for a damaged frame.
        ValueError, struct.error: for a frame of another size than the header's.
    """
    if runner.transfer_syntax == RLELossless:
        return _decode_rle(source, runner)
    is_2000 = runner.transfer_syntax in JPEG_2000
    decode = imagecodecs.jpeg2k_decode if is_2000 else imagecodecs.jpegls_decode
    samples = decode(source)
    runner.set_option("bits_allocated", 8 * samples.dtype.itemsize)
    if samples.shape != (runner.rows, runner.columns):
        raise ValueError(f"decodes to shape {samples.shape}")
    return bytes(samples.tobytes())


def _decode_rle(source: bytes, runner: DecodeRunner) -> bytes:
    """Segments, each a byte of every sample, the most significant first (PS3.5 G.2)."""
    pixels, size = runner.rows * runner.columns, runner.bits_allocated // 8
    number, *offsets = RLE_HEADER.unpack_from(source)
    if number != size:
        raise ValueError(f"{number} segments instead of {size}")
    samples = np.empty((pixels, size), np.uint8)
    for place, (begin, end) in enumerate(itertools.pairwise([*offsets[:size], len(source)])):
        samples[:, size - 1 - place] = _rle_segment(source[begin:end], pixels)
    return bytes(samples.tobytes())


def _rle_segment(encoded: bytes, pixels: int) -> npt.NDArray[np.uint8]:
    """Exactly so many bytes; only padding may follow what encodes them.

    Raises:
        ValueError: for fewer, or more.
    """
    padding = min(RLE_PADDING, len(encoded) - len(encoded.rstrip(b"\0\x80")))
    for end in range(len(encoded), len(encoded) - padding - 1, -1):
        try:
            decoded = imagecodecs.packbits_decode(encoded[:end], out=pixels)
        except RuntimeError:
            continue
        if len(decoded) == pixels:
            return np.frombuffer(decoded, np.uint8)
    raise ValueError(f"a segment is not of {pixels} pixels")
