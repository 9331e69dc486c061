import pytest
from pydicom.dataelem import DataElement
from pydicom.uid import DeflatedExplicitVRLittleEndian

from service.domain.imaging import Member
from service.pipeline.series import read_series
from tests.builders.ct_series import CtSeriesSpec, build_slices, ct_members, encode
from tests.builders.refusals import refusal


def test_a_file_without_preamble_is_read() -> None:
    # File meta information ends where SOP Class UID (0008,0016), or Image Type, begins
    members = [
        Member(m.position, m.content[m.content.index(b"\x08\x00\x08\x00CS") :])
        for m in ct_members()
    ]
    assert len(read_series(members).slices) == 4


@pytest.mark.parametrize("length", [140, 200, 300, 400, 500])
def test_a_file_cut_off_in_its_header_is_refused(length: int) -> None:
    members = ct_members()
    members[1] = Member(2, members[1].content[:length])
    assert refusal(members).code in ("corrupt_dicom", "missing_tag")


def test_a_bomb_in_a_deflated_data_set_is_refused() -> None:
    ds = build_slices(CtSeriesSpec())[0]
    ds.add(DataElement(0x00091001, "OB", bytes(70_000_000)))
    bomb = Member(5, encode(ds, DeflatedExplicitVRLittleEndian))
    assert len(bomb.content) < 100_000
    assert refusal([*ct_members(), bomb]).code == "corrupt_dicom"
