"""Tracks in slices of muscle 200 mm wide with drawn bone, 3 mm apart, pixels of 2 mm."""

import numpy as np
import pytest

from service.domain.geometry import SpacingMm, VolumeGeometry
from service.domain.imaging import CtVolume
from service.pipeline.bone_tracks import (
    SearchGrid,
    search_grid,
    shaft_tracks,
    track_length_mm,
    track_x_mm,
    trochanter_tracks,
)

PIXEL_MM, SLICE_MM = 2.0, 3.0
COUNT = 30


def grid_of(*bones: tuple[np.ndarray, slice]) -> SearchGrid:
    """Muscle with outlines ``[y, x]`` in the given slices."""
    hu = np.full((COUNT, 100, 100), 50.0, dtype=np.float32)
    for outline, slices in bones:
        hu[slices, outline] = 900.0
    return SearchGrid(hu, (PIXEL_MM, PIXEL_MM), (0.0, 0.0), SLICE_MM)


def ring(x_mm: float, radius_mm: float, cortex_mm: float = 5.0, y_mm: float = 100.0) -> np.ndarray:
    y, x = (np.indices((100, 100)) + 0.5) * PIXEL_MM
    distance = np.hypot(y - y_mm, x - x_mm)
    return np.asarray((distance < radius_mm) & (distance > radius_mm - cortex_mm))


def test_a_volume_is_averaged_to_two_millimetres() -> None:
    shape = (3, 8, 12)
    hu = np.zeros(shape, dtype=np.int16)
    hu[:, :, ::2] = 100
    volume = CtVolume(hu, VolumeGeometry.axis_aligned(shape, SpacingMm(4, 1, 1)))
    grid = search_grid(volume)
    assert grid.hu.shape == (3, 4, 6)
    assert (grid.hu == 50).all()
    assert (grid.pixel_mm, grid.slice_mm) == ((2.0, 2.0), 4.0)


@pytest.mark.parametrize("pixel_mm", [0.5, 0.7, 1.0], ids=["blocks of 4", "3", "2"])
@pytest.mark.parametrize("columns", [12, 13, 14, 15])
def test_a_mirrored_volume_gives_mirrored_averages(columns: int, pixel_mm: float) -> None:
    hu = np.random.default_rng(0).normal(0, 300, (2, 9, columns)).astype(np.float32)
    geometry = VolumeGeometry.axis_aligned(hu.shape, SpacingMm(4, pixel_mm, pixel_mm))
    grid, mirrored = (search_grid(CtVolume(a, geometry)) for a in (hu, hu[:, :, ::-1].copy()))
    np.testing.assert_allclose(mirrored.hu, grid.hu[:, :, ::-1], rtol=1e-4, atol=1e-3)
    # the grid lies about the middle of the image
    width = grid.hu.shape[2] * grid.pixel_mm[1]
    assert width + 2 * grid.start_yx_mm[1] == pytest.approx(columns * pixel_mm)
    assert grid.hu.dtype == np.float32


def test_outlines_are_placed_from_the_volumes_first_voxel() -> None:
    shape = (10, 98, 101)
    _, y, x = np.indices(shape)
    radius = np.hypot(y - 50, x - 40)
    hu = np.where((radius < 22) & (radius > 14), 1000, 50).astype(np.int16)
    volume = CtVolume(hu, VolumeGeometry.axis_aligned(shape, SpacingMm(4, 0.7, 0.7)))
    (track,) = shaft_tracks(search_grid(volume))
    assert track[0].centre_yx_mm == pytest.approx((50.5 * 0.7, 40.5 * 0.7), abs=0.5)


def test_a_ring_through_enough_slices_is_a_shaft() -> None:
    grid = grid_of((ring(60, 15), slice(4, 14)))
    (track,) = shaft_tracks(grid)
    assert [s.slice_index for s in track] == list(range(4, 14))
    assert track_length_mm(track, grid) == 30.0
    assert track_x_mm(track) == pytest.approx(60, abs=0.5)
    assert track[0].area_mm2 == pytest.approx(np.pi * 15**2, rel=0.05)


def test_a_shaft_ends_where_the_bone_grows() -> None:
    grid = grid_of((ring(60, 13), slice(0, 10)), (ring(60, 20), slice(10, 15)))
    assert [len(t) for t in shaft_tracks(grid)] == [10]


@pytest.mark.parametrize(
    ("radius_mm", "slices"), [(8.0, slice(0, 30)), (30.0, slice(0, 30)), (15.0, slice(0, 6))]
)
def test_thin_thick_and_short_bones_are_no_shafts(radius_mm: float, slices: slice) -> None:
    assert shaft_tracks(grid_of((ring(60, radius_mm), slices))) == []


def test_an_open_ring_is_no_shaft_but_may_be_a_trochanter() -> None:
    half = ring(60, 20)
    half[:, 30:] = False
    grid = grid_of((half, slice(0, 12)))
    assert shaft_tracks(grid) == []
    (track,) = trochanter_tracks(grid)
    # the hull of a half ring is the half disc
    assert track[0].area_mm2 == pytest.approx(np.pi * 20**2 / 2, rel=0.1)


def test_a_ring_that_the_field_of_view_cuts_may_be_a_trochanter() -> None:
    assert len(trochanter_tracks(grid_of((ring(60, 22, y_mm=-2.0), slice(0, 12))))) == 1


def test_trochanters_are_sought_in_the_lowest_slices_only() -> None:
    assert trochanter_tracks(grid_of((ring(60, 22), slice(12, 30)))) == []


def test_a_rib_is_no_trochanter() -> None:
    rib = ring(100, 90, cortex_mm=8.0)
    rib[:, 50:] = False
    assert trochanter_tracks(grid_of((rib, slice(0, 12)))) == []


def test_nothing_is_found_in_muscle() -> None:
    assert shaft_tracks(grid_of()) == []
    assert trochanter_tracks(grid_of()) == []
