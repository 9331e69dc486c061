import numpy as np
import pytest
from scipy import ndimage

from model_export.augmentation import (
    change_appearance,
    perturb_surface,
    random_matrix,
    source_size,
    thick_slices,
    warp,
)
from model_export.config import AugmentationConfig, cpu

NOTHING = AugmentationConfig(noise_hu=0, offset_hu=0, gain=0, contrast=0, scale=0)


def _ramp(shape: tuple[int, int, int], axis: int) -> np.ndarray:
    """Distance in voxels from the grid's centre along an axis, as one channel."""
    index = np.indices(shape)[axis] - (shape[axis] - 1) / 2
    return index[None].astype(np.float32)


def test_without_scaling_and_rotation_a_patch_is_the_middle_of_its_block():
    matrix = random_matrix(NOTHING, np.random.default_rng(0))
    size = source_size(matrix, (8, 8, 8))
    assert size == (10, 10, 10)
    for axis in range(3):
        expected = _ramp(size, axis)[:, 1:-1, 1:-1, 1:-1]
        assert np.allclose(warp(_ramp(size, axis), matrix, (8, 8, 8)), expected, atol=1e-5)


def test_half_a_voxel_per_voxel_is_magnification_by_two():
    matrix = np.diag([0.5, 1.0, 1.0])
    block = _ramp(source_size(matrix, (8, 6, 10)), 0)
    assert np.allclose(warp(block, matrix, (8, 6, 10)), 0.5 * _ramp((8, 6, 10), 0), atol=1e-5)


def test_the_matrix_takes_offsets_in_array_order():
    # a row step moves one slice, a slice step one row back
    matrix = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    size = source_size(matrix, (6, 6, 6))
    assert np.allclose(warp(_ramp(size, 0), matrix, (6, 6, 6)), _ramp((6, 6, 6), 1), atol=1e-5)
    assert np.allclose(warp(_ramp(size, 1), matrix, (6, 6, 6)), -_ramp((6, 6, 6), 0), atol=1e-5)


def test_every_drawn_matrix_scales_within_its_range():
    config = cpu("periosteal").augmentation
    rng = np.random.default_rng(0)
    for _ in range(50):
        size = 1 / np.cbrt(np.linalg.det(random_matrix(config, rng)))
        assert 0.85 <= size <= 1.15


def test_the_appearance_of_a_patch_depends_on_its_generator_alone():
    hu = np.random.default_rng(1).normal(100, 300, (12, 12, 12)).astype(np.float32)
    config = cpu("periosteal").augmentation
    first = change_appearance(hu, config, np.random.default_rng(5))
    again = change_appearance(hu, config, np.random.default_rng(5))
    other = change_appearance(hu, config, np.random.default_rng(6))
    assert first.dtype == np.float32
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_thick_slices_are_means_joined_by_straight_lines():
    hu = np.array([0, 30, 60, 90, 0, 0, 0, 0, 0], dtype=np.float32)
    column = np.broadcast_to(hu[:, None, None], (9, 2, 2))

    thick = thick_slices(column, 3, 1)

    # middles at voxels 1, 4 and 7: means 30, 30 and 0; before the first and past the last nearest
    np.testing.assert_allclose(thick[:, 0, 0], [30, 30, 30, 30, 30, 20, 10, 0, 0], atol=1e-4)
    np.testing.assert_array_equal(thick[:, 1, 1], thick[:, 0, 0])


@pytest.mark.parametrize("slab", [2, 3, 4, 5, 6])
def test_thick_slices_shift_nothing(slab: int) -> None:
    ramp = np.broadcast_to(np.arange(40, dtype=np.float32)[:, None, None], (40, 1, 1))

    inner = slice(2 * slab, 40 - 2 * slab)
    np.testing.assert_allclose(thick_slices(ramp, slab, 1)[inner], ramp[inner], atol=1e-4)


def test_the_first_thick_slice_begins_where_its_phase_says():
    ramp = np.broadcast_to(np.arange(8, dtype=np.float32)[:, None, None], (8, 1, 1))

    assert thick_slices(ramp, 3, 2)[:3, 0, 0].tolist() == [2, 2, 2]


def test_wide_pixels_smooth_in_plane_only_and_shift_nothing():
    config = NOTHING.model_copy(update={"pixel_voxels": 4})
    z, y, x = np.meshgrid(*[np.arange(24, dtype=np.float32)] * 3, indexing="ij")
    ramps = 100 * (z % 2) + 3 * y + 2 * x
    noise = np.random.default_rng(1).normal(0, 100, (24, 24, 24)).astype(np.float32)
    inner = (slice(None), slice(8, 16), slice(8, 16))
    smoothed = 0
    for seed in range(60):
        np.testing.assert_allclose(
            change_appearance(ramps, config, np.random.default_rng(seed))[inner],
            ramps[inner],
            atol=1e-3,
        )
        changed = change_appearance(noise, config, np.random.default_rng(seed))
        smoothed += bool(changed.std() < 0.6 * noise.std())
    assert 1 <= smoothed <= 20


def test_with_every_range_zero_the_appearance_stays():
    hu = np.random.default_rng(1).normal(100, 300, (6, 6, 6)).astype(np.float32)
    for seed in range(10):
        changed = change_appearance(hu, NOTHING, np.random.default_rng(seed))
        assert np.allclose(changed, hu, atol=1e-3)


def test_a_perturbed_surface_moves_by_up_to_about_a_voxel():
    mask = np.zeros((32, 32, 32), dtype=bool)
    mask[8:24, 8:24, 8:24] = True
    inner = ndimage.binary_erosion(mask, iterations=2)
    outer = ndimage.binary_dilation(mask, iterations=2)
    changed = 0
    for seed in range(10):
        moved = perturb_surface(mask, np.random.default_rng(seed))
        flat = (slice(None), slice(12, 20), slice(12, 20))  # away from the cube's edges
        assert (moved[flat] <= outer[flat]).all()
        assert (moved[flat] >= inner[flat]).all()
        changed += int((moved != mask).sum())
    assert changed > 0
