"""The crop on drawn thighs: tubes of bone in a body of muscle."""

import numpy as np
import pytest

from service.domain.findings import FemurSide
from service.domain.geometry import Box, SpacingMm, VolumeGeometry
from service.domain.imaging import CtVolume
from service.pipeline.crop import find_femurs

SPACING = SpacingMm(3.0, 2.0, 2.0)
SHAPE = (60, 120, 200)


def thighs(
    *shafts_x_mm: float, origin_x_mm: float = -200.0, top_slice: int = 30, lean: float = 0.0
) -> CtVolume:
    """A body 380 mm wide with shafts 30 mm across, cortex 6 mm, from slice 0 to ``top_slice``.

    ``lean`` moves the shafts backward by that many mm per mm upward.
    """
    geometry = VolumeGeometry.axis_aligned(SHAPE, SPACING, (origin_x_mm, -120.0, 0.0))
    z, y, x = np.indices(SHAPE)
    places = geometry.index_to_lps(np.stack((z, y, x), axis=-1))
    x_mm, y_mm, z_mm = np.moveaxis(places, -1, 0)
    middle = origin_x_mm + SHAPE[2] * SPACING.x / 2
    hu = np.where(((x_mm - middle) / 190) ** 2 + (y_mm / 110) ** 2 < 1, 50, -1000)
    for shaft in shafts_x_mm:
        radius = np.hypot(x_mm - shaft, y_mm - lean * z_mm)
        hu = np.where((radius < 15) & (z < top_slice), np.where(radius < 9, 0, 1000), hu)
    return CtVolume(hu.astype(np.int16), geometry)


def hips(*, trochanters: tuple[float, ...], ischia: tuple[float, ...] = ()) -> CtVolume:
    """A body whose scan ends 15 mm below the top of trochanters 50 x 36 mm across.

    Ischia are 24 mm across and 30 mm high, from 6 mm above the end of the scan on.
    """
    volume = thighs()
    z, y, x = np.indices(SHAPE)
    places = volume.geometry.index_to_lps(np.stack((z, y, x), axis=-1))
    x_mm, y_mm, _ = np.moveaxis(places, -1, 0)
    hu = volume.hu.copy()
    for centre in trochanters:
        inside = ((x_mm - centre) / 25) ** 2 + (y_mm / 18) ** 2 < 1
        # the cortex is too thin to be seen on the lateral side
        seen = (np.abs(x_mm) < abs(centre) + 12) & (
            ((x_mm - centre) / 21) ** 2 + (y_mm / 14) ** 2 > 1
        )
        hu[inside & seen & (z < 5)] = 500
    for centre in ischia:
        hu[(np.hypot(x_mm - centre, y_mm - 20) < 12) & (z >= 2) & (z < 12)] = 700
    return CtVolume(hu, volume.geometry)


def reach_x_mm(volume: CtVolume, box: Box) -> tuple[float, float]:
    low = float(volume.geometry.index_to_lps(box.start_zyx)[0])
    return low, float(volume.geometry.index_to_lps(box.stop_zyx)[0])


def test_two_shafts_are_two_femurs_left_first() -> None:
    crops = find_femurs(thighs(90.0, -90.0))
    assert [c.side for c in crops] == [FemurSide.LEFT, FemurSide.RIGHT]


def test_one_shaft_is_one_femur() -> None:
    (crop,) = find_femurs(thighs(-90.0))
    assert crop.side is FemurSide.RIGHT


def test_sides_are_told_by_the_body_when_the_patient_lies_off_centre() -> None:
    crops = find_femurs(thighs(150.0, 330.0, origin_x_mm=40.0))
    assert [c.side for c in crops] == [FemurSide.LEFT, FemurSide.RIGHT]
    assert crops[0].box.start_zyx[2] > crops[1].box.start_zyx[2]


@pytest.mark.parametrize("shaft", [90.0, -90.0])
def test_a_crop_says_where_its_bone_is(shaft: float) -> None:
    (crop,) = find_femurs(thighs(shaft))
    x, y, z = np.array(crop.bone_lps_mm).T
    assert np.hypot(x - shaft, y).max() < 2.5
    assert np.ptp(z) > 60


@pytest.mark.parametrize(("shaft", "side"), [(90.0, FemurSide.LEFT), (-90.0, FemurSide.RIGHT)])
def test_the_box_reaches_further_medially_than_laterally(shaft: float, side: FemurSide) -> None:
    volume = thighs(shaft)
    (crop,) = find_femurs(volume)
    low = volume.geometry.index_to_lps(crop.box.start_zyx)[0]
    high = volume.geometry.index_to_lps(crop.box.stop_zyx)[0]
    medial = shaft - low if side is FemurSide.LEFT else high - shaft
    lateral = high - shaft if side is FemurSide.LEFT else shaft - low
    assert medial >= 85.0  # offset up to 60 mm + head radius 25 mm
    assert 40.0 <= lateral < medial


def test_the_box_runs_from_the_first_slice_to_above_a_head() -> None:
    volume = thighs(90.0, top_slice=15)
    (crop,) = find_femurs(volume)
    assert crop.box.start_zyx[0] == 0
    assert (crop.box.stop_zyx[0] - 15) * SPACING.z >= 133.0  # as in a generated hip


def test_the_box_follows_a_flexed_thigh_backward() -> None:
    straight, flexed = (find_femurs(thighs(90.0, lean=lean))[0].box for lean in (0.0, 0.5))
    assert flexed.stop_zyx[1] > straight.stop_zyx[1]


def test_the_pieces_of_a_box_follow_a_leaning_shaft() -> None:
    volume = thighs(90.0, top_slice=20, lean=0.5)
    (crop,) = find_femurs(volume)
    *shaft, proximal = crop.pieces
    # slices of 3 mm, 15 mm a piece, up to the track's last slice
    assert [p.start_zyx[0] for p in crop.pieces] == [0, 5, 10, 15, 19]
    bone = volume.hu[:20] >= 1000
    for piece in crop.pieces:
        bone[piece.slices] = False
        # 30 mm of bone, margins of 16 mm and the lean; pixels of the search are 2 mm
        assert piece is proximal or piece.shape_zyx[1] * SPACING.y <= 62 + 7.5 + 8
        assert all(a >= b for a, b in zip(piece.start_zyx, crop.box.start_zyx, strict=True))
        assert piece.within(crop.box.stop_zyx)
    assert not bone.any()
    assert shaft[-1].start_zyx[1] > shaft[0].start_zyx[1]
    assert proximal.stop_zyx[0] == crop.box.stop_zyx[0]
    assert proximal.shape_zyx[2] * SPACING.x > 130


def test_below_a_track_that_starts_high_there_is_room_for_condyles() -> None:
    volume = thighs(90.0)
    hu = volume.hu.copy()
    hu[:4][hu[:4] > 50] = 50
    (crop,) = find_femurs(CtVolume(hu, volume.geometry))
    assert crop.pieces[0].start_zyx[0] == 0
    assert crop.pieces[0].shape_zyx[2] * SPACING.x >= 116
    assert crop.pieces[1].shape_zyx[2] * SPACING.x < 80
    for piece in crop.pieces:
        assert all(a >= b for a, b in zip(piece.start_zyx, crop.box.start_zyx, strict=True))
        assert piece.within(crop.box.stop_zyx)


@pytest.mark.parametrize("columns", [400, 399])
def test_a_mirrored_scan_gives_mirrored_boxes(columns: int) -> None:
    hu = thighs(88.0, -94.0, lean=0.3).hu.repeat(2, axis=1).repeat(2, axis=2)[:, :, :columns]
    fine = VolumeGeometry.axis_aligned(hu.shape, SpacingMm(3.0, 1.0, 1.0), (-200.0, -120.0, 0.0))
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    mirrored = VolumeGeometry(fine.shape_zyx, mirror @ fine.flip_x().affine_lps)
    there = find_femurs(CtVolume(hu, fine))
    back = find_femurs(CtVolume(hu[:, :, ::-1].copy(), mirrored))
    assert len(there) == len(back) > 0
    for crop, twin in zip(there, reversed(back), strict=True):
        assert len(crop.pieces) > 1
        pairs = zip((crop.box, *crop.pieces), (twin.box, *twin.pieces), strict=True)
        for box, other in pairs:
            assert other.start_zyx[:2] == box.start_zyx[:2]
            assert other.start_zyx[2] == columns - box.stop_zyx[2]
            assert other.stop_zyx[2] == columns - box.start_zyx[2]


def test_a_body_that_the_field_of_view_cuts_is_divided_at_the_isocentre() -> None:
    """Pixels of 0.7 mm are averaged in threes, for which the image's ends are filled up."""
    shape = (20, 60, 340)
    geometry = VolumeGeometry.axis_aligned(shape, SpacingMm(3.0, 0.7, 0.7), (-80.0, -21.0, 0.0))
    z, y, x = np.indices(shape)
    places = geometry.index_to_lps(np.stack((z, y, x), axis=-1))
    radius = np.hypot(places[..., 0] - 30.0, places[..., 1])
    hu = np.where(radius < 15, np.where(radius < 9, 0, 1000), 50).astype(np.int16)
    hu[:, :3] = -1000
    # the image runs from -80 to 158 mm: its middle lies to the left of the bone, 0 to the right
    (crop,) = find_femurs(CtVolume(hu, geometry))
    assert crop.side is FemurSide.LEFT


def test_what_may_be_an_ischium_has_no_pieces() -> None:
    (crop,) = find_femurs(thighs(90.0, top_slice=10))
    assert crop.pieces == ()


def test_without_a_shaft_there_is_no_femur() -> None:
    assert find_femurs(thighs()) == ()
    assert find_femurs(thighs(90.0, top_slice=2)) == ()  # 6 mm are neither shaft nor trochanter


def test_trochanters_at_the_end_of_the_scan_are_femurs() -> None:
    volume = hips(trochanters=(105.0, -105.0))
    crops = find_femurs(volume)
    assert [c.side for c in crops] == [FemurSide.LEFT, FemurSide.RIGHT]
    for crop, sign in zip(crops, (1, -1), strict=True):
        medial, lateral = sorted(sign * mm for mm in reach_x_mm(volume, crop.box))
        assert medial <= 105 - 85
        assert lateral >= 130
        assert crop.box.start_zyx[0] == 0
        assert crop.box.stop_zyx[0] * SPACING.z >= 115


def test_a_trochanter_joins_the_box_of_what_may_be_an_ischium() -> None:
    volume = hips(trochanters=(-105.0,), ischia=(-55.0,))
    (crop,) = find_femurs(volume)
    low, high = reach_x_mm(volume, crop.box)
    assert low <= -130
    assert high >= -20


def test_bone_near_the_midline_is_no_trochanter() -> None:
    assert find_femurs(hips(trochanters=(50.0,))) == ()


def test_a_certain_shaft_needs_no_trochanter() -> None:
    with_hand = hips(trochanters=(150.0,)).hu
    shaft = thighs(80.0, top_slice=20)
    both = CtVolume(np.maximum(with_hand, shaft.hu), shaft.geometry)
    assert find_femurs(both)[0].box == find_femurs(shaft)[0].box
