"""HU per compartment and, with a calibration, density and mineral content."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from service.domain.calibration import Calibration
from service.domain.geometry import FloatArray
from service.domain.imaging import COMBINATION, TOTAL, BoolArray, FemurRegion
from service.domain.measurements import CompartmentDensity, RegionalDensity, RegionDensity
from service.pipeline.left_femur import LeftFemur

MM3_PER_CM3 = 1000.0
MG_PER_G = 1000.0


@dataclass(frozen=True, eq=False)
class _Sums:
    """Per label: voxels, their HU summed, and their squares summed; float64 ``[labels]``."""

    count: FloatArray
    hu: FloatArray
    squares: FloatArray

    def minus(self, other: _Sums) -> _Sums:
        return _Sums(self.count - other.count, self.hu - other.hu, self.squares - other.squares)


def measure_density(femur: LeftFemur, calibration: Calibration | None) -> RegionalDensity:
    """HU, and density with a calibration, of every region and compartment.

    The voxels are those of the delivered masks, whole; nothing is eroded, so thin cortex carries
    the blur of the scan (PARTIAL_VOLUME). A region without a voxel is null, and without an
    endosteal voxel its compartments are.
    """
    integral = _sums(femur, femur.outer_mask.inside)
    trabecular = _sums(femur, femur.inner_mask)
    cortical = integral.minus(trabecular)
    voxel_cm3 = femur.geometry.voxel_volume_mm3 / MM3_PER_CM3

    def compartment(sums: _Sums, parts: tuple[FemurRegion, ...]) -> CompartmentDensity | None:
        chosen = list(parts)
        count = float(sums.count[chosen].sum())
        if count == 0:
            return None
        mean = float(sums.hu[chosen].sum()) / count
        spread = sqrt(max(float(sums.squares[chosen].sum()) / count - mean**2, 0.0))
        return _density(mean, spread, count * voxel_cm3, calibration)

    def region(*parts: FemurRegion) -> RegionDensity | None:
        if any(integral.count[part] == 0 for part in parts):
            return None
        whole = compartment(integral, parts)
        if whole is None:
            return None
        divided = all(trabecular.count[part] > 0 for part in parts)
        return RegionDensity(
            integral=whole,
            cortical=compartment(cortical, parts) if divided else None,
            trabecular=compartment(trabecular, parts) if divided else None,
        )

    return RegionalDensity(
        head=region(FemurRegion.HEAD),
        neck=region(FemurRegion.NECK),
        trochanter=region(FemurRegion.TROCHANTER),
        intertrochanter=region(FemurRegion.INTERTROCHANTER),
        combination=region(*COMBINATION),
        total=region(*TOTAL),
    )


def _sums(femur: LeftFemur, mask: BoolArray) -> _Sums:
    size = max(FemurRegion) + 1
    labels = femur.labels[mask]
    hu = femur.hu[mask].astype(np.float64)
    return _Sums(
        np.bincount(labels, minlength=size).astype(np.float64),
        np.bincount(labels, hu, size).astype(np.float64),
        np.bincount(labels, hu**2, size).astype(np.float64),
    )


def _density(
    mean_hu: float, sd_hu: float, volume_cm3: float, calibration: Calibration | None
) -> CompartmentDensity:
    if calibration is None:
        return CompartmentDensity(mean_hu=mean_hu, sd_hu=sd_hu)
    density = calibration.density_mg_cm3(mean_hu)
    uncertainty = calibration.uncertainty_mg_cm3(mean_hu)
    return CompartmentDensity(
        mean_hu=mean_hu,
        sd_hu=sd_hu,
        vbmd_mg_cm3=density,
        vbmd_uncertainty_mg_cm3=uncertainty,
        bmc_g=density * volume_cm3 / MG_PER_G,
        bmc_uncertainty_g=uncertainty * volume_cm3 / MG_PER_G if uncertainty is not None else None,
    )
