import itertools

import numpy as np
import pytest
from pydicom.dataset import Dataset

from service.errors import SeriesError
from service.pipeline.series import read_series
from service.pipeline.slice_stack import MAX_SPACING_MM
from tests.builders.ct_series import (
    CtSeriesSpec,
    build_slices,
    ct_members,
    ramp,
    to_members,
)
from tests.builders.refusals import refusal

DIRECTIONS = [tuple(sign * np.eye(3)[axis]) for axis in range(3) for sign in (1, -1)]
ORIENTATIONS = [
    (*row, *column)
    for row, column in itertools.product(DIRECTIONS, DIRECTIONS)
    if not np.dot(row, column)
]
OBLIQUE = (0.8, 0.6, 0.0, 0.0, 0.0, -1.0)


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


def test_copies_of_a_slice_are_dropped() -> None:
    slices = build_slices(CtSeriesSpec())
    series = read_series(to_members([*slices, slices[2]]))
    assert (len(series.slices), series.set_aside) == (4, 1)


def test_positions_rounded_to_a_tenth_of_a_millimetre_are_even() -> None:
    def change(slices: list[Dataset]) -> None:
        for number, ds in enumerate(slices):
            ds.ImagePositionPatient[2] = round(1.25 * number, 1)

    spec = CtSeriesSpec(stored=ramp((9, 2, 2)))
    assert read_series(ct_members(spec, change)).geometry.spacing_mm.z == pytest.approx(1.25)


def test_a_gap_is_refused_and_located() -> None:
    slices = build_slices(CtSeriesSpec(stored=ramp((7, 5, 6))))
    del slices[4]
    caught = refusal(to_members(slices))
    assert caught.code == "uneven_spacing"
    assert "4.00 mm between 36.00 and 40.00 mm" in str(caught)


def test_two_slices_in_one_place_are_refused() -> None:
    def change(slices: list[Dataset]) -> None:
        slices[1].ImagePositionPatient = slices[0].ImagePositionPatient

    caught = refusal(ct_members(change=change))
    assert caught.code == "duplicate_position"
    assert "files 1 and 2" in str(caught)


def test_one_uid_for_two_places_is_refused() -> None:
    def change(slices: list[Dataset]) -> None:
        slices[1].SOPInstanceUID = slices[0].SOPInstanceUID

    assert refusal(ct_members(change=change)).code == "duplicate_instance"


def _shift_sideways(slices: list[Dataset], shifts_mm: tuple[float, ...]) -> None:
    for ds, shift in zip(slices, shifts_mm, strict=True):
        ds.ImagePositionPatient[1] += shift


def test_gantry_tilt_shears_the_affine_and_is_reported() -> None:
    def change(slices: list[Dataset]) -> None:
        _shift_sideways(slices, (0, 0.5, 1.0, 1.5))

    series = read_series(ct_members(change=change))
    assert series.geometry.affine_lps[:3, 2].tolist() == [0.0, 0.5, 2.0]
    assert series.verdict is not None
    assert series.verdict.gantry_tilt_deg == pytest.approx(14.04, abs=0.01), "atan(1/4)"
    assert [flag.code for flag in series.flags] == ["GANTRY_TILT"]


def test_a_tilt_that_only_the_tag_knows_of_is_doubted() -> None:
    def change(slices: list[Dataset]) -> None:
        for ds in slices:
            ds.GantryDetectorTilt = "-14"

    assert [f.code for f in read_series(ct_members(change=change)).flags] == ["TILT_TAG_DISAGREES"]


def test_a_stack_that_leans_more_than_a_gantry_can_is_refused() -> None:
    def change(slices: list[Dataset]) -> None:
        _shift_sideways(slices, (0, 2.0, 4.0, 6.0))

    assert refusal(ct_members(change=change)).code == "gantry_tilt"


def test_gaps_can_be_filled_and_are_reported() -> None:
    slices = build_slices(CtSeriesSpec(stored=ramp((7, 5, 6))))
    del slices[4]
    series = read_series(to_members(slices), resample_gaps=True)
    assert series.geometry.shape_zyx == (7, 5, 6)
    assert series.slice_places == pytest.approx((0, 1, 2, 3, 5, 6))
    assert series.verdict is not None
    assert series.verdict.slices_used == 6
    (gap,) = series.verdict.resampled_gaps
    assert (gap.from_mm, gap.to_mm) == pytest.approx((36.0, 40.0))
    assert [flag.code for flag in series.flags] == ["GAPS_RESAMPLED"]


def test_a_gap_too_wide_to_fill_is_refused() -> None:
    slices = build_slices(CtSeriesSpec(stored=ramp((9, 5, 6))))
    del slices[3:6]
    with pytest.raises(SeriesError, match=r"8\.00 mm between 34\.00 and 42\.00 mm"):
        read_series(to_members(slices), resample_gaps=True)


def test_an_even_series_is_not_touched_by_the_wish_to_fill_gaps() -> None:
    assert read_series(ct_members(), resample_gaps=True).slice_places is None


def test_an_orientation_that_turns_along_the_stack_is_refused() -> None:
    def change(slices: list[Dataset]) -> None:
        turn = np.deg2rad(0.05)
        slices[3].ImageOrientationPatient = [np.cos(turn), round(np.sin(turn), 9), 0, 0, 1, 0]

    wide = CtSeriesSpec(stored=ramp((4, 5, 200)))
    assert refusal(ct_members(wide, change)).code == "mixed_orientation"


def test_slices_off_the_line_are_refused() -> None:
    def change(slices: list[Dataset]) -> None:
        _shift_sideways(slices, (0, 3, 0, 0))

    assert refusal(ct_members(change=change)).code == "unaligned_slices"


def test_pixel_spacing_must_not_change_within_a_series() -> None:
    def change(slices: list[Dataset]) -> None:
        slices[3].PixelSpacing = [0.6, 0.75]

    assert refusal(ct_members(change=change)).code == "mixed_pixel_spacing"


def test_thick_slices_are_refused_above_the_limit_only() -> None:
    at_limit = CtSeriesSpec(spacing_zyx_mm=(MAX_SPACING_MM, 1, 1))
    assert len(read_series(ct_members(at_limit)).slices) == 4
    above = CtSeriesSpec(spacing_zyx_mm=(MAX_SPACING_MM + 0.1, 1, 1))
    assert refusal(ct_members(above)).code == "slices_too_thick"


def test_a_claim_of_too_many_voxels_is_refused() -> None:
    def change(slices: list[Dataset]) -> None:
        for ds in slices:
            ds.Rows = ds.Columns = 65535

    assert refusal(ct_members(change=change)).code == "volume_too_large"
