import io

import numpy as np
import pydicom
import pytest
from pydicom.pixels import pixel_array
from pydicom.uid import UID, JPEG2000Lossless, JPEGLSLossless, RLELossless

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
    "syntax", [JPEGLSLossless, JPEG2000Lossless], ids=lambda syntax: syntax.keyword
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
    assert plugin_for(RLELossless) == ""
    assert plugin_for(JPEG2000Lossless) == PLUGIN
