"""What DICOM results keep of their CT, even where the CT is odd."""

from __future__ import annotations

import io
import logging
from dataclasses import replace

import pydicom
import pytest
from pydicom.dataset import Dataset

from service.artifacts.dicom_source import DicomSource
from service.domain.imaging import CtSeries, Member
from tests.builders.analyses import axial_geometry, source_series
from tests.builders.ct_series import PATIENT, PATIENT_ID, encode

SHAPE = (4, 6, 8)


def _series(change: dict[str, object]) -> CtSeries:
    """A series whose first file has these attributes, whatever they are."""
    series = source_series(axial_geometry(SHAPE))
    first, *others = series.slices
    ds = pydicom.dcmread(io.BytesIO(first.member.content))
    for keyword, value in change.items():
        ds.add_new(keyword, pydicom.datadict.dictionary_VR(keyword), value)
    changed = replace(first, member=Member(1, encode(ds)))
    return replace(series, slices=(changed, *others))


def _kept(series: CtSeries) -> Dataset:
    result = Dataset()
    DicomSource(series).keep_patient_and_study(result)
    return result


def test_patient_and_study_are_kept() -> None:
    kept = _kept(_series({"StudyDate": "20200102", "PatientSex": "F", "StudyID": "7"}))

    assert (kept.PatientName, kept.PatientID) == (PATIENT, PATIENT_ID)
    assert (kept.StudyDate, kept.PatientSex, kept.StudyID) == ("20200102", "F", "7")


def test_what_the_ct_lacks_is_there_and_empty() -> None:
    kept = _kept(_series({}))

    assert "AccessionNumber" in kept
    assert not kept.AccessionNumber
    assert "PatientAge" not in kept


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_a_malformed_value_is_kept_byte_for_byte_and_said_to_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    odd = {"PatientName": "Bono", "PatientBirthDate": "1.2.1960", "PatientSex": "X?"}
    with caplog.at_level(logging.DEBUG):
        kept = _kept(_series(odd))

    tags = [pydicom.tag.Tag(pydicom.datadict.tag_for_keyword(keyword)) for keyword in odd]
    found = [kept.get_item(tag).value.strip() for tag in tags]
    assert found == [value.encode() for value in odd.values()]
    assert "Bono" not in caplog.text


def test_names_in_another_character_set_stay_readable() -> None:
    kept = _kept(_series({"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Łoś^Żaneta"}))
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, kept, implicit_vr=False, little_endian=True)
    stream.seek(0)

    assert pydicom.dcmread(stream, force=True).PatientName == "Łoś^Żaneta"


def test_planes_are_the_slices() -> None:
    series = _series({})

    planes = DicomSource(series).planes

    assert [p.ct_slice for p in planes] == list(series.slices)
    assert [p.position_lps_mm for p in planes] == [s.position_lps_mm for s in series.slices]


def test_an_interpolated_plane_has_no_slice_but_a_place() -> None:
    """Slices at 0, 1 and 3 of a volume of 4."""
    series = _series({})
    gap = replace(
        series,
        slices=(*series.slices[:2], series.slices[3]),
        slice_places=(0.0, 1.0, 3.0),
    )

    planes = DicomSource(gap).planes

    assert [p.ct_slice is None for p in planes] == [False, False, True, False]
    assert planes[2].position_lps_mm == pytest.approx(series.slices[2].position_lps_mm)


def test_a_series_without_a_common_frame_of_reference_gets_a_new_one() -> None:
    series = replace(_series({}), frame_of_reference_uid="")

    assert DicomSource(series).frame_of_reference_uid
    assert DicomSource(_series({})).frame_of_reference_uid == _series({}).frame_of_reference_uid
