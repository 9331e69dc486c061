"""What the paper's Table 2 measures of one femur, the whole femur, and a slab of the neck."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from model_export.cases import TRUST_BOTH, TRUST_PERIOSTEAL, Uint8Array
from service.domain.findings import Vector
from service.domain.geometry import Box, VolumeGeometry
from service.domain.imaging import BoolArray, FemurMasks, FemurRegion, FemurRegions
from service.pipeline.masks import cuts_of
from service.pipeline.measurements import MM3_PER_CM3
from service.pipeline.partition import HalfSpace
from service.pipeline.regions import divide

PAPER_NECK_CM3 = 6.83
"""The paper's mean volume of the neck (Table 2). Its software bounds a much shorter neck than
``regions/v1`` does, so a relative error of ours on the whole neck is not like its."""

LARGEST_SLAB_MM = 40.0
"""A neck that needs a thicker slab to hold ``PAPER_NECK_CM3`` is none."""

BISECTIONS = 24
"""Halvings of ``LARGEST_SLAB_MM``: to 2.4 nm, below the step from one voxel to the next."""

NECK_REACH_MM = 60.0
"""From the neck's centre past the neck's surface, however oblique the slab."""

NAN = float("nan")


class Part(Enum):
    """A part of the femur as the labels of ``regions/v1`` it is made of."""

    HEAD = (FemurRegion.HEAD,)
    NECK = (FemurRegion.NECK,)
    COMBINATION = (FemurRegion.NECK, FemurRegion.TROCHANTER, FemurRegion.INTERTROCHANTER)
    FEMUR = ()
    """All of it in view, shaft included."""
    SLAB = None
    """See ``NeckSlab``."""


@dataclass(frozen=True)
class Target:
    """A row of Table 2: a part of the femur, all its bone or the cortical only."""

    name: str
    part: Part
    cortical: bool = False


TARGETS = (
    Target("Femur head", Part.HEAD),
    Target("Femur neck", Part.NECK),
    Target("Combination", Part.COMBINATION),
    Target("Cortical bone in femur neck", Part.NECK, cortical=True),
    Target("Cortical bone in combination", Part.COMBINATION, cortical=True),
    Target("Entire femur in view", Part.FEMUR),
    Target("Cortical bone in entire femur", Part.FEMUR, cortical=True),
    Target("Neck slab", Part.SLAB),
    Target("Cortical bone in neck slab", Part.SLAB, cortical=True),
)
"""The paper's five rows in its order, then ours."""


@dataclass(frozen=True)
class NeckSlab:
    """A slab perpendicular to the neck axis, symmetric about the neck centre O.

    Attributes:
        centre_lps_mm: O.
        axis_lps: unit.
        thickness_mm: of the slab.
    """

    centre_lps_mm: Vector
    axis_lps: Vector
    thickness_mm: float


@dataclass(frozen=True, eq=False)
class DividedFemur:
    """Both surfaces of a left femur and its regions."""

    masks: FemurMasks
    regions: FemurRegions


def divided(masks: FemurMasks) -> DividedFemur:
    """The femur by ``regions/v1``; the ends of the masks' grid are the ends of the scan."""
    cuts = cuts_of(masks.periosteal, ((True, True),) * 3)
    return DividedFemur(masks, divide(masks, cuts))


def neck_slab(reference: DividedFemur, volume_cm3: float = PAPER_NECK_CM3) -> NeckSlab | None:
    """The slab about O that holds a given volume of the reference.

    Returns:
        None where the reference has no neck axis or the neck is too thin.
    """
    geometry = reference.regions.geometry
    if geometry.neck_centre_lps_mm is None or geometry.neck_axis_lps is None:
        return None
    slab = NeckSlab(geometry.neck_centre_lps_mm, geometry.neck_axis_lps, LARGEST_SLAB_MM)
    mask, grid = reference.masks.periosteal, reference.masks.geometry
    voxels = volume_cm3 * MM3_PER_CM3 / grid.voxel_volume_mm3
    if slab_of(mask, grid, slab).sum() < voxels:
        return None
    low, high = 0.0, LARGEST_SLAB_MM
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        slab = NeckSlab(slab.centre_lps_mm, slab.axis_lps, middle)
        if slab_of(mask, grid, slab).sum() < voxels:
            low = middle
        else:
            high = middle
    return NeckSlab(slab.centre_lps_mm, slab.axis_lps, high)


def slab_of(mask: BoolArray, grid: VolumeGeometry, slab: NeckSlab) -> BoolArray:
    """The mask's piece within the slab that holds O (the greater trochanter overhangs, too).

    Returns:
        bool ``[z, y, x]``; all false where O lies in no bone.
    """
    found: BoolArray = np.zeros_like(mask)
    centre = np.rint(grid.lps_to_index(slab.centre_lps_mm)).astype(int)
    if not mask[tuple(centre)]:
        return found
    box = _box_about(centre, grid)
    plane = HalfSpace(np.array(slab.centre_lps_mm), np.array(slab.axis_lps))
    height_mm = np.abs(plane.height_mm(grid.crop(box)))
    pieces, _ = ndimage.label(mask[box.slices] & (height_mm <= 0.5 * slab.thickness_mm))
    within = pieces[tuple(centre - box.start_zyx)]
    found[box.slices] = (pieces == within) & (pieces > 0)
    return found


def _box_about(centre_zyx: npt.NDArray[np.int64], grid: VolumeGeometry) -> Box:
    """Voxels within ``NECK_REACH_MM`` of a voxel along each axis, as far as the grid goes."""
    reach = np.ceil(NECK_REACH_MM / np.array(grid.spacing_mm)).astype(int)
    low = np.maximum(centre_zyx - reach, 0)
    high = np.minimum(centre_zyx + reach + 1, grid.shape_zyx)
    return Box((int(low[0]), int(low[1]), int(low[2])), (int(high[0]), int(high[1]), int(high[2])))


def target_volumes_cm3(femur: DividedFemur, slab: NeckSlab | None) -> tuple[float, ...]:
    """Volumes in the order of ``TARGETS``: voxels times voxel volume.

    Returns:
        NaN for a part that could not be bounded, for cortical bone without endosteal surface, and
        for all parts of a femur that was not found.
    """
    voxel_cm3 = femur.masks.geometry.voxel_volume_mm3 / MM3_PER_CM3
    found = []
    for target in TARGETS:
        part = _part(femur, target.part, slab)
        if part is None or not _is_known(femur.masks, target):
            found.append(NAN)
        else:
            bone = part & ~femur.masks.endosteal if target.cortical else part
            found.append(float(bone.sum()) * voxel_cm3)
    return tuple(found)


def _is_known(masks: FemurMasks, target: Target) -> bool:
    """Whether the surfaces that a target needs were found."""
    return bool((masks.endosteal if target.cortical else masks.periosteal).any())


def trusted_targets(
    reference: DividedFemur, slab: NeckSlab | None, trust: Uint8Array
) -> tuple[bool, ...]:
    """For each of ``TARGETS``: whether every voxel of it in the reference may be trusted.

    Args:
        reference: divided.
        slab: of the reference.
        trust: ``TrainingCase.trust``; cortical bone needs both surfaces.
    """
    sure = []
    for target in TARGETS:
        part = _part(reference, target.part, slab)
        needed = TRUST_BOTH if target.cortical else TRUST_PERIOSTEAL
        sure.append(part is not None and bool((trust[part] >= needed).all()))
    return tuple(sure)


def _part(femur: DividedFemur, part: Part, slab: NeckSlab | None) -> BoolArray | None:
    """The part's voxels; None where it could not be bounded."""
    masks, labels = femur.masks, femur.regions.labels
    if part is Part.FEMUR:
        return masks.periosteal
    if part is Part.SLAB:
        return None if slab is None else slab_of(masks.periosteal, masks.geometry, slab)
    if not all((labels == region).any() for region in part.value):
        return None
    found: BoolArray = np.isin(labels, part.value)
    return found
