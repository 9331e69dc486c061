import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    MediaStorageDirectoryStorage,
    MRImageStorage,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from service.domain.imaging import Member
from service.errors import SeriesError
from service.pipeline.series import MIN_SLICES, read_series
from service.pipeline.slice_stack import MAX_SPACING_MM
from tests.builders.ct_series import (
    PATIENT,
    ROOT,
    CtSeriesSpec,
    build_slices,
    ct_members,
    encode,
    ramp,
    to_members,
)

DIRECTIONS = [tuple(sign * np.eye(3)[axis]) for axis in range(3) for sign in (1, -1)]
ORIENTATIONS = [
    (*row, *column)
    for row, column in itertools.product(DIRECTIONS, DIRECTIONS)
    if not np.dot(row, column)
]
OBLIQUE = (0.8, 0.6, 0.0, 0.0, 0.0, -1.0)
TRUNCATED_NUMBER = "1" * 70 + "x"


def _refusal(members: list[Member], uid: str | None = None) -> SeriesError:
    with pytest.raises(SeriesError) as caught:
        read_series(members, series_instance_uid=uid)
    assert "Doe" not in str(caught.value)
    assert "4711" not in str(caught.value)
    return caught.value


def _code(change: Callable[[list[Dataset]], object], spec: CtSeriesSpec | None = None) -> str:
    return _refusal(ct_members(spec, change)).code


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


@pytest.mark.parametrize("orientation", [*ORIENTATIONS, OBLIQUE])
def test_every_orientation_is_carried_by_the_affine(orientation: tuple[float, ...]) -> None:
    spec = CtSeriesSpec(orientation=orientation)
    geometry = read_series(ct_members(spec, list.reverse)).geometry
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    expected = (
        np.array(spec.origin_lps_mm) + 3 * 2.0 * spec.normal + 4 * 0.5 * column + 5 * 0.75 * row
    )
    assert np.allclose(geometry.index_to_lps((3, 4, 5)), expected, atol=1e-6)
    assert np.linalg.det(geometry.affine_lps) > 0


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5])
def test_the_order_of_the_files_does_not_matter(order: tuple[int, ...]) -> None:
    slices = build_slices(CtSeriesSpec())
    series = read_series(to_members([slices[i] for i in order]))
    assert [s.position_lps_mm[2] for s in series.slices] == [30, 32, 34, 36]


def test_a_file_without_preamble_is_read() -> None:
    # File meta information ends where SOP Class UID (0008,0016), or Image Type, begins
    members = [
        Member(m.position, m.content[m.content.index(b"\x08\x00\x08\x00CS") :])
        for m in ct_members()
    ]
    assert len(read_series(members).slices) == 4


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


def test_copies_of_a_slice_are_dropped() -> None:
    slices = build_slices(CtSeriesSpec())
    series = read_series(to_members([*slices, slices[2]]))
    assert (len(series.slices), series.set_aside) == (4, 1)


def test_frames_of_reference_that_differ_leave_none() -> None:
    def change(slices: list[Dataset]) -> None:
        for ds in slices:
            ds.FrameOfReferenceUID = generate_uid()

    assert read_series(ct_members(change=change)).frame_of_reference_uid == ""


def test_positions_rounded_to_a_tenth_of_a_millimetre_are_even() -> None:
    def change(slices: list[Dataset]) -> None:
        for number, ds in enumerate(slices):
            ds.ImagePositionPatient[2] = round(1.25 * number, 1)

    spec = CtSeriesSpec(stored=ramp((9, 2, 2)))
    assert read_series(ct_members(spec, change)).geometry.spacing_mm.z == pytest.approx(1.25)


@pytest.mark.parametrize("members", [[], [Member(1, b"readme")], [Member(1, bytes(500))]])
def test_no_dicom(members: list[Member]) -> None:
    assert _refusal(members).code == "no_dicom"


def test_no_ct_names_what_is_there() -> None:
    def change(slices: list[Dataset]) -> None:
        for ds in slices:
            ds.SOPClassUID, ds.Modality = MRImageStorage, "MR"

    refusal = _refusal(ct_members(change=change))
    assert refusal.code == "no_ct_series"
    assert "4 MR" in str(refusal)


def test_enhanced_ct_is_refused_by_name() -> None:
    def change(slices: list[Dataset]) -> None:
        for ds in slices:
            ds.SOPClassUID = EnhancedCTImageStorage

    assert _code(change) == "enhanced_ct_unsupported"


def _two_series() -> list[Member]:
    first = build_slices(CtSeriesSpec())
    second = build_slices(CtSeriesSpec(stored=ramp((5, 5, 6)), series_uid=ROOT + "2"))
    return to_members(first + second)


def test_of_several_series_none_is_guessed() -> None:
    refusal = _refusal(_two_series())
    assert refusal.code == "several_series"
    assert f"{ROOT}1 (4 slices), {ROOT}2 (5 slices)" in str(refusal)


def test_the_uid_picks_one_of_several_series() -> None:
    series = read_series(_two_series(), series_instance_uid=ROOT + "2")
    assert (len(series.slices), series.set_aside) == (5, 4)


def test_an_unknown_uid_is_not_found() -> None:
    assert _refusal(_two_series(), "1.2.3").code == "series_not_found"


def test_a_defect_in_a_series_not_chosen_does_no_harm() -> None:
    other = build_slices(CtSeriesSpec(series_uid=ROOT + "2"))
    del other[0].RescaleSlope
    members = to_members(build_slices(CtSeriesSpec()) + other)
    assert len(read_series(members, series_instance_uid=ROOT + "1").slices) == 4


@pytest.mark.parametrize("number", range(1, MIN_SLICES))
def test_fewer_slices_than_the_minimum_make_no_volume(number: int) -> None:
    assert _refusal(ct_members()[:number]).code == "too_few_slices"
    assert _refusal(ct_members()[:number], ROOT + "1").code == "too_few_slices"


def test_copies_do_not_make_up_the_minimum() -> None:
    ds = build_slices(CtSeriesSpec())[0]
    assert _refusal(to_members([ds] * MIN_SLICES)).code == "too_few_slices"


def test_two_stacks_in_one_series_are_not_merged() -> None:
    axial = build_slices(CtSeriesSpec())
    coronal = build_slices(CtSeriesSpec(orientation=(1, 0, 0, 0, 0, -1)))
    for ds in coronal:
        ds.SOPInstanceUID = generate_uid()
    assert _refusal(to_members(axial + coronal)).code == "mixed_series"


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

    refusal = _refusal(ct_members(change=change))
    assert refusal.code == "missing_tag"
    assert str(refusal).startswith("file 3: tag (")


def test_missing_rescale_is_never_guessed() -> None:
    def change(slices: list[Dataset]) -> None:
        for ds in slices:
            del ds.RescaleSlope

    refusal = _refusal(ct_members(change=change))
    assert "file 1: tag (0028,1053) Rescale Slope is missing" in str(refusal)


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("RescaleSlope", "0"), ("RescaleSlope", "-1"), ("RescaleSlope", "nan"),
        ("RescaleSlope", "1\\1"), ("RescaleSlope", "one"), ("RescaleIntercept", "inf"),
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

    refusal = _refusal(ct_members(change=change))
    assert refusal.code == "invalid_tag"
    assert str(refusal).startswith("file 2: tag (")


def test_a_gap_is_refused_and_located() -> None:
    slices = build_slices(CtSeriesSpec(stored=ramp((7, 5, 6))))
    del slices[4]
    refusal = _refusal(to_members(slices))
    assert refusal.code == "uneven_spacing"
    assert "4.00 mm between 36.00 and 40.00 mm" in str(refusal)


def test_two_slices_in_one_place_are_refused() -> None:
    def change(slices: list[Dataset]) -> None:
        slices[1].ImagePositionPatient = slices[0].ImagePositionPatient

    refusal = _refusal(ct_members(change=change))
    assert refusal.code == "duplicate_position"
    assert "files 1 and 2" in str(refusal)


def test_one_uid_for_two_places_is_refused() -> None:
    def change(slices: list[Dataset]) -> None:
        slices[1].SOPInstanceUID = slices[0].SOPInstanceUID

    assert _code(change) == "duplicate_instance"


def _shift_sideways(slices: list[Dataset], shifts_mm: tuple[float, ...]) -> None:
    for ds, shift in zip(slices, shifts_mm, strict=True):
        ds.ImagePositionPatient[1] += shift


def test_gantry_tilt_is_refused() -> None:
    def change(slices: list[Dataset]) -> None:
        _shift_sideways(slices, (0, 0.5, 1.0, 1.5))

    refusal = _refusal(ct_members(change=change))
    assert refusal.code == "gantry_tilt"
    assert "14.0 degrees" in str(refusal), "0.5 mm sideways per 2 mm: atan(1/4)"


def test_slices_off_the_line_are_refused() -> None:
    def change(slices: list[Dataset]) -> None:
        _shift_sideways(slices, (0, 3, 0, 0))

    assert _code(change) == "unaligned_slices"


def test_pixel_spacing_must_not_change_within_a_series() -> None:
    def change(slices: list[Dataset]) -> None:
        slices[3].PixelSpacing = [0.6, 0.75]

    assert _code(change) == "mixed_pixel_spacing"


def test_thick_slices_are_refused_above_the_limit_only() -> None:
    at_limit = CtSeriesSpec(spacing_zyx_mm=(MAX_SPACING_MM, 1, 1))
    assert len(read_series(ct_members(at_limit)).slices) == 4
    above = CtSeriesSpec(spacing_zyx_mm=(MAX_SPACING_MM + 0.1, 1, 1))
    assert _refusal(ct_members(above)).code == "slices_too_thick"


def test_a_claim_of_too_many_voxels_is_refused() -> None:
    def change(slices: list[Dataset]) -> None:
        for ds in slices:
            ds.Rows = ds.Columns = 65535

    assert _code(change) == "volume_too_large"


@pytest.mark.parametrize("length", [140, 200, 300, 400, 500])
def test_a_file_cut_off_in_its_header_is_refused(length: int) -> None:
    members = ct_members()
    members[1] = Member(2, members[1].content[:length])
    assert _refusal(members).code in ("corrupt_dicom", "missing_tag")


def test_a_bomb_in_a_deflated_data_set_is_refused() -> None:
    ds = build_slices(CtSeriesSpec())[0]
    ds.add(DataElement(0x00091001, "OB", bytes(70_000_000)))
    bomb = Member(5, encode(ds, DeflatedExplicitVRLittleEndian))
    assert len(bomb.content) < 100_000
    assert _refusal([*ct_members(), bomb]).code == "corrupt_dicom"
