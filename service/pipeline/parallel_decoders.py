"""JPEG-LS and JPEG 2000 by imagecodecs, as a decoder plugin of pydicom.

pydicom's own plugins for them hold Python's lock while they decode, so that threads gain nothing;
imagecodecs' leave it (CharLS and OpenJPEG, the same libraries). pydicom finds the frames and makes
the array of either's bytes.
"""

from __future__ import annotations

import imagecodecs
from pydicom.pixels.decoders.base import DecodeRunner, get_decoder
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

PLUGIN = "imagecodecs"
"""The plugin's name in pydicom."""

JPEG_2000 = (JPEG2000Lossless, JPEG2000)
SYNTAXES = (*JPEG_2000, JPEGLSLossless, JPEGLSNearLossless)

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
        ValueError: for a frame of another size than the header's.
    """
    is_2000 = runner.transfer_syntax in JPEG_2000
    decode = imagecodecs.jpeg2k_decode if is_2000 else imagecodecs.jpegls_decode
    samples = decode(source)
    runner.set_option("bits_allocated", 8 * samples.dtype.itemsize)
    if samples.shape != (runner.rows, runner.columns):
        raise ValueError(f"decodes to shape {samples.shape}")
    return bytes(samples.tobytes())
