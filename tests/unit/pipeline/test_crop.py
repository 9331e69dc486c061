"""The crop on drawn thighs: tubes of bone in a body of muscle."""

import numpy as np
import pytest

from service.domain.findings import FemurSide
from service.domain.geometry import SpacingMm, VolumeGeometry
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
    assert (crop.box.stop_zyx[0] - 15) * SPACING.z >= 115.0


def test_the_box_follows_a_flexed_thigh_backward() -> None:
    straight, flexed = (find_femurs(thighs(90.0, lean=lean))[0].box for lean in (0.0, 0.5))
    assert flexed.stop_zyx[1] > straight.stop_zyx[1]


def test_without_a_shaft_there_is_no_femur() -> None:
    assert find_femurs(thighs()) == ()
    assert find_femurs(thighs(90.0, top_slice=4)) == ()  # 12 mm are no shaft
