"""Random changes of a training patch: where its voxels lie, and what their HU look like."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from model_export.config import AugmentationConfig, SizeZyx

FloatArray = npt.NDArray[np.float32]

APPLY_SHARE = 0.4
"""Share of patches each of noise, brightness, blur, sharpening and slabs is applied to."""

WIDE_PIXEL_SHARE = 0.15
"""Share of patches with wide pixels, which few scans have."""


def random_matrix(config: AugmentationConfig, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A 3x3 matrix, output offset to input offset (z, y, x) in voxels: scaling, then rotation.

    Voxels are taken as cubes; at 1.0 x 0.8 x 0.8 mm a small rotation shears a little, harmlessly.
    """
    limit = np.deg2rad(config.rotation_deg)
    vector = rng.uniform(-limit, limit, 3)
    generator = np.array(
        [
            [0.0, -vector[2], vector[1]],
            [vector[2], 0.0, -vector[0]],
            [-vector[1], vector[0], 0.0],
        ]
    )
    turn = torch.linalg.matrix_exp(torch.from_numpy(generator)).numpy()
    size = rng.uniform(1 - config.scale, 1 + config.scale)
    return np.asarray(turn / size, dtype=np.float64)


def source_size(matrix: npt.NDArray[np.float64], patch_zyx: SizeZyx) -> SizeZyx:
    """Size of the block, centred alike, that ``warp`` needs for a patch."""
    reach = np.abs(matrix) @ np.array(patch_zyx)
    z, y, x = (2 * (int(np.ceil(r / 2)) + 1) for r in reach)
    return z, y, x


def warp(block: FloatArray, matrix: npt.NDArray[np.float64], patch_zyx: SizeZyx) -> FloatArray:
    """A patch by one linear interpolation of every channel about the block's centre.

    Args:
        block: float32 ``[channel, z, y, x]``, at least ``source_size`` large.
        matrix: from ``random_matrix``.
        patch_zyx: size of the patch.

    Returns:
        float32 ``[channel, z, y, x]`` of that size.
    """
    # affine_grid counts x, y, z in half sizes: output unit cube -> voxels -> input unit cube
    half_out = np.array(patch_zyx[::-1]) / 2
    half_in = np.array(block.shape[:0:-1]) / 2
    theta = np.zeros((1, 3, 4), dtype=np.float32)
    theta[0, :, :3] = matrix[::-1, ::-1] * half_out[None, :] / half_in[:, None]
    size = [1, block.shape[0], *patch_zyx]
    grid = functional.affine_grid(torch.from_numpy(theta), size, align_corners=False)
    source = torch.from_numpy(block)[None]
    sampled: Tensor = functional.grid_sample(
        source, grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    return np.asarray(sampled[0].numpy(), dtype=np.float32)


def change_appearance(
    hu: FloatArray, config: AugmentationConfig, rng: np.random.Generator
) -> FloatArray:
    """Thick slices, wide pixels, blur or sharpening, brightness and noise, each on some patches.

    Args:
        hu: float32 ``[z, y, x]``.
        config: the ranges.
        rng: the patch's own generator.

    Returns:
        float32, same shape; the input is left as it is.
    """
    if config.slab_voxels > 1 and rng.random() < APPLY_SHARE:
        slab = int(rng.integers(2, config.slab_voxels + 1))
        hu = thick_slices(hu, slab, int(rng.integers(slab)))
    if config.pixel_voxels > 1 and rng.random() < WIDE_PIXEL_SHARE:
        side = int(rng.integers(2, config.pixel_voxels + 1))
        for axis in (1, 2):
            turned = thick_slices(hu.swapaxes(0, axis), side, int(rng.integers(side)))
            hu = turned.swapaxes(0, axis)
    if config.blur_voxels > 0 and rng.random() < APPLY_SHARE:
        hu = ndimage.gaussian_filter(hu, rng.uniform(0.3, 1.0) * config.blur_voxels, truncate=3)
    elif config.sharpen > 0 and rng.random() < APPLY_SHARE:
        soft = ndimage.gaussian_filter(hu, 1.0, truncate=2)
        hu = hu + np.float32(rng.uniform(0, config.sharpen)) * (hu - soft)
    if rng.random() < APPLY_SHARE:
        hu = hu * np.float32(1 + rng.uniform(-config.gain, config.gain))
        hu = hu + np.float32(rng.uniform(-config.offset_hu, config.offset_hu))
        mean = hu.mean()
        hu = mean + (hu - mean) * np.float32(1 + rng.uniform(-config.contrast, config.contrast))
    if config.noise_hu > 0 and rng.random() < APPLY_SHARE:
        sigma = np.float32(rng.uniform(0, config.noise_hu))
        hu = hu + sigma * rng.standard_normal(hu.shape, dtype=np.float32)
    return np.asarray(hu, dtype=np.float32)


def thick_slices(hu: FloatArray, slab: int, phase: int) -> FloatArray:
    """As a scan of thick slices that touch would show it, once resampled for the networks.

    Args:
        hu: float32 ``[z, y, x]``.
        slab: voxels along z that a slice averages, and between two slices.
        phase: voxel that the first slice's middle lies in, or at the lower border of; 0 to
            ``slab - 1``.

    Returns:
        float32, same shape: slice means, linear between the slices' middles, the nearest beyond.
    """
    means = ndimage.uniform_filter1d(hu, slab, axis=0, mode="nearest")[phase::slab]
    # the filter takes one voxel more below than above where their number is even
    middle = phase if slab % 2 else phase - 0.5
    index = np.clip((np.arange(len(hu)) - middle) / slab, 0, len(means) - 1)
    low = index.astype(int)
    high = np.minimum(low + 1, len(means) - 1)
    share = (index - low).astype(np.float32)[:, None, None]
    return np.asarray(means[low] * (1 - share) + means[high] * share, dtype=np.float32)


PERTURBATION_BLUR_VOXELS = 1.5
PERTURBATION_LEVEL = 0.27
"""Moves a flat surface by 1 voxel: a blurred edge falls by 1 / (1.5 sqrt(2 pi)) a voxel."""
PERTURBATION_GRID = 4
"""Independent values of the shift along each side of a patch, so that it changes smoothly."""


def perturb_surface(mask: npt.NDArray[np.bool_], rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """The mask with its surface moved in or out by up to about one voxel, smoothly varying.

    The endosteal network is trained on such masks, since in use the periosteal one is not exact.

    Args:
        mask: bool ``[z, y, x]``.
        rng: the patch's own generator.

    Returns:
        bool, same shape.
    """
    coarse = rng.uniform(-1, 1, (PERTURBATION_GRID,) * 3).astype(np.float32)
    bias = rng.uniform(-0.5, 0.5)
    shift: Tensor = functional.interpolate(
        torch.from_numpy(np.clip(coarse + np.float32(bias), -1, 1))[None, None],
        size=mask.shape,
        mode="trilinear",
        align_corners=True,
    )
    soft = ndimage.gaussian_filter(
        mask.astype(np.float32), PERTURBATION_BLUR_VOXELS, truncate=2, mode="nearest"
    )
    return np.asarray(soft > 0.5 + PERTURBATION_LEVEL * shift[0, 0].numpy(), dtype=np.bool_)
