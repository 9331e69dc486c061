"""Local cortical thickness -> regions, quadrants of the neck, and stations along the neck."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from service.domain.findings import (
    Compartments,
    FlagCode,
    QualityFlag,
    RegionalVolumes,
    Severity,
)
from service.domain.geometry import FloatArray
from service.domain.imaging import COMBINATION, TOTAL, BoolArray, FemurRegion
from service.domain.measurements import CorticalThickness, NeckQuadrants, NeckStation, Thickness
from service.pipeline.cortical_thickness import ThicknessMap
from service.pipeline.left_femur import FemurAxes

THIN_VOXELS = 3.0
"""Below three voxels, and so below two to three widths of the blurring, a cortex looks thicker and
less dense than it is (Prevrhal 1999, Treece 2010)."""

WARNED_SHARE = 0.5
"""PARTIAL_VOLUME is set where over half of a region's cortex is that thin; the head's always is."""

LOW_PERCENTILE = 5.0

NECK_STATIONS = 10

MAX_CORTEX_MM = 15.0
"""No femur's cortex is thicker (5 to 9 mm at the shaft and the calcar); where the endosteal surface
is farther, the mask lacks it, and the point is left out."""

MIN_MEASURED_SHARE = 0.9
"""A patch is measured only if this share of it has an endosteal surface."""

MIN_SURFACE_MM2 = 10.0
"""A patch smaller than this (about ten voxels' faces) has no percentile worth a number."""


def summarise(local: ThicknessMap, axes: FemurAxes | None) -> CorticalThickness:
    """Thickness by region and place.

    The cut faces between regions are no surface, so regions and quadrants part the surface exactly.

    Args:
        local: of one femur.
        axes: for the neck's quadrants, which need the shaft axis, and stations, which need its
            lateral end; null without.
    """
    labels = local.regions

    def of(*parts: FemurRegion) -> Thickness | None:
        chosen = np.isin(labels, parts)
        if not all((labels == part).any() for part in parts):
            return None
        return _thickness(local, chosen)

    neck = labels == FemurRegion.NECK
    return CorticalThickness(
        head=of(FemurRegion.HEAD),
        neck=of(FemurRegion.NECK),
        trochanter=of(FemurRegion.TROCHANTER),
        intertrochanter=of(FemurRegion.INTERTROCHANTER),
        combination=of(*COMBINATION),
        total=of(*TOTAL),
        neck_quadrants=_quadrants(local, neck, axes) if axes is not None else NeckQuadrants(),
        along_neck=_stations(local, neck, axes) if axes is not None else (),
    )


def thickness_flags(
    thickness: CorticalThickness | None, volumes: RegionalVolumes
) -> tuple[QualityFlag, ...]:
    """What is to be doubted of the cortex.

    ENDOSTEAL_NOT_FOUND where a bounded region holds no endosteal voxel or its cortex, or that of a
    part of the neck, has no endosteal surface; PARTIAL_VOLUME where most of a region's cortex is
    under three voxels thick. Neither without any endosteal surface, which earlier stages tell.
    """
    if thickness is None:
        return ()
    return (*_missing_surface(thickness, volumes), *_partial_volume(thickness))


def _missing_surface(
    thickness: CorticalThickness, volumes: RegionalVolumes
) -> tuple[QualityFlag, ...]:
    missing = []
    for name in (region.name.lower() for region in FemurRegion):
        volume: Compartments | None = getattr(volumes, name)
        if volume is not None and (volume.cortical is None or getattr(thickness, name) is None):
            missing.append(name)
    if volumes.neck is not None:
        missing.extend(_missing_parts(thickness))
    if not missing:
        return ()
    message = (
        f"no endosteal surface under a tenth or more of: {', '.join(missing)}; thickness was not "
        "measured there, and cortical and trabecular figures are in doubt; check the contours"
    )
    return (
        QualityFlag(code=FlagCode.ENDOSTEAL_NOT_FOUND, severity=Severity.ERROR, message=message),
    )


def _missing_parts(thickness: CorticalThickness) -> list[str]:
    """Quadrants and stations that are null though the neck as a whole is not.

    A neck of which every quadrant lacks over a tenth of its endosteal surface lacks that itself and
    is null. So with a neck and no quadrant there is no shaft axis, which has its own flag.
    """
    if thickness.neck is None:
        return []
    missing = [name for name, patch in thickness.neck_quadrants if patch is None]
    if len(missing) == len(NeckQuadrants.model_fields):
        missing = []
    parts = [f"{name} quadrant of the neck" for name in missing]
    parts.extend(
        f"station {number} of the neck"
        for number, station in enumerate(thickness.along_neck, start=1)
        if station.thickness is None
    )
    return parts


def _partial_volume(thickness: CorticalThickness) -> tuple[QualityFlag, ...]:
    named = (
        ("neck", thickness.neck),
        ("trochanter", thickness.trochanter),
        ("intertrochanter", thickness.intertrochanter),
    )
    thin = [
        f"{name} {patch.share_below_three_voxels:.0%}"
        for name, patch in named
        if patch is not None and patch.share_below_three_voxels > WARNED_SHARE
    ]
    if not thin:
        return ()
    message = (
        f"cortex under three voxels thick over most of the surface ({', '.join(thin)}): its "
        "thickness and density are blurred; compare only scans of the same resolution"
    )
    return (QualityFlag(code=FlagCode.PARTIAL_VOLUME, severity=Severity.WARNING, message=message),)


def _thickness(local: ThicknessMap, chosen: BoolArray) -> Thickness | None:
    known = chosen & (local.thickness_mm <= MAX_CORTEX_MM)
    areas, thickness = local.areas_mm2[known], local.thickness_mm[known]
    total, patch = float(areas.sum()), float(local.areas_mm2[chosen].sum())
    if total < max(MIN_SURFACE_MM2, MIN_MEASURED_SHARE * patch):
        return None
    mean = float(areas @ thickness) / total
    thin = local.thickness_voxels[known] < THIN_VOXELS
    return Thickness(
        mean_mm=mean,
        sd_mm=float(np.sqrt(areas @ (thickness - mean) ** 2 / total)),
        p5_mm=_percentile(thickness, areas, LOW_PERCENTILE),
        surface_cm2=total / 100.0,
        share_below_three_voxels=float(areas[thin].sum()) / total,
    )


def _percentile(values: FloatArray, weights: FloatArray, percent: float) -> float:
    """Weighted percentile; each value stands in the middle of its weight."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) - 0.5 * weights[order]
    return float(np.interp(percent / 100.0 * weights.sum(), reached, values[order]))


def _quadrants(local: ThicknessMap, neck: BoolArray, axes: FemurAxes) -> NeckQuadrants:
    """Quarters of the neck, each 45 degrees to both sides of its direction."""
    superior, posterior = axes.superior, axes.posterior
    if superior is None or posterior is None:
        return NeckQuadrants()
    offset = local.points_mm - axes.neck_centre_mm
    up, back = offset @ superior, offset @ posterior
    vertical = np.abs(up) >= np.abs(back)
    return NeckQuadrants(
        superior=_thickness(local, neck & vertical & (up > 0)),
        anterior=_thickness(local, neck & ~vertical & (back <= 0)),
        inferior=_thickness(local, neck & vertical & (up <= 0)),
        posterior=_thickness(local, neck & ~vertical & (back > 0)),
    )


def _stations(local: ThicknessMap, neck: BoolArray, axes: FemurAxes) -> tuple[NeckStation, ...]:
    """Tenths of the neck from the head to the trochanter."""
    if axes.neck_range_mm is None or not neck.any():
        return ()
    along = (local.points_mm - axes.head_centre_mm) @ axes.neck_axis
    edges = np.linspace(*axes.neck_range_mm, NECK_STATIONS + 1)
    return tuple(
        NeckStation(
            from_mm=float(start),
            to_mm=float(stop),
            thickness=_thickness(local, neck & (along >= start) & (along < stop)),
        )
        for start, stop in pairwise(edges)
    )
