from dataclasses import replace

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    EnhancedCTImageStorage,
    MediaStorageDirectoryStorage,
    MRImageStorage,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from service.domain.imaging import Member
from service.pipeline.series import MIN_SLICES, read_series
from tests.builders.ct_series import (
    ROOT,
    CtSeriesSpec,
    build_slices,
    ct_members,
    ramp,
    to_members,
)
from tests.builders.refusals import refusal


def test_an_axial_series_lies_where_its_tags_say() -> None:
    series = read_series(ct_members())
    assert series.geometry.shape_zyx == (4, 5, 6)
    assert series.geometry.affine_lps.tolist() == [
        [0.75, 0, 0, -10],
        [0, 0.5, 0, -20],
        [0, 0, 2, 30],
        [0, 0, 0, 1],
    ]
    assert (series.series_instance_uid, series.patient_position) == (ROOT + "1", "HFS")
    assert (series.study_instance_uid, series.frame_of_reference_uid) == (ROOT + "9", ROOT + "8")
    assert series.set_aside == 0


def test_what_is_no_ct_slice_is_set_aside_and_counted() -> None:
    slices = build_slices(CtSeriesSpec())
    others = build_slices(replace(CtSeriesSpec(stored=ramp((7, 5, 6))), series_uid=ROOT + "2"))
    others[0].ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    others[1].ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    others[2].SOPClassUID, others[2].Modality = SecondaryCaptureImageStorage, "OT"
    others[3].SOPClassUID, others[3].Modality = MRImageStorage, "MR"
    others[4].SOPClassUID = MediaStorageDirectoryStorage
    stray = [Member(50, b"readme"), Member(51, b""), Member(52, b"\x08\x00" + bytes(200))]
    series = read_series([*to_members([*others, *slices]), *stray])
    assert series.series_instance_uid == ROOT + "1"
    assert series.set_aside == len(others) + len(stray)


def test_frames_of_reference_that_differ_leave_none() -> None:
    def change(slices: list[Dataset]) -> None:
        for ds in slices:
            ds.FrameOfReferenceUID = generate_uid()

    assert read_series(ct_members(change=change)).frame_of_reference_uid == ""


@pytest.mark.parametrize("members", [[], [Member(1, b"readme")], [Member(1, bytes(500))]])
def test_no_dicom(members: list[Member]) -> None:
    assert refusal(members).code == "no_dicom"


def test_no_ct_names_what_is_there() -> None:
    def change(slices: list[Dataset]) -> None:
        for ds in slices:
            ds.SOPClassUID, ds.Modality = MRImageStorage, "MR"

    caught = refusal(ct_members(change=change))
    assert caught.code == "no_ct_series"
    assert "4 MR" in str(caught)


def test_enhanced_ct_is_refused_by_name() -> None:
    def change(slices: list[Dataset]) -> None:
        for ds in slices:
            ds.SOPClassUID = EnhancedCTImageStorage

    assert refusal(ct_members(change=change)).code == "enhanced_ct_unsupported"


def _two_series() -> list[Member]:
    first = build_slices(CtSeriesSpec())
    second = build_slices(CtSeriesSpec(stored=ramp((5, 5, 6)), series_uid=ROOT + "2"))
    return to_members(first + second)


def test_of_several_series_none_is_guessed() -> None:
    caught = refusal(_two_series())
    assert caught.code == "several_series"
    assert f"{ROOT}1 (4 slices), {ROOT}2 (5 slices)" in str(caught)


def test_the_uid_picks_one_of_several_series() -> None:
    series = read_series(_two_series(), series_instance_uid=ROOT + "2")
    assert (len(series.slices), series.set_aside) == (5, 4)


def test_an_unknown_uid_is_not_found() -> None:
    assert refusal(_two_series(), "1.2.3").code == "series_not_found"


def test_a_defect_in_a_series_not_chosen_does_no_harm() -> None:
    other = build_slices(CtSeriesSpec(series_uid=ROOT + "2"))
    del other[0].RescaleSlope
    members = to_members(build_slices(CtSeriesSpec()) + other)
    assert len(read_series(members, series_instance_uid=ROOT + "1").slices) == 4


@pytest.mark.parametrize("number", range(1, MIN_SLICES))
def test_fewer_slices_than_the_minimum_make_no_volume(number: int) -> None:
    assert refusal(ct_members()[:number]).code == "too_few_slices"
    assert refusal(ct_members()[:number], ROOT + "1").code == "too_few_slices"


def test_copies_do_not_make_up_the_minimum() -> None:
    ds = build_slices(CtSeriesSpec())[0]
    assert refusal(to_members([ds] * MIN_SLICES)).code == "too_few_slices"


def test_two_stacks_in_one_series_are_not_merged() -> None:
    axial = build_slices(CtSeriesSpec())
    coronal = build_slices(CtSeriesSpec(orientation=(1, 0, 0, 0, 0, -1)))
    for ds in coronal:
        ds.SOPInstanceUID = generate_uid()
    assert refusal(to_members(axial + coronal)).code == "mixed_series"
