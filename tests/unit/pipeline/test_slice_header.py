import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from tests.builders.ct_series import (
    PATIENT,
    ct_members,
)
from tests.builders.refusals import refusal

TRUNCATED_NUMBER = "1" * 70 + "x"


@pytest.mark.parametrize(
    "keyword",
    [
        "RescaleSlope", "RescaleIntercept", "ImagePositionPatient", "ImageOrientationPatient",
        "PixelSpacing", "Rows", "Columns", "SeriesInstanceUID", "SOPInstanceUID",
        "StudyInstanceUID", "SamplesPerPixel", "PhotometricInterpretation",
    ],
)  # fmt: skip
def test_a_missing_tag_is_named_with_its_file(keyword: str) -> None:
    def change(slices: list[Dataset]) -> None:
        delattr(slices[2], keyword)

    caught = refusal(ct_members(change=change))
    assert caught.code == "missing_tag"
    assert str(caught).startswith("file 3: tag (")


def test_missing_rescale_is_never_guessed() -> None:
    def change(slices: list[Dataset]) -> None:
        for ds in slices:
            del ds.RescaleSlope

    caught = refusal(ct_members(change=change))
    assert "file 1: tag (0028,1053) Rescale Slope is missing" in str(caught)


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("RescaleSlope", "0"), ("RescaleSlope", "-1"), ("RescaleSlope", "nan"),
        ("RescaleSlope", "1e300"), ("RescaleSlope", "1_0"), ("RescaleIntercept", "-1e300"),
        ("ImagePositionPatient", "0\\0\\1e300"), ("PixelSpacing", "1e-30\\1e-30"),
        ("RescaleSlope", "Doe Jane"), ("RescaleSlope", "1\\1"), ("RescaleSlope", "one"),
        ("RescaleIntercept", "inf"),
        ("RescaleIntercept", PATIENT), ("RescaleIntercept", TRUNCATED_NUMBER),
        ("PixelSpacing", "0.5"), ("PixelSpacing", "0\\0.5"), ("PixelSpacing", "-0.5\\0.5"),
        ("PixelSpacing", "nan\\0.5"), ("ImagePositionPatient", "0\\0"),
        ("ImagePositionPatient", "0\\0\\inf"), ("ImageOrientationPatient", "1\\0\\0"),
        ("ImageOrientationPatient", "0\\0\\0\\0\\0\\0"),
        ("ImageOrientationPatient", "1\\0\\0\\1\\0\\0"),
        ("ImageOrientationPatient", "2\\0\\0\\0\\1\\0"),
        ("NumberOfFrames", "2"), ("RescaleType", "MGML"), ("PhotometricInterpretation", "RGB"),
    ],
)  # fmt: skip
def test_an_impossible_value_is_refused_by_its_tag(keyword: str, text: str) -> None:
    def change(slices: list[Dataset]) -> None:
        tag = Tag(keyword)
        vr = {"RescaleType": "LO", "PhotometricInterpretation": "CS", "NumberOfFrames": "IS"}
        raw = text.encode().ljust(len(text) + len(text) % 2)
        slices[1][tag] = RawDataElement(tag, vr.get(keyword, "DS"), len(raw), raw, 0, False, True)

    caught = refusal(ct_members(change=change))
    assert caught.code == "invalid_tag"
    assert str(caught).startswith("file 2: tag (")
