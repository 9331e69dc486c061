import numpy as np
import pytest

from service.domain.findings import FemurSide
from service.domain.geometry import Box, SpacingMm, VolumeGeometry
from service.domain.imaging import CtVolume, FemurCrop
from service.pipeline.resampling import network_geometry, resample, to_network_grid


def ramp(geometry: VolumeGeometry) -> np.ndarray:
    """A volume whose value is the place: 1000 z + 10 y + x in LPS mm; linear sampling is exact."""
    index = np.stack(np.indices(geometry.shape_zyx), axis=-1)
    return (geometry.index_to_lps(index) @ [1.0, 10.0, 1000.0]).astype(np.float32)


def test_linear_sampling_reproduces_a_linear_volume() -> None:
    source = VolumeGeometry.axis_aligned((6, 7, 8), SpacingMm(3.0, 1.0, 0.5), (5.0, 6.0, 7.0))
    target = VolumeGeometry.axis_aligned((10, 4, 4), SpacingMm(1.3, 1.1, 0.7), (5.2, 6.1, 7.7))
    sampled = resample(ramp(source), source, target, outside=-1.0)
    np.testing.assert_allclose(sampled, ramp(target), rtol=1e-5)


def turned(geometry: VolumeGeometry, degrees: float) -> VolumeGeometry:
    """The same grid turned about the z axis of the patient."""
    turn = np.eye(4)
    angle = np.deg2rad(degrees)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return VolumeGeometry(geometry.shape_zyx, turn @ geometry.affine_lps)


def test_oblique_and_flipped_grids_of_the_same_axes_sample_the_same_places() -> None:
    spacing = SpacingMm(1.0, 1.0, 1.0)
    source = turned(VolumeGeometry.axis_aligned((9, 9, 9), spacing, (5.0, 6.0, 7.0)), 20)
    inside = VolumeGeometry.axis_aligned((6, 6, 6), SpacingMm(1.3, 0.9, 0.8), (6.2, 7.1, 7.7))
    target = turned(inside, 20).flip_x()
    sampled = resample(ramp(source), source, target, outside=0.0)
    np.testing.assert_allclose(sampled, ramp(target), rtol=1e-5)


def leaning(degrees: float) -> VolumeGeometry:
    """A grid whose z axis leans towards y, as under gantry tilt."""
    affine = np.diag([0.7, 0.7, 2.0, 1.0])
    affine[1, 2] = 2.0 * np.tan(np.deg2rad(degrees))
    affine[:3, 3] = (5.0, 6.0, 7.0)
    return VolumeGeometry((12, 30, 20), affine)


@pytest.mark.parametrize("degrees", [-25.0, 18.0])
def test_a_leaning_grid_is_sampled_through_its_shear(degrees: float) -> None:
    source = leaning(degrees)
    target = network_geometry(source, SpacingMm(1.0, 0.8, 0.8))
    axes = target.affine_lps[:3, :3] / np.array([0.8, 0.8, 1.0])
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(axes[:, 2] @ source.affine_lps[:3, 2], source.spacing_mm.z)
    sampled = resample(ramp(source), source, target, outside=-1.0)
    index = source.lps_to_index(
        target.index_to_lps(np.stack(np.indices(target.shape_zyx), axis=-1))
    )
    interior = ((index >= 0) & (index <= np.array(source.shape_zyx) - 1)).all(axis=-1)
    assert interior.mean() > 0.4
    np.testing.assert_allclose(sampled[interior], ramp(target)[interior], rtol=1e-4)
    # half a voxel of the grid, seen along each axis of the source
    to_source = np.linalg.inv(source.affine_lps) @ target.affine_lps
    reach = 0.5 + 0.5 * np.abs(to_source[:3, :3][::-1, ::-1]).sum(axis=1)
    outwards = np.maximum(-index, index - (np.array(source.shape_zyx) - 1)) - reach
    assert (sampled[(outwards > 1e-6).any(axis=-1)] == -1.0).all()
    assert (sampled[(outwards < -1e-6).all(axis=-1)] != -1.0).all()


def test_the_networks_grid_holds_a_leaning_crop() -> None:
    source = leaning(20.0)
    target = network_geometry(source, SpacingMm(1.0, 0.8, 0.8))
    corners = source.index_to_lps([(z, y, x) for z in (0, 11) for y in (0, 29) for x in (0, 19)])
    index = target.lps_to_index(corners)
    assert (index >= -0.5).all()
    assert (index <= np.array(target.shape_zyx) - 0.5).all()


def test_past_the_source_the_outside_value_is_written() -> None:
    source = VolumeGeometry.axis_aligned((2, 2, 2), SpacingMm(1.0, 1.0, 1.0))
    target = VolumeGeometry.axis_aligned((4, 2, 2), SpacingMm(1.0, 1.0, 1.0), (0.0, 0.0, -1.0))
    sampled = resample(np.ones((2, 2, 2), np.float32), source, target, outside=-7.0)
    assert sampled[:, 0, 0].tolist() == [-7.0, 1.0, 1.0, -7.0]


def test_a_voxel_that_overlaps_the_source_takes_its_nearest_value() -> None:
    # centres at -1.4, -0.6, 0.2, 1.0, 1.8 and 2.6 mm, 0.8 mm wide; the source ends at -0.5 and 2.5
    source = VolumeGeometry.axis_aligned((3, 1, 1), SpacingMm(1.0, 1.0, 1.0))
    target = VolumeGeometry.axis_aligned((6, 1, 1), SpacingMm(0.8, 1.0, 1.0), (0.0, 0.0, -1.4))
    values = np.array([10, 20, 30], np.float32).reshape(3, 1, 1)
    sampled = resample(values, source, target, outside=-7.0)
    np.testing.assert_allclose(sampled[:, 0, 0], [-7, 10, 12, 20, 28, 30], rtol=1e-6)


@pytest.mark.parametrize("tilt_mm", [0.0, 0.2], ids=["box", "gantry tilt"])
@pytest.mark.parametrize("step_mm", [0.4, 0.625, 0.7, 3.0])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_bone_cut_by_the_end_of_the_scan_is_bone_to_the_last_voxel_there_and_back(
    axis: int, step_mm: float, tilt_mm: float
) -> None:
    affine = np.diag([1.3, 1.3, 1.3, 1.0])
    affine[2 - axis, 2 - axis] = step_mm
    affine[1, 2] = tilt_mm
    across = [slice(4, -4)] * 3
    across[axis] = slice(None)
    for planes in range(13, 23):
        shape = [13, 13, 13]
        shape[axis] = planes
        source = VolumeGeometry((shape[0], shape[1], shape[2]), affine)
        bone = np.zeros(source.shape_zyx, np.float32)
        bone[tuple(across)] = 1.0
        for grid in (source, source.flip_x()):
            network = network_geometry(grid, SpacingMm(1.0, 0.8, 0.8))
            back = resample(
                resample(bone, source, network, outside=0.0), network, source, outside=0.0
            )
            ends = np.moveaxis(back, axis, 0)[[0, -1], 6, 6]
            assert ends.min() > 0.5, planes


def test_the_networks_grid_shares_the_crops_corner_and_covers_it() -> None:
    crop = VolumeGeometry.axis_aligned((10, 10, 10), SpacingMm(3.0, 1.0, 1.0))
    grid = network_geometry(crop, SpacingMm(1.0, 0.8, 0.8))
    assert grid.shape_zyx == (30, 13, 13)
    # outer faces: half a voxel before the first centre
    np.testing.assert_allclose(
        grid.index_to_lps((-0.5, -0.5, -0.5)), crop.index_to_lps((-0.5, -0.5, -0.5))
    )


@pytest.mark.parametrize("side", list(FemurSide))
def test_a_right_femur_is_flipped_and_stays_in_its_place(side: FemurSide) -> None:
    geometry = VolumeGeometry.axis_aligned((8, 8, 8), SpacingMm(1.0, 0.8, 0.8), (3.0, 4.0, 5.0))
    volume = CtVolume(ramp(geometry), geometry)
    cropped = to_network_grid(
        volume, FemurCrop(side, Box((1, 1, 1), (7, 6, 8))), SpacingMm(1.0, 0.8, 0.8)
    )
    np.testing.assert_allclose(cropped.hu, ramp(cropped.geometry), rtol=1e-5)
    points_right = cropped.geometry.affine_lps[0, 0] < 0
    assert points_right == (side is FemurSide.RIGHT)


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        # 2 mm slices and 0.4 mm pixels on voxels of 1.0 x 0.8 x 0.8 mm, from the box's corner
        (FemurSide.LEFT, Box((0, 1, 2), (4, 3, 4))),
        (FemurSide.RIGHT, Box((0, 1, 1), (4, 3, 3))),
    ],
    ids=["left", "right, flipped"],
)
def test_a_piece_is_the_same_place_on_the_networks_grid(side: FemurSide, expected: Box) -> None:
    geometry = VolumeGeometry.axis_aligned((6, 12, 14), SpacingMm(2.0, 0.4, 0.4))
    volume = CtVolume(ramp(geometry), geometry)
    crop = FemurCrop(side, Box((1, 1, 1), (6, 11, 11)), pieces=(Box((1, 3, 5), (3, 7, 9)),))
    assert to_network_grid(volume, crop, SpacingMm(1.0, 0.8, 0.8)).pieces == (expected,)


def test_a_leaning_scan_has_no_pieces_on_the_upright_grid() -> None:
    tilted = np.diag([0.8, 0.8, 2.0, 1.0])
    tilted[1, 2] = 2.0 * np.tan(np.radians(20))
    geometry = VolumeGeometry((6, 12, 14), tilted)
    crop = FemurCrop(
        FemurSide.LEFT, Box((1, 1, 1), (6, 11, 11)), pieces=(Box((1, 3, 5), (3, 7, 9)),)
    )
    cropped = to_network_grid(CtVolume(ramp(geometry), geometry), crop, SpacingMm(1.0, 0.8, 0.8))
    assert cropped.pieces == ()


def test_a_mirrored_scan_gives_the_same_samples_to_the_other_side() -> None:
    # 9 columns of 1 mm do not fill whole steps of 0.8 mm: the grid must start at the mirrored face
    geometry = VolumeGeometry.axis_aligned((4, 5, 12), SpacingMm(2.0, 1.0, 1.0), (-3.0, 4.0, 5.0))
    hu = np.random.default_rng(0).normal(0, 300, geometry.shape_zyx).astype(np.float32)
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    mirrored = VolumeGeometry(geometry.shape_zyx, mirror @ geometry.flip_x().affine_lps)
    spacing = SpacingMm(1.0, 0.8, 0.8)
    left = FemurCrop(FemurSide.LEFT, Box((0, 1, 2), (4, 5, 11)))
    right = FemurCrop(FemurSide.RIGHT, Box((0, 1, 1), (4, 5, 10)))
    as_left = to_network_grid(CtVolume(hu, geometry), left, spacing)
    as_right = to_network_grid(CtVolume(hu[:, :, ::-1], mirrored), right, spacing)
    np.testing.assert_allclose(as_right.hu, as_left.hu, atol=1e-3)
    np.testing.assert_allclose(
        mirror @ as_right.geometry.affine_lps, as_left.geometry.affine_lps, atol=1e-9
    )
