from dataclasses import replace

import numpy as np
import pytest

from service.domain.geometry import Box, SpacingMm, VolumeGeometry
from service.errors import GeometryError
from service.sample.anatomy import HipAnatomy
from service.sample.scanner import Acquisition, RenderedCt, draw_acquisition, render


def test_masks_say_exactly_whether_a_voxel_centre_is_inside(
    anatomy: HipAnatomy, left_crop: RenderedCt
) -> None:
    voxels = np.random.default_rng(1).integers((0, 0, 0), left_crop.hu.shape, (20000, 3))
    points = left_crop.geometry.index_to_lps(voxels)
    at = tuple(voxels.T)

    outer = anatomy.left.periosteal_distance_mm(points)
    inner = anatomy.left.endosteal_distance_mm(points)

    clear = np.abs(outer) > 1e-3
    assert np.array_equal(left_crop.left.periosteal[at][clear], outer[clear] <= 0)
    clear = np.abs(inner) > 1e-3
    assert np.array_equal(left_crop.left.endosteal[at][clear], inner[clear] <= 0)


def test_the_endosteal_mask_is_a_subset_of_the_periosteal_one(left_crop: RenderedCt) -> None:
    assert not (left_crop.left.endosteal & ~left_crop.left.periosteal).any()


def test_a_crop_of_the_left_femur_holds_nothing_of_the_right(left_crop: RenderedCt) -> None:
    assert left_crop.left.periosteal.any()
    assert not left_crop.right.periosteal.any()


def test_the_shaft_cortex_has_the_hu_of_compact_bone(
    anatomy: HipAnatomy, left_crop: RenderedCt
) -> None:
    femur = anatomy.left
    wall = femur.shape.shaft_radius_mm - femur.cortex.shaft_mm / 2
    index = left_crop.geometry.lps_to_index(femur.to_lps((-wall, 0, -50)))
    z, y, x = np.rint(index).astype(int)

    assert left_crop.hu[z, y, x] == pytest.approx(anatomy.tissue.cortical_hu, abs=20)


def test_the_joint_gap_is_darker_than_the_bone_on_both_its_sides(
    anatomy: HipAnatomy, left_crop: RenderedCt
) -> None:
    femur, gap = anatomy.left, anatomy.pelvis.left.gap_mm
    x, y, z = femur.head_centre_lps_mm
    heights = np.arange(-2, 8, 0.6) + femur.head_radius_mm
    line = np.array([(x, y, z + height) for height in heights])
    indices = np.rint(left_crop.geometry.lps_to_index(line)).astype(int)
    hu = left_crop.hu[tuple(indices.T)]

    middle = int(np.argmin(np.abs(heights - femur.head_radius_mm - gap / 2)))
    assert hu[:middle].max() > 250
    assert hu[middle : middle + 2].min() < 200
    assert hu[middle:].max() > 300


def test_thick_slices_are_means_over_their_thickness(
    anatomy: HipAnatomy, quiet: Acquisition
) -> None:
    x, y, z = anatomy.left.head_centre_lps_mm
    top = z + anatomy.left.head_radius_mm
    grid = VolumeGeometry.axis_aligned(
        (1, 3, 3), SpacingMm(3.0, 1.0, 1.0), (x - 1, y - 1, top - 1.2)
    )

    thick = render(anatomy, grid, quiet, np.random.default_rng(0))

    # The slice's centre is inside the head, its upper part in the joint.
    assert thick.left.periosteal[0, 1, 1]
    assert 100 < thick.hu[0, 1, 1] < anatomy.tissue.cortical_hu * 0.75


def test_the_same_seed_gives_the_same_scan_and_another_other_noise(
    anatomy: HipAnatomy, left_crop: RenderedCt, quiet: Acquisition
) -> None:
    grid = left_crop.geometry.crop(Box((100, 40, 40), (104, 60, 60)))
    noisy = replace(quiet, noise_hu=20.0)

    scans = [render(anatomy, grid, noisy, np.random.default_rng(s)).hu for s in (3, 3, 4)]

    assert np.array_equal(scans[0], scans[1])
    assert not np.array_equal(scans[0], scans[2])


def test_noise_has_the_standard_deviation_asked_for(
    anatomy: HipAnatomy, quiet: Acquisition
) -> None:
    air = VolumeGeometry.axis_aligned((4, 64, 64), SpacingMm(1, 1, 1), (0, -900, 0))
    raised = replace(quiet, noise_hu=5.0, noise_grain_px=0.8)

    hu = render(anatomy, air, raised, np.random.default_rng(0)).hu

    assert hu.mean() == pytest.approx(-1000, abs=1)
    assert hu.std() == pytest.approx(5.0, rel=0.1)


def test_progress_counts_slices(anatomy: HipAnatomy, quiet: Acquisition) -> None:
    air = VolumeGeometry.axis_aligned((40, 4, 4), SpacingMm(1, 1, 1), (0, -900, 0))
    seen: list[tuple[int, int]] = []

    render(anatomy, air, quiet, np.random.default_rng(0), lambda *done: seen.append(done))

    assert seen == [(32, 40), (40, 40)]


@pytest.mark.parametrize("seed", range(20))
def test_drawn_protocols_are_clinical(seed: int) -> None:
    acquisition = draw_acquisition(seed)

    assert acquisition == draw_acquisition(seed)
    assert 0.7 <= acquisition.pixel_spacing_mm <= 0.98
    assert 1.0 <= acquisition.slice_spacing_mm <= 3.0


def test_a_spacing_of_0_is_refused(quiet: Acquisition) -> None:
    with pytest.raises(GeometryError, match="positive spacings"):
        replace(quiet, slice_spacing_mm=0.0)
