"""Metal at a femur: an implant's regions are not measured, metal elsewhere is told of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from service.domain.findings import FlagCode, QualityFlag, Severity
from service.domain.geometry import VolumeGeometry
from service.domain.imaging import BoolArray, FemurMasks, FemurRegion, FemurRegions, HuArray
from service.pipeline.measurements import MM3_PER_CM3

METAL_HU = 3000.0
"""Dense cortical bone (1.92 g/cm3) has 1300 HU at 80 keV, 1900 at 60 and 2600 at 50, below what an
80 kVp beam has behind a hip; titanium, the lightest implant, has over 8000 at 80 keV (attenuation
coefficients: Hubbell and Seltzer, NISTIR 5632). A scale of 12 bits ends at 3071. Bone of the
reference series has up to 1644."""

MIN_METAL_MM3 = 20.0
"""Touching voxels of metal that make a piece; a thin screw's every 4 mm are more, single bright
voxels less."""

METAL_REACH_MM = 5.0
"""What lies nearer to metal is not measured: the metal's own blur and the dark bands beside it move
the bone's edge. Streaks reach farther; hence the flag wherever there is metal in the crop."""


def exclude_metal(regions: FemurRegions, masks: FemurMasks, hu: HuArray) -> FemurRegions:
    """Drop the regions that metal lies in or at, and flag metal anywhere in the crop.

    Args:
        regions: on the masks' grid.
        masks: of one femur.
        hu: the CT on the masks' grid.

    Returns:
        The regions as they are where there is no metal. ``METAL`` is an error where a region was
        dropped, or where metal lies at a femur of which none could be bounded; else a warning.
    """
    metal = find_metal(hu, masks.geometry)
    if not metal.any():
        return regions
    away_mm = ndimage.distance_transform_edt(~metal, sampling=masks.geometry.spacing_mm)
    near = masks.periosteal & (away_mm < METAL_REACH_MM)
    met = [region for region in FemurRegion if (regions.labels[near] == region).any()]
    if met:
        names = ", ".join(region.name.lower() for region in met)
        place, severity = f"in or at {names}; not measured", Severity.ERROR
    elif near.any() and not regions.labels.any():
        place, severity = "in or at the femur; no region was measured", Severity.ERROR
    elif near.any():
        place, severity = "in or at the femur outside the measured regions", Severity.WARNING
    else:
        place, severity = "near the femur, not at it", Severity.WARNING
    volume_cm3 = np.count_nonzero(metal) * masks.geometry.voxel_volume_mm3 / MM3_PER_CM3
    message = (
        f"metal ({volume_cm3:.2f} cm3 over {METAL_HU:.0f} HU) lies {place}. "
        "Look at the contours for streaks."
    )
    flag = QualityFlag(code=FlagCode.METAL, severity=severity, message=message)
    labels = np.where(np.isin(regions.labels, met), np.uint8(0), regions.labels)
    return replace(regions, labels=labels, flags=(*regions.flags, flag))


def has_metal(regions: FemurRegions) -> bool:
    """Whether ``exclude_metal`` found metal in the crop."""
    return any(flag.code is FlagCode.METAL for flag in regions.flags)


def find_metal(hu: HuArray, geometry: VolumeGeometry) -> BoolArray:
    """Voxels of metal: pieces over ``METAL_HU`` of ``MIN_METAL_MM3`` and more.

    Args:
        hu: ``[z, y, x]``.
        geometry: of ``hu``.
    """
    bright: BoolArray = hu > METAL_HU
    if not bright.any():
        return bright
    pieces, _ = ndimage.label(bright, structure=np.ones((3, 3, 3), dtype=np.bool_))
    large = np.bincount(pieces.ravel()) * geometry.voxel_volume_mm3 >= MIN_METAL_MM3
    large[0] = False
    metal: BoolArray = large[pieces]
    return metal
