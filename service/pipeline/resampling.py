"""Volumes from one grid of the patient to another, linearly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from service.domain.findings import FemurSide
from service.domain.geometry import SpacingMm, VolumeGeometry
from service.domain.imaging import CroppedVolume, CtVolume, FemurCrop
from service.errors import GeometryError

AIR_HU = -1000.0
"""Written where the target grid reaches past the source."""

PARALLEL_TOLERANCE = 1e-9
"""Source voxels that one target voxel's step may leave its axis by: rounding, nothing else."""


def resample(
    values: npt.NDArray[np.generic],
    source: VolumeGeometry,
    target: VolumeGeometry,
    *,
    outside: float,
) -> npt.NDArray[np.float32]:
    """Sample a volume trilinearly at the voxel centres of a grid whose axes run alike.

    Args:
        values: ``[z, y, x]`` on ``source``.
        source: grid of ``values``; it may lie obliquely in the patient.
        target: grid to sample at, each axis parallel to the source's or against it.
        outside: value half a voxel and more beyond the source.

    Returns:
        float32 ``[z, y, x]`` on ``target``.

    Raises:
        GeometryError: if an axis of ``target`` is not parallel to the same axis of ``source``.
    """
    # index of the target -> LPS -> index of the source, in array order (z, y, x)
    to_source = np.linalg.inv(source.affine_lps) @ target.affine_lps
    matrix = to_source[:3, :3][::-1, ::-1]
    steps = np.diagonal(matrix)
    if not np.allclose(matrix, np.diag(steps), atol=PARALLEL_TOLERANCE):
        raise GeometryError("two grids must have parallel axes to be resampled axis by axis")
    offset = to_source[:3, 3][::-1]
    result: npt.NDArray[np.float32] = ndimage.affine_transform(
        values,
        steps,
        offset=offset,
        output_shape=target.shape_zyx,
        output=np.float32,
        order=1,
        mode="nearest",
    )
    for axis, (step, start) in enumerate(zip(steps, offset, strict=True)):
        index = np.arange(target.shape_zyx[axis]) * step + start
        beyond = (index < -0.5) | (index > source.shape_zyx[axis] - 0.5)
        np.moveaxis(result, axis, 0)[beyond] = outside
    return result


def network_geometry(crop: VolumeGeometry, spacing_mm: SpacingMm) -> VolumeGeometry:
    """The networks' grid over a crop: same corner and axes, the contract's spacing.

    The first voxels' outer faces coincide, and the last voxels reach at least as far as the crop's.
    """
    own = crop.spacing_mm
    shape = tuple(
        max(1, int(np.ceil(n * a / b - 1e-6)))
        for n, a, b in zip(crop.shape_zyx, own, spacing_mm, strict=True)
    )
    affine = crop.affine_lps.copy()
    scale_xyz = np.array([spacing_mm.x / own.x, spacing_mm.y / own.y, spacing_mm.z / own.z])
    affine[:3, :3] *= scale_xyz
    first_centre_zyx = (scale_xyz[::-1] - 1) / 2
    affine[:3, 3] = crop.index_to_lps(first_centre_zyx)
    return VolumeGeometry((shape[0], shape[1], shape[2]), affine)


def to_network_grid(volume: CtVolume, crop: FemurCrop, spacing_mm: SpacingMm) -> CroppedVolume:
    """One femur at the networks' spacing, a right one flipped in x.

    Args:
        volume: HU turned to S, P, L axes.
        crop: one femur's box in it.
        spacing_mm: of the networks.
    """
    source = volume.geometry.crop(crop.box)
    target = network_geometry(source, spacing_mm)
    hu = resample(volume.hu[crop.box.slices], source, target, outside=AIR_HU)
    if crop.side is FemurSide.RIGHT:
        return CroppedVolume(crop.side, np.ascontiguousarray(hu[:, :, ::-1]), target.flip_x())
    return CroppedVolume(crop.side, hu, target)
