from dataclasses import replace

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    MediaStorageDirectoryStorage,
    MRImageStorage,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from service.domain.imaging import Member
from service.errors import SeriesError
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


def _two_series() -> list[Member]:
    first = build_slices(CtSeriesSpec())
    second = build_slices(CtSeriesSpec(stored=ramp((5, 5, 6)), series_uid=ROOT + "2"))
    return to_members(first + second)


def test_of_several_series_the_ranking_picks_and_all_are_listed() -> None:
    series = read_series(_two_series())
    assert series.series_instance_uid == ROOT + "2"
    best, other = series.candidates
    assert (best.series_instance_uid, best.slices, best.chosen) == (ROOT + "2", 5, True)
    assert (other.series_instance_uid, other.chosen, other.error_code) == (ROOT + "1", False, None)
    assert other.reason == "not measured: it has fewer slices"
    assert [flag.code for flag in series.flags] == ["SERIES_CHOSEN"]


def test_a_series_that_makes_no_volume_is_listed_with_its_refusal() -> None:
    broken = build_slices(CtSeriesSpec(stored=ramp((9, 5, 6)), series_uid=ROOT + "2"))
    del broken[0].RescaleSlope
    series = read_series(to_members(build_slices(CtSeriesSpec()) + broken))
    assert series.series_instance_uid == ROOT + "1"
    assert series.candidates[1].error_code == "missing_tag"
    assert "Rescale Slope" in series.candidates[1].reason


def test_two_patients_are_never_taken_for_one() -> None:
    first = build_slices(CtSeriesSpec())
    second = build_slices(CtSeriesSpec(series_uid=ROOT + "2"))
    for ds in second:
        ds.PatientID = "4712"
    members = to_members(first + second)
    assert refusal(members).code == "several_patients"
    assert len(read_series(members, series_instance_uid=ROOT + "2").slices) == 4


def test_instances_of_the_series_are_counted_those_set_aside_included() -> None:
    slices = build_slices(CtSeriesSpec())
    scout = build_slices(CtSeriesSpec())[0]
    scout.SOPInstanceUID, scout.ImageType = ROOT + "7", ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    members = to_members([*slices, scout])
    assert len(read_series(members, expected_instances=5).slices) == 4
    with pytest.raises(SeriesError, match=r"holds 5 instances .* expects 6") as caught:
        read_series(members, expected_instances=6)
    assert caught.value.code == "instance_count_mismatch"


def test_the_verdict_tells_what_was_set_aside_and_what_is_covered() -> None:
    scout = build_slices(CtSeriesSpec())[0]
    scout.SOPInstanceUID, scout.ImageType = ROOT + "7", ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    members = [*to_members([*build_slices(CtSeriesSpec()), scout]), Member(9, b"readme")]
    verdict = read_series(members).verdict
    assert verdict is not None
    assert verdict.set_aside == {"CT localizers": 1, "files that are no DICOM": 1}
    assert (verdict.coverage_mm, verdict.slice_spacing_mm, verdict.slices_used) == (8.0, 2.0, 4)
    assert (verdict.orientation, verdict.gantry_tilt_deg, verdict.evenness_mm) == ("axial", 0, 0)


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


def test_of_two_stacks_in_one_series_the_axial_one_is_measured() -> None:
    axial = build_slices(CtSeriesSpec())
    coronal = build_slices(CtSeriesSpec(stored=ramp((6, 5, 6)), orientation=(1, 0, 0, 0, 0, -1)))
    for ds in coronal:
        ds.SOPInstanceUID = generate_uid()
    series = read_series(to_members(coronal + axial))
    assert [c.orientation for c in series.candidates] == ["axial", "coronal"]
    assert (len(series.slices), series.set_aside) == (4, 6)
