"""Regions -> volumes: voxels of the delivered masks times the voxel volume, nothing else."""

from __future__ import annotations

import numpy as np

from service.domain.findings import Compartments, RegionalVolumes
from service.domain.imaging import COMBINATION, TOTAL, FemurMasks, FemurRegion, FemurRegions

MM3_PER_CM3 = 1000.0


def measure(masks: FemurMasks, regions: FemurRegions) -> RegionalVolumes:
    """Volumes of one femur's regions in cm3.

    Cortical is periosteal minus endosteal. A region without a voxel could not be bounded and is
    null, one without an endosteal voxel has null compartments (ENDOSTEAL_NOT_FOUND), and so have
    the sums it is part of: ``combination`` is neck + trochanter + intertrochanter (paper, Table
    2), ``total`` adds the head.
    """
    size = max(FemurRegion) + 1
    integral = np.bincount(regions.labels[masks.periosteal], minlength=size)
    trabecular = np.bincount(regions.labels[masks.endosteal], minlength=size)
    voxel_cm3 = masks.geometry.voxel_volume_mm3 / MM3_PER_CM3

    def volumes(*parts: FemurRegion) -> Compartments | None:
        if any(integral[part] == 0 for part in parts):
            return None
        whole = sum(int(integral[part]) for part in parts)
        inner = sum(int(trabecular[part]) for part in parts)
        divided = all(trabecular[part] > 0 for part in parts)
        return Compartments(
            integral=whole * voxel_cm3,
            cortical=(whole - inner) * voxel_cm3 if divided else None,
            trabecular=inner * voxel_cm3 if divided else None,
        )

    return RegionalVolumes(
        head=volumes(FemurRegion.HEAD),
        neck=volumes(FemurRegion.NECK),
        trochanter=volumes(FemurRegion.TROCHANTER),
        intertrochanter=volumes(FemurRegion.INTERTROCHANTER),
        combination=volumes(*COMBINATION),
        total=volumes(*TOTAL),
    )
