"""Regions seen from the front: areal density as CTXA and DXA would give it.

CTXA turns the hip as a DXA scan would show it, adds up the mineral along the rays and divides by
the area (Khoo et al., Osteoporos Int 2009; Cann et al., PLoS One 2014). Here the view runs along
p = S x N, which takes the neck's version out as internal rotation of the leg does. Soft tissue
plays no part, and the regions are our own, so values are equivalent at best.
"""

from __future__ import annotations

import numpy as np

from service.domain.geometry import FloatArray
from service.domain.imaging import COMBINATION, FemurRegion
from service.domain.measurements import (
    CompartmentDensity,
    ProjectedDensity,
    ProjectedRegion,
    RegionalDensity,
    RegionDensity,
)
from service.pipeline.left_femur import LeftFemur
from service.pipeline.sections import perpendicular_axes

STEP_MM = 1.0
"""Of the rays, and of the samples along each."""

MM2_PER_CM2 = 100.0


def project(femur: LeftFemur, density: RegionalDensity) -> ProjectedDensity | None:
    """Mineral by shadow, region by region.

    Where regions hide one another a ray counts for each; the combination's shadow is their union.

    Args:
        femur: with a shaft axis, else there is no view direction.
        density: with mineral contents, else there is nothing to project.

    Returns:
        None without a view direction or without any mineral content.
    """
    posterior = femur.axes.posterior if femur.axes is not None else None
    if posterior is None:
        return None
    shadows = _shadows_cm2(femur, posterior)
    projected = ProjectedDensity(
        neck=_region(density.neck, shadows[FemurRegion.NECK]),
        trochanter=_region(density.trochanter, shadows[FemurRegion.TROCHANTER]),
        intertrochanter=_region(density.intertrochanter, shadows[FemurRegion.INTERTROCHANTER]),
        combination=_region(density.combination, shadows[0]),
    )
    measured = (projected.neck, projected.trochanter, projected.intertrochanter)
    return projected if any(region is not None for region in measured) else None


def _region(density: RegionDensity | None, area_cm2: float) -> ProjectedRegion | None:
    whole: CompartmentDensity | None = density.integral if density is not None else None
    if whole is None or whole.bmc_g is None or area_cm2 <= 0:
        return None
    uncertainty = whole.bmc_uncertainty_g
    return ProjectedRegion(
        area_cm2=area_cm2,
        bmc_g=whole.bmc_g,
        abmd_g_cm2=whole.bmc_g / area_cm2,
        abmd_uncertainty_g_cm2=uncertainty / area_cm2 if uncertainty is not None else None,
    )


def _shadows_cm2(femur: LeftFemur, view: FloatArray) -> list[float]:
    """Area of each region's shadow by its label; at 0 that of the combination."""
    u, v = perpendicular_axes(view)
    bone = femur.geometry.index_to_lps(np.argwhere(np.isin(femur.labels, COMBINATION)))
    sizes = [0.0] * (max(FemurRegion) + 1)
    if len(bone) == 0:
        return sizes
    along_u, along_v, along_view = (
        np.arange(h.min() - STEP_MM, h.max() + 2 * STEP_MM, STEP_MM)
        for h in (bone @ u, bone @ v, bone @ view)
    )
    rays = along_u[:, None, None] * u + along_v[None, :, None] * v
    seen = np.zeros((len(sizes), len(along_u), len(along_v)), dtype=np.bool_)
    for depth in along_view:
        labels = femur.sample_labels(rays + depth * view)
        for region in COMBINATION:
            seen[region] |= labels == region
    seen[0] = seen[list(COMBINATION)].any(axis=0)
    return [float(part.sum()) * STEP_MM**2 / MM2_PER_CM2 for part in seen]
