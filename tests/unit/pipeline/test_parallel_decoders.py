import io
import struct

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import pixel_array
from pydicom.uid import UID, JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from service.pipeline.parallel_decoders import PLUGIN, plugin_for, register
from tests.builders.ct_series import CtSeriesSpec, build_slices, encode, ramp

STORED = {
    "signed": ramp((1, 32, 40)) - 700,
    "unsigned": (ramp((1, 32, 40)).astype(int) + 40000).astype(np.uint16),
    "12 bits": ramp((1, 32, 40)),
    "8 bits": (ramp((1, 32, 40)) % 256).astype(np.uint8),
}
BITS = {"12 bits": 12, "8 bits": 8}
syntaxes = pytest.mark.parametrize(
    "syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=lambda syntax: syntax.keyword
)


@syntaxes
@pytest.mark.parametrize("kind", STORED)
def test_pixels_come_out_as_they_went_in(syntax: UID, kind: str) -> None:
    register()
    spec = CtSeriesSpec(stored=STORED[kind], bits_stored=BITS.get(kind, 16))
    ds = pydicom.dcmread(io.BytesIO(encode(build_slices(spec)[0], syntax)))
    found = pixel_array(ds, raw=True, decoding_plugin=plugin_for(syntax))
    assert found.dtype == STORED[kind].dtype
    np.testing.assert_array_equal(found, STORED[kind][0])


def test_other_syntaxes_are_left_to_pydicom() -> None:
    assert plugin_for(JPEGLosslessSV1) == ""
    assert plugin_for(RLELossless) == PLUGIN


def _rle_segments() -> tuple[pydicom.Dataset, list[bytes]]:
    ds = pydicom.dcmread(
        io.BytesIO(encode(build_slices(CtSeriesSpec(stored=STORED["signed"]))[0], RLELossless))
    )
    frame = next(generate_frames(ds.PixelData, number_of_frames=1))
    _, first, second = struct.unpack_from("<3L", frame)
    return ds, [frame[first:second], frame[second:]]


def _decoded(ds: pydicom.Dataset, segments: list[bytes], offsets: list[int]) -> np.ndarray:
    header = struct.pack("<16L", 2, *offsets, *[0] * (15 - len(offsets)))
    ds.PixelData = encapsulate([header + b"".join(segments)])
    register()
    return pixel_array(ds, raw=True, decoding_plugin=PLUGIN)


@pytest.mark.parametrize("padding", [b"", bytes(2), bytes(4), b"\x80\x80"])
def test_padding_after_an_rle_segment_changes_nothing(padding: bytes) -> None:
    ds, (high, low) = _rle_segments()
    found = _decoded(ds, [high + padding, low + padding], [64, 64 + len(high + padding)])
    np.testing.assert_array_equal(found, STORED["signed"][0])


@pytest.mark.parametrize("offsets", [[64, 2**31], [64, 0], [2**32 - 1, 64], [64, 64], [0, 0]])
def test_rle_segments_outside_the_frame_are_refused(offsets: list[int]) -> None:
    ds, segments = _rle_segments()
    with pytest.raises(RuntimeError, match="all available plugins"):
        _decoded(ds, segments, offsets)
