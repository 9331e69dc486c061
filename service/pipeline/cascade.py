"""One femur on the networks' grid -> its two surfaces: the cascade of the paper (section 3.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from service.domain.findings import FemurSide
from service.domain.geometry import Box, VolumeGeometry
from service.domain.imaging import BoolArray, CroppedVolume, FemurMasks, ProbabilityMap
from service.domain.ports import PatchPredictor
from service.pipeline.masks import (
    MIN_FEMUR_CM3,
    OtsuThreshold,
    find_threshold,
    inside_only,
    on_source_grid,
    solid,
)
from service.pipeline.measurements import MM3_PER_CM3
from service.pipeline.probabilities import probability_map

MASK_MARGIN = 8
"""Voxels kept around the periosteal mask for the endosteal network: its first two levels' reach."""


@dataclass(frozen=True)
class Networks:
    """Both networks of the cascade."""

    periosteal: PatchPredictor
    endosteal: PatchPredictor


@dataclass(frozen=True, eq=False)
class Surface:
    """One surface on the networks' grid and how it was cut out of the probabilities.

    Attributes:
        probabilities: of the network, 0 in what else it marked.
        threshold: Otsu's.
        mask: bool ``[z, y, x]`` on the probabilities' grid, one component without holes.
    """

    probabilities: ProbabilityMap
    threshold: OtsuThreshold
    mask: BoolArray


def find_surface(
    crop: CroppedVolume,
    network: PatchPredictor,
    stride_z: int | None,
    after_window: Callable[[], None],
) -> Surface | None:
    """One surface of one femur on the networks' grid; None where the network saw nothing.

    Args:
        crop: what the network looks at.
        network: the periosteal or the endosteal one.
        stride_z: see ``plan_windows``.
        after_window: called after each window; may raise to stop.
    """
    probabilities = probability_map(crop, network, stride_z, after_window)
    threshold = find_threshold(probabilities)
    if threshold is None:
        return None
    marked = probabilities.values > threshold.value
    bone_zyx = probabilities.geometry.lps_to_index(np.reshape(crop.bone_lps_mm, (-1, 3)))
    mask = solid(marked, bone_zyx)
    alone = np.where(marked & ~mask, np.float32(0), probabilities.values)
    return Surface(ProbabilityMap(alone, probabilities.geometry), threshold, mask)


def is_femur(periosteal: Surface) -> bool:
    """Whether what the periosteal network found is large enough to be one."""
    voxel_cm3 = periosteal.probabilities.geometry.voxel_volume_mm3 / MM3_PER_CM3
    return bool(periosteal.mask.sum() * voxel_cm3 >= MIN_FEMUR_CM3)


def masked_crop(crop: CroppedVolume, periosteal: Surface, outside_hu: float) -> CroppedVolume:
    """What the endosteal network looks at: the CT inside the periosteal mask (paper, section 3.2).

    Args:
        crop: what the periosteal network looked at.
        periosteal: what it found there.
        outside_hu: HU outside the mask, from the endosteal network's contract.

    Returns:
        The mask's bounding box with a margin of ``MASK_MARGIN`` voxels, its pieces likewise boxes
        around the mask in their slices; those without any of it are left out.
    """
    box = box_around(periosteal.mask)
    mask = periosteal.mask[box.slices]
    boxed = CroppedVolume(crop.side, crop.hu[box.slices], crop.geometry.crop(box))
    inside = inside_only(boxed, mask, outside_hu)
    ends = [
        (p.start_zyx[0] - box.start_zyx[0], p.stop_zyx[0] - box.start_zyx[0]) for p in crop.pieces
    ]
    slabs = [(max(0, a), min(b, len(mask))) for a, b in ends if a < len(mask) and b > 0]
    return replace(inside, pieces=tuple(_across(mask, *s) for s in slabs if mask[slice(*s)].any()))


def delivered_masks(
    outer: Surface, inner: Surface | None, side: FemurSide, grid: VolumeGeometry
) -> FemurMasks:
    """Both surfaces on the voxels of the source, the endosteal mask within the periosteal one.

    Args:
        outer: the periosteal surface.
        inner: the endosteal surface; None where none was found, which gives an empty mask.
        side: of the femur.
        grid: of the crop box in the source.
    """
    periosteal = on_source_grid(outer.probabilities, outer.threshold, grid)
    if inner is None:
        endosteal = np.zeros_like(periosteal)
    else:
        endosteal = on_source_grid(inner.probabilities, inner.threshold, grid) & periosteal
    return FemurMasks(side, periosteal, endosteal, grid)


def _across(mask: BoolArray, start: int, stop: int) -> Box:
    """Some slices of a mask, in plane only the box around it."""
    box = box_around(mask[start:stop])
    return Box((start, *box.start_zyx[1:]), (stop, *box.stop_zyx[1:]))


def box_around(mask: BoolArray) -> Box:
    """The mask's bounding box with a margin, within the array."""
    starts, stops = [], []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        occupied = np.flatnonzero(mask.any(axis=others))
        starts.append(max(0, int(occupied[0]) - MASK_MARGIN))
        stops.append(min(mask.shape[axis], int(occupied[-1]) + 1 + MASK_MARGIN))
    return Box((starts[0], starts[1], starts[2]), (stops[0], stops[1], stops[2]))
