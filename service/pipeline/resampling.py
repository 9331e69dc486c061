"""Volumes from one grid of the patient to another, linearly."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from service.domain.findings import FemurSide
from service.domain.geometry import Box, FloatArray, SpacingMm, VolumeGeometry
from service.domain.imaging import CroppedVolume, CtVolume, FemurCrop

AIR_HU = -1000.0
"""Written where the target grid reaches past the source."""

PARALLEL_TOLERANCE = 1e-9
"""Source voxels that one target voxel's step may leave its axis by: rounding, nothing else."""

TOUCHING = 1e-8
"""Source voxels of overlap that count as none: rounding. Well below what ``network_geometry`` lays
a voxel more for."""

MAX_SHEAR = 1.7e-3
"""Cosine between two axes of a grid up to which it counts as a box: 0.1 degrees, as for tilt."""


def resample(
    values: npt.NDArray[np.generic],
    source: VolumeGeometry,
    target: VolumeGeometry,
    *,
    outside: float,
) -> npt.NDArray[np.float32]:
    """Sample a volume trilinearly at the voxel centres of another grid.

    Args:
        values: ``[z, y, x]`` on ``source``.
        source: grid of ``values``; it may lie obliquely in the patient, or lean (gantry tilt).
        target: grid to sample at.
        outside: value of voxels that lie wholly beyond the source. One that overlaps it takes the
            nearest value there: bone that the end of a scan cuts must reach the last voxel.

    Returns:
        float32 ``[z, y, x]`` on ``target``.
    """
    # index of the target -> LPS -> index of the source, in array order (z, y, x)
    to_source = np.linalg.inv(source.affine_lps) @ target.affine_lps
    matrix = to_source[:3, :3][::-1, ::-1]
    offset = to_source[:3, 3][::-1]
    steps = np.diagonal(matrix)
    along_axes = np.allclose(matrix, np.diag(steps), atol=PARALLEL_TOLERANCE)
    result: npt.NDArray[np.float32] = ndimage.affine_transform(
        values,
        steps if along_axes else matrix,
        offset=offset,
        output_shape=target.shape_zyx,
        output=np.float32,
        order=1,
        mode="nearest",
    )
    first, last = _overlapping(matrix, source.shape_zyx)
    if along_axes:
        for axis, (step, start) in enumerate(zip(steps, offset, strict=True)):
            index = np.arange(target.shape_zyx[axis]) * step + start
            beyond = (index < first[axis]) | (index > last[axis])
            np.moveaxis(result, axis, 0)[beyond] = outside
    else:
        _write_outside(result, matrix, offset, (first, last), outside)
    return result


def _overlapping(
    matrix: FloatArray, source_shape: tuple[int, int, int]
) -> tuple[FloatArray, FloatArray]:
    """Between which source indices a target voxel's centre lies if the voxel overlaps the source.

    Args:
        matrix: target index -> source index without the offset, ``[3, 3]`` in z, y, x.
        source_shape: of the source.

    Returns:
        The lowest and the highest index, ``[3]`` each.
    """
    half_voxel = 0.5 * np.abs(matrix).sum(axis=1)
    reach = 0.5 + half_voxel - TOUCHING
    return -reach, np.array(source_shape) - 1 + reach


def _write_outside(
    result: npt.NDArray[np.float32],
    matrix: FloatArray,
    offset: FloatArray,
    overlapping: tuple[FloatArray, FloatArray],
    outside: float,
) -> None:
    """Write ``outside`` in the voxels of a leaning grid that lie beyond the source, by planes."""
    y, x = np.ogrid[: result.shape[1], : result.shape[2]]
    for z, plane in enumerate(result):
        beyond = np.zeros(plane.shape, np.bool_)
        for row, start, first, last in zip(matrix, offset, *overlapping, strict=True):
            index = row[1] * y + row[2] * x + (row[0] * z + start)
            beyond |= (index < first) | (index > last)
        plane[beyond] = outside


def network_geometry(crop: VolumeGeometry, spacing_mm: SpacingMm) -> VolumeGeometry:
    """The networks' grid over a crop, at the contract's spacing and with axes at right angles.

    Over a box it has the box's corner and axes: the first voxels' outer faces coincide, and the
    last voxels reach at least as far as the crop's. A crop that leans (gantry tilt) keeps its z
    axis, which runs along the patient; the grid is then the smallest that holds the crop.
    """
    axes = _unit_axes(crop)
    if _leans(crop):
        axes = _upright(axes)
    corners = crop.index_to_lps(_outer_corners(crop.shape_zyx))
    along = (corners - corners[0]) @ np.linalg.inv(axes).T
    low, high = along.min(axis=0), along.max(axis=0)
    spacing_xyz = np.array(spacing_mm[::-1])
    x, y, z = (max(1, int(np.ceil(n - 1e-6))) for n in (high - low) / spacing_xyz)
    affine = np.eye(4)
    affine[:3, :3] = axes * spacing_xyz
    affine[:3, 3] = corners[0] + axes @ (low + spacing_xyz / 2)
    return VolumeGeometry((z, y, x), affine)


def _unit_axes(grid: VolumeGeometry) -> FloatArray:
    columns = grid.affine_lps[:3, :3]
    return np.asarray(columns / np.linalg.norm(columns, axis=0))


def _leans(grid: VolumeGeometry) -> bool:
    """Whether a grid is no box (gantry tilt)."""
    axes = _unit_axes(grid)
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() > MAX_SHEAR)


def _upright(axes: FloatArray) -> FloatArray:
    """Unit axes x, y, z as columns at right angles: z stays, x turns least, y follows."""
    z = axes[:, 2]
    x = axes[:, 0] - (axes[:, 0] @ z) * z
    x /= np.linalg.norm(x)
    y = np.cross(z, x)
    return np.column_stack([x, y if y @ axes[:, 1] > 0 else -y, z])


def _outer_corners(shape_zyx: tuple[int, int, int]) -> FloatArray:
    """Indices of a grid's eight outer corners, ``[8, 3]``, the first voxel's first."""
    ends = [(-0.5, n - 0.5) for n in shape_zyx]
    return np.array(list(itertools.product(*ends)))


def to_network_grid(volume: CtVolume, crop: FemurCrop, spacing_mm: SpacingMm) -> CroppedVolume:
    """One femur at the networks' spacing, a right one flipped in x.

    Args:
        volume: HU turned to S, P, L axes.
        crop: one femur's box in it.
        spacing_mm: of the networks.
    """
    source = volume.geometry.crop(crop.box)
    # flipped before the grid is laid, so that a mirrored scan gives mirrored samples to the voxel
    flipped = source.flip_x() if crop.side is FemurSide.RIGHT else source
    target = network_geometry(flipped, spacing_mm)
    hu = resample(volume.hu[crop.box.slices], source, target, outside=AIR_HU)
    # the slices of a leaning crop are not those of the upright grid
    upright = () if _leans(source) else crop.pieces
    pieces = tuple(_box_on(target, volume.geometry, piece) for piece in upright)
    return CroppedVolume(crop.side, hu, target, crop.bone_lps_mm, pieces)


def _box_on(target: VolumeGeometry, source: VolumeGeometry, box: Box) -> Box:
    """The smallest box of one grid that holds a box of another, as far as the grid reaches."""
    corners = source.crop(box).index_to_lps(_outer_corners(box.shape_zyx))
    index = target.lps_to_index(corners) + 0.5
    last = np.array(target.shape_zyx)
    z, y, x = (int(n) for n in np.clip(np.floor(index.min(axis=0) + TOUCHING), 0, last - 1))
    top, back, left = (int(n) for n in np.clip(np.ceil(index.max(axis=0) - TOUCHING), 1, last))
    return Box((z, y, x), (top, back, left))
