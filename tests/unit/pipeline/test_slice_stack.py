import itertools

import numpy as np
import pytest
from pydicom.dataset import Dataset

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


def test_gantry_tilt_is_refused() -> None:
    def change(slices: list[Dataset]) -> None:
        _shift_sideways(slices, (0, 0.5, 1.0, 1.5))

    caught = refusal(ct_members(change=change))
    assert caught.code == "gantry_tilt"
    assert "14.0 degrees" in str(caught), "0.5 mm sideways per 2 mm: atan(1/4)"


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
