import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from service.pipeline.element_text import text_of

KEYWORDS = {
    "DS": "ImagePositionPatient",
    "CS": "ImageType",
    "LO": "SeriesDescription",
    "SH": "ConvolutionKernel",
    "UI": "SOPInstanceUID",
    "US": "Rows",
    None: "RescaleSlope",
}
BYTES = st.one_of(
    st.binary(max_size=8),
    st.lists(st.sampled_from(b" 1.-+eE\\0\0AZ_\n"), max_size=8).map(bytes),
)


def element(vr: str | None, value: bytes, keyword: str | None = None) -> Dataset:
    tag = Tag(keyword or KEYWORDS[vr])
    ds = Dataset()
    ds[tag] = RawDataElement(tag, vr, len(value), value, 0, vr is None, True)
    return ds


def converted(ds: Dataset, keyword: str) -> str | None:
    """As pydicom has it; None where it raises."""
    try:
        value = ds.get(keyword)
    except Exception:
        return None
    parts = [] if value is None else value if hasattr(value, "append") else [value]
    return "\\".join(str(part).strip() for part in parts)


def read(ds: Dataset, keyword: str) -> str | None:
    try:
        return text_of(ds, keyword)
    except Exception:
        return None


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(list(KEYWORDS)), BYTES)
def test_a_value_read_plainly_is_what_pydicom_converts_it_to(vr: str | None, value: bytes) -> None:
    keyword = KEYWORDS[vr]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = converted(element(vr, value), keyword)
        assert read(element(vr, value), keyword) == expected


@pytest.mark.parametrize(
    ("vr", "value", "text"),
    [
        ("DS", b"-1.5\\ 2e1\\+.5 ", "-1.5\\2e1\\+.5"),
        ("CS", b"ORIGINAL\\PRIMARY ", "ORIGINAL\\PRIMARY"),
        ("UI", b"1.2.3\0", "1.2.3"),
        ("US", b"\x00\x02", "512"),
        ("LO", b"H\xfcfte", "H\xfcfte"),
        ("DS", b"", ""),
        ("US", b"", ""),
    ],
)
def test_text_is_stripped_and_values_are_joined(vr: str, value: bytes, text: str) -> None:
    ds = element(vr, value)
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.set_original_encoding(False, True, "latin_1")
    assert text_of(ds, KEYWORDS[vr]) == text


def test_an_absent_element_has_no_text() -> None:
    assert text_of(Dataset(), "Rows") == ""
